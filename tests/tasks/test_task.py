"""Tasks: inferred from examples, and reading pieces into rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created import Reason, Row, Task, UsageError
from llm_created.data.writer import arrow_schema, arrow_table
from llm_created.tasks import builtin as tasks
from llm_created.utils.text import fold

CHOICE = {"question": "Where is bread sold?", "options": ["bakery", "bank", "zoo"], "answer": "bakery"}
CLOSED = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}


def test_fields_stand_in_the_papers_order() -> None:
    variable = Task.from_example(CHOICE, label_space="variable")
    assert variable.fields == ("question", "options", "answer") and variable.num_options == 3
    passage = {"passage": "Ice is frozen water.", "claim": "Ice is cold.", "choices": ["yes", "no"], "verdict": "yes"}
    fixed = Task.from_example(passage)
    assert fixed.fields == ("choices", "verdict", "claim", "passage"), "a context comes right after the question"
    assert fixed.labels == ("yes", "no")


@pytest.mark.parametrize(
    "options", [["yes", "no"], ["No", "Yes"], ["True", "False"], [True, False], ["false", "true"]]
)
def test_yes_no_lists_are_fixed_without_a_word(options: list[Any]) -> None:
    task = Task.from_example({"text": "Ice is cold.", "options": options, "answer": options[0]})
    assert task.labels == tuple(str(option) for option in options)


@pytest.mark.parametrize(
    ("example", "how", "said"),
    [
        (CHOICE, {}, ["`label_space` fixed", "`label_space` variable", "bakery"]),
        ({"text": "a", "label": "good"}, {}, ["`labels` a,b,c", "'text', 'label'"]),
        ({"text": "a", "mood": "good"}, {}, ["`labels` a,b,c"]),
        ({"text": "a", "mood": "good"}, {"labels": ["bad", "fine"]}, ["one answer out of options", "'text', 'mood'"]),
        (CHOICE, {"label_space": "variable", "labels": ["a", "b"]}, ["`labels`", "`label_space` variable"]),
        (CHOICE, {"labels": ["a", "b"]}, ["differ", "a,b"]),
        (CHOICE | {"answer": "pub"}, {"label_space": "variable"}, ["'pub' is not among its options"]),
        (CHOICE | {"options": ["bakery"]}, {"label_space": "variable"}, ["two or more"]),
        (CHOICE | {"options": ["bakery", "Bakery "]}, {"label_space": "variable"}, ["more than once"]),
        (CHOICE | {"options": ["bakery", ""]}, {"label_space": "variable"}, ["empty entry"]),
        (CHOICE | {"meta": {"a": 1}}, {"label_space": "variable"}, ["'meta'", "nested"]),
        (CHOICE | {"more": ["a", "b"]}, {"label_space": "variable"}, ["several lists", "`options_field`"]),
        ({"options": ["yes", "no"], "answer": "yes"}, {}, ["no input field", "'options', 'answer'"]),
        (CHOICE, {"answer_field": "reply"}, ["`answer_field` 'reply'", "'question'"]),
        (CHOICE, {"options_field": "question"}, ["must be a list"]),
        (CLOSED | {"question": "  "}, {}, ["'question' is empty"]),
        ([CHOICE], {}, ["not an array"]),
        ({}, {}, ["empty"]),
        ({"id": "7", "text": "a", "label": "good"}, {"labels": ["good", "bad"]}, ["'id'", "rename"]),
    ],
)
def test_what_cannot_be_inferred_is_said(example: Any, how: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(UsageError) as told:
        Task.from_example(example, **how)
    assert "\n" not in str(told.value)
    for words in said:
        assert words in str(told.value)


def test_labels_without_a_list_and_any_keys() -> None:
    task = Task.from_example({"review": "I loved it", "mood": "good"}, labels=["good", "bad"], name="My Moods!")
    assert (task.name, task.inputs, task.answer, task.options) == ("my-moods", ("review",), "mood", "options")
    assert task.columns == ("review", "mood")
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


@pytest.mark.parametrize(
    "piece",
    [
        CLOSED,
        CLOSED | {"answer": True},
        CLOSED | {"answer": "true"},
        CLOSED | {"answer": " Yes "},
        CLOSED | {"options": ["False", "True"]},
        CLOSED | {"options": [False, True]},
        CLOSED | {"options": ["no", "Yes "]},
        {"Question ": " Is ice cold? ", "ANSWER": "TRUE"},
    ],
)
def test_spellings_of_one_row_are_one_row(piece: dict[str, Any]) -> None:
    task = Task.from_example(CLOSED)
    assert task.read(piece) == task.read(CLOSED)


def test_options_in_another_order_are_the_same_row_and_positions_are_even() -> None:
    task = Task.from_example(CHOICE, label_space="variable")
    assert task.read(CHOICE | {"options": ["zoo", "bakery", "bank"]}) == task.read(CHOICE)
    rows = [task.read({"question": f"q{n}", "options": ["a", "b", "c"], "answer": "a"}) for n in range(3000)]
    for place in range(3):
        assert 900 < sum(isinstance(row, Row) and row.answer == place for row in rows) < 1100


def test_an_option_that_speaks_of_the_others_keeps_its_place() -> None:
    task = Task.from_example(CHOICE, label_space="variable")
    for number in range(20):
        row = task.read({"question": f"q{number}", "options": ["a", "b", "All of the above"], "answer": "a"})
        assert isinstance(row, Row) and row.options == ("a", "b", "All of the above")


@pytest.mark.parametrize(
    ("piece", "code"),
    [
        ([], "not_an_object"),
        ({"question": "x"}, "missing_field"),
        (CHOICE | {"question": None}, "missing_field"),
        (CHOICE | {"question": ["a"]}, "missing_field"),
        (CHOICE | {"question": " "}, "empty_field"),
        (CHOICE | {"question": "x" * 30_000}, "too_long"),
        (CHOICE | {"options": ["bakery", "bank"]}, "wrong_options"),
        (CHOICE | {"options": ["bakery", "bank", "BANK"]}, "wrong_options"),
        (CHOICE | {"options": ["bakery", "bank", {}]}, "wrong_options"),
        (CHOICE | {"answer": "pub"}, "answer_not_in_options"),
        (CHOICE | {"answer": None}, "missing_field"),
    ],
)
def test_what_is_no_row_has_a_reason(piece: Any, code: str) -> None:
    reason = Task.from_example(CHOICE, label_space="variable").read(piece)
    assert isinstance(reason, Reason) and reason.code == code


def test_duplicates_are_judged_on_all_input_fields() -> None:
    task = Task.from_example(CHOICE, label_space="variable")
    one, shouted = task.read(CHOICE), task.read(CHOICE | {"question": "WHERE is  bread sold?"})
    other = task.read(CHOICE | {"options": ["bakery", "bank", "pool"]})
    assert isinstance(one, Row) and isinstance(shouted, Row) and isinstance(other, Row)
    assert one.key == shouted.key and one.id != shouted.id
    assert one.key != other.key, "PIQA repeats its goals with other options"


TEXTS = st.text(min_size=1, max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=12,
)
KEYS = st.sampled_from(["question", "Question", "options", "answer", "context", "x", ""])


@given(st.dictionaries(KEYS, VALUES) | VALUES)
def test_no_piece_crashes_read(piece: Any) -> None:
    for example, space in ((CHOICE, "variable"), (CLOSED, None)):
        assert isinstance(Task.from_example(example, label_space=space).read(piece), (Row, Reason))


@given(VALUES | st.dictionaries(KEYS, VALUES))
def test_no_example_crashes_inference(example: Any) -> None:
    try:
        task = Task.from_example(example, label_space="variable")
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(task.read(example), Row)


@given(st.text(), st.text())
def test_folding_is_idempotent_and_blind_to_space(one: str, other: str) -> None:
    assert fold(fold(one)) == fold(one) or not one.isascii()
    assert fold(f" {one}\n{other} ") == fold(f"{one}   {other}")


def test_features_follow_the_task() -> None:
    import datasets

    variable, fixed = Task.from_example(CHOICE, label_space="variable"), Task.from_example(CLOSED)
    assert fixed.features["answer"] == datasets.ClassLabel(names=["True", "False"])
    assert list(variable.features) == ["id", "question", "options", "answer", "answer_text", "parent_id", "depth"]
    for task in (variable, fixed):
        assert arrow_schema(task).equals(task.features.arrow_schema)
        assert datasets.Features.from_arrow_schema(arrow_schema(task)) == task.features
    row = variable.read(CHOICE)
    assert isinstance(row, Row)
    encoded = variable.features.encode_example(variable.record(row))
    assert encoded["options"][encoded["answer"]] == "bakery"


def test_every_built_in_task_reads_its_own_example() -> None:
    assert len(tasks.names()) >= 10
    for name in tasks.names():
        source = tasks.load(name)
        row = source.task.read(source.example)
        assert isinstance(row, Row), name
        assert source.task.read(source.task.example(row)) == row


def test_a_task_json_is_a_task(tmp_path: Path) -> None:
    task = Task.from_example(CHOICE, label_space="variable", name="shops")
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task.to_json() | {"example": CHOICE}))
    source = tasks.from_example(str(path))
    assert source.task == task and source.example == CHOICE


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5))
def test_rows_survive_the_way_to_arrow(texts: list[tuple[str, str, str]]) -> None:
    for task in (Task("v", ("question",)), Task("f", ("question",), labels=("yes", "no"))):
        pieces = [{"question": q, "options": [a, b] if task.variable else None, "answer": a if task.variable else "no"}
                  for q, a, b in texts]  # fmt: skip
        rows = [row for piece in pieces if isinstance(row := task.read(piece), Row)]
        if rows:
            assert arrow_table(task, rows, arrow_schema(task)).to_pylist() == [task.record(row) for row in rows]


def test_a_builder_file_is_read_in_its_own_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread imports meanwhile is the real class."""
    import threading

    import llm_created
    from llm_created.loading.builder import Builder

    inside, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "gate", (inside, go_on), raising=False)
    (tmp_path / "slow.py").write_text(
        "import threading, llm_created\n"
        "inside, go_on = threading.gate\n"
        "inside.set(), go_on.wait(20)\n"
        "class Slow(llm_created.Builder):\n"
        "    task = llm_created.Task('slow', ('text',), labels=('a', 'b'))\n"
        "    example = {'text': 'x', 'answer': 'a'}\n"
    )
    monkeypatch.delitem(vars(llm_created), "Builder", raising=False)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(tasks.load(str(tmp_path / "slow.py")).task.name))
    reader.start()
    try:
        assert inside.wait(20)
        assert llm_created.Builder is Builder
    finally:
        go_on.set()
        reader.join(20)
    assert read == ["slow"]
