"""Human rows: column mappings, how the Hub's splits are cut, local files, and the drawn formatting example."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paper_tasks import NAMES

from llm_created.data.human_rows import draw, load_hub, load_local
from llm_created.errors import RunFailed, UsageError
from llm_created.tasks.human import Human
from llm_created.tasks.task import Row, Task
from llm_created.utils.text import fold

ROOT = Path(__file__).parents[2]
FAMILIES = {
    **dict.fromkeys(("piqa", "winogrande"), "mcqa_2"),
    **dict.fromkeys(("csqa", "riddle_sense"), "mcqa_5"),
    **dict.fromkeys(("boolq_open", "pubmedqa", "bioasq"), "yesno_open"),
    **dict.fromkeys(("boolq", "strategyqa", "creak"), "yesno_close"),
}
QUESTION = Task("q", ("question",), labels=("True", "False"))
FIVE = Task("five", ("question",), num_options=5)


@pytest.fixture(scope="module")
def builders() -> dict[str, Any]:
    """The builder class of each file."""
    return {name: _builder(name) for name in NAMES}


def _builder(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"_builders_{name}", ROOT / "builders" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == spec.name]
    return next(value for value in own if isinstance(value, type))


def record(name: str, at: int, hidden: bool = False) -> dict[str, Any]:
    """One record in the shape of the Hub's dataset for this task."""
    text = f"is number {at} even"
    if name == "piqa":
        return {"goal": text, "sol1": "yes it is", "sol2": "no it is not", "label": -1 if hidden else at % 2}
    if name == "winogrande":
        answer = "" if hidden else str(at % 2 + 1)
        return {"sentence": f"_ has number {at}", "option1": "Ann", "option2": "Bob", "answer": answer}
    if name in ("csqa", "riddle_sense"):
        choices = {"label": list("ABCDE"), "text": ["one", "two", "three", "four", "five"]}
        return {"id": str(at), "question": text, "choices": choices, "answerKey": "" if hidden else "ABCDE"[at % 5]}
    if name in ("boolq", "boolq_open"):
        return {"question": text, "answer": at % 2 == 0, "passage": f"Number {at} is what it is."}
    if name == "pubmedqa":
        context = {"contexts": ["First part.", f"Part {at}."], "labels": ["A", "B"], "meshes": []}
        decision = ("yes", "no", "maybe")[at % 3]
        return {"pubid": at, "question": text, "context": context, "long_answer": "", "final_decision": decision}
    if name == "bioasq":
        return {"questions": text, "context": f"Number {at}.", "answer": "yes" if at % 2 else "no"}
    if name == "strategyqa":
        return {"qid": str(at), "term": "n", "description": "d", "question": text, "answer": at % 2 == 0, "facts": "f"}
    return {"ex_id": str(at), "sentence": text, "label": "false" if at % 2 else "true", "entity": "n"}


# Rows of each split on the Hub, and of ours: the paper's sizes but for riddle_sense (its test is not on the Hub).
HUB = {
    "piqa": {"train": 16113, "validation": 1838, "test": 3084},
    "winogrande": {"train": 160, "validation": 1267, "test": 1767},
    "csqa": {"train": 9741, "validation": 1221, "test": 1140},
    "riddle_sense": {"train": 3510, "validation": 1021, "test": 1184},
    "boolq": {"train": 9427, "validation": 3270},
    "boolq_open": {"train": 9427, "validation": 3270},
    "pubmedqa": {"train": 1000},
    "bioasq": {"train": 670, "validation": 75, "test": 140},
    "strategyqa": {"train": 1603, "test": 687},
    "creak": {"train": 10176, "validation": 1371},
}
OURS = {
    "piqa": (14113, 1838, 2000),
    "winogrande": (160, 633, 634),
    "csqa": (8500, 1221, 1241),
    "riddle_sense": (3510, 510, 511),
    "boolq": (9427, 1635, 1635),
    "boolq_open": (9427, 1635, 1635),
    "pubmedqa": (450, 50, 500),
    "bioasq": (670, 75, 140),
    "strategyqa": (2061, 114, 115),
    "creak": (10176, 685, 686),
}


class Hub:
    """Stands in for `datasets.load_dataset` with records of the right shape and number."""

    def __init__(self, name: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.splits: dict[str, list[dict[str, Any]]] = {}
        at = 0
        for split, size in HUB[name].items():
            hidden = split == "test" and name in ("piqa", "winogrande", "csqa", "riddle_sense")
            self.splits[split] = [record(name, n, hidden) for n in range(at, at + size)]
            at += size

    def __call__(self, path: str, config: str | None, revision: str | None = None) -> Any:
        self.calls.append((path, config, revision))
        return self.splits


def questions(rows: list[Row]) -> set[str]:
    return {fold(row.inputs[0]) for row in rows}


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_the_papers_where_they_can_be(builders: dict[str, Any], name: str) -> None:
    hub, builder = Hub(name), builders[name]
    parts = load_hub(builder.task, builder.human, hub)
    assert tuple(parts) == ("train", "validation", "test")
    assert tuple(map(len, parts.values())) == OURS[name]
    assert hub.calls == [(builder.human.path, builder.human.config, builder.human.revision)]
    assert not questions(parts["train"]) & questions(parts["test"])
    assert not questions(parts["validation"]) & questions(parts["train"] + parts["test"])
    assert all(row.parent_id == "" and row.depth == 0 for rows in parts.values() for row in rows)
    assert load_hub(builder.task, builder.human, Hub(name)) == parts


@pytest.mark.parametrize("name", NAMES)
def test_a_builder_file_is_short_and_whole(builders: dict[str, Any], name: str) -> None:
    builder = builders[name]
    assert builder.task.name == name and builder.family == FAMILIES[name]
    row = builder.task.read(builder.example)
    assert isinstance(row, Row)
    text = (ROOT / "builders" / f"{name}.py").read_text(encoding="utf-8")
    assert 15 <= len(text.splitlines()) <= 60
    shown, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert isinstance(builder.task.read(shown), Row)


@pytest.mark.parametrize("name", ["piqa", "winogrande", "csqa", "riddle_sense"])
def test_hidden_labels_are_dropped(builders: dict[str, Any], name: str) -> None:
    assert builders[name].human.columns(record(name, 3, hidden=True)) is None
    assert builders[name].human.columns(record(name, 3)) is not None


@pytest.mark.parametrize(
    ("name", "at", "answer"),
    [
        *(("piqa", 1, "no it is not"), ("winogrande", 0, "Ann"), ("csqa", 2, "three"), ("riddle_sense", 4, "five")),
        *(("boolq", 0, "True"), ("boolq_open", 1, "False"), ("bioasq", 1, "True"), ("strategyqa", 1, "False")),
        *(("pubmedqa", 0, "True"), ("pubmedqa", 1, "False"), ("pubmedqa", 2, "False"), ("creak", 1, "False")),
    ],
)
def test_columns(builders: dict[str, Any], name: str, at: int, answer: str) -> None:
    builder = builders[name]
    row = builder.task.read(builder.human.columns(record(name, at)))
    assert isinstance(row, Row)
    assert row.options[row.answer] == answer
    assert len(row.inputs) == (2 if name in ("boolq_open", "pubmedqa", "bioasq") else 1)


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_official_heads_map_to_the_rows_of_the_human_files(builders: dict[str, Any], shared: Path) -> None:
    boolq = _lines(shared / "official" / "boolq_dev_head.jsonl")
    pubmed = json.loads((shared / "official" / "pubmedqa_pqal_head.json").read_text(encoding="utf-8")).values()
    heads: dict[str, tuple[str, list[Any]]] = {
        "boolq": ("yesno_close/boolq", boolq),
        "boolq_open": ("yesno_open/boolq", boolq),
        "creak": ("yesno_close/creak", _lines(shared / "official" / "creak_train_head.jsonl")),
        "strategyqa": (
            "yesno_close/strategyqa",
            json.loads((shared / "official" / "strategyqa_train_head.json").read_text(encoding="utf-8")),
        ),
        # The Hub's dataset has these values in other names than the file of the authors.
        "pubmedqa": (
            "yesno_open/pubmedqa",
            [
                {
                    "question": item["QUESTION"],
                    "context": {"contexts": item["CONTEXTS"]},
                    "final_decision": item["final_decision"],
                }
                for item in pubmed
            ],
        ),
    }
    for name, (folder, records) in heads.items():
        task, columns = builders[name].task, builders[name].human.columns
        known = {row.id for rows in load_local(task, shared / "human" / folder).values() for row in rows}
        mapped = [task.read(columns(item)) for item in records]
        assert len(mapped) >= 40
        assert {row.id for row in mapped} <= known, name


def _hub(*splits: tuple[str, list[str]]) -> Any:
    source = {name: [{"question": text, "answer": True} for text in texts] for name, texts in splits}
    return lambda path, config, revision=None: source


def _human(**splits: tuple[str, int | None]) -> Human:
    return Human("some/data", columns=dict, splits=splits)


def test_repeated_questions_stay_on_one_side() -> None:
    hub = _hub(("train", ["a", "b", "A ", "c", "d", "e"]))
    parts = load_hub(QUESTION, _human(test=("train", 3), train=("train", None)), hub)
    assert [row.inputs[0] for row in parts["test"]] == ["a", "b", "A"]
    assert [row.inputs[0] for row in parts["train"]] == ["c", "d", "e"]
    # A question with more rows than there is room for is passed over, so the size is met.
    parts = load_hub(QUESTION, _human(test=("train", 1), train=("train", None)), hub)
    assert [row.inputs[0] for row in parts["test"]] == ["b"]
    assert [row.inputs[0] for row in parts["train"]] == ["a", "A", "c", "d", "e"]


def test_a_question_of_another_hub_split_is_left_out_of_the_later_one() -> None:
    hub = _hub(("train", ["a", "b", "c"]), ("validation", ["B", "x"]))
    parts = load_hub(QUESTION, _human(validation=("validation", None), train=("train", None)), hub)
    assert list(parts) == ["train", "validation"]
    assert [row.inputs[0] for row in parts["train"]] == ["a", "c"]
    joined = load_hub(QUESTION, _human(test=("validation", 1), train=("train+validation", None)), hub)
    assert [row.inputs[0] for row in joined["train"]] == ["a", "c", "x"]


def test_what_the_hub_can_do_wrong_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def down(path: str, config: str | None, revision: str | None = None) -> Any:
        raise ConnectionError(f"Couldn't reach '{path}' on the Hub\nsecond line")

    whole = _human(train=("train", None))
    cases = [
        (whole, down, "cannot load 'some/data' from the Hub"),
        (whole, _hub(("test", ["a"])), "no split 'train'"),
        (_human(train=("train", 5)), _hub(("train", ["a"])), "has 1 usable rows for 'train', not 5"),
        (whole, _hub(("train", [""])), "has 0 usable rows"),
        (replace(whole, columns=lambda item: {"question": item["sentence"]}), _hub(("train", ["a"])), "other columns"),
    ]
    for human, load, said in cases:
        with pytest.raises(RunFailed, match=said) as caught:
            load_hub(QUESTION, human, load)
        assert "\n" not in str(caught.value) and "local" in str(caught.value)
    caplog.clear()
    assert len(load_hub(QUESTION, whole, _hub(("train", ["a", ""])))["train"]) == 1
    assert "empty_field" in caplog.text


FOLDERS = {
    "piqa": ("mcqa_2/piqa", 0, 1838),
    "winogrande": ("mcqa_2/winogrande", 160, 633),
    "csqa": ("mcqa_5/csqa", 8500, 1221),
    "riddle_sense": ("mcqa_5/riddle_sense", 3510, 1021),
    "boolq": ("yesno_close/boolq", 9427, 1635),
    "boolq_open": ("yesno_open/boolq", 0, 1635),
    "pubmedqa": ("yesno_open/pubmedqa", 450, 50),
    "bioasq": ("yesno_open/bioasq", 670, 75),
    "strategyqa": ("yesno_close/strategyqa", 2061, 114),
    "creak": ("yesno_close/creak", 10176, 685),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_the_human_files_reads(builders: dict[str, Any], shared: Path, name: str) -> None:
    folder, train, validation = FOLDERS[name]
    task = builders[name].task
    parts = load_local(task, shared / "human" / folder)
    assert (len(parts.get("train", [])), len(parts["validation"])) == (train, validation)
    lines = _lines(shared / "human" / folder / "dev.jsonl")
    for line, row in zip(lines, parts["validation"], strict=True):
        assert fold(row.options[row.answer]) == fold(str(line["label"]))
        assert sorted(map(str.strip, line["options"])) == sorted(row.options)
    drawn = draw(parts["validation"], 7)
    assert task.read(task.example(drawn)) == drawn


def test_an_option_that_stands_twice_is_kept_but_never_drawn(tmp_path: Path) -> None:
    line = {"question": "what", "options": ["a", "b", "a", "c", "d"], "label": "a"}
    file = tmp_path / "train.jsonl"
    file.write_text(json.dumps(line), encoding="utf-8")
    (row,) = load_local(FIVE, {"train": file})["train"]
    assert sorted(row.options) == ["a", "a", "b", "c", "d"]
    assert row.options.index("a") == row.answer and row.options[-1] == "a"
    with pytest.raises(UsageError, match="no human row"):
        draw([row], 7)


def test_local_lines_may_have_the_tasks_own_names(tmp_path: Path) -> None:
    task = Task("reviews", ("Review", "Title"), answer="stars", options="choices", labels=("good", "bad"))
    lines = [
        {"review": "Fine.", "TITLE": "t", "Stars": "Good", "choices": ["bad", "good"]},
        {"question": "Fine.", "context": "t", "options": ["good", "bad"], "label": "good"},
        {"Review": "Fine.", "Title": "t", "stars": "good", "label": "ignored", "question": "ignored"},
    ]
    file = tmp_path / "rows"
    file.write_bytes(b"\xef\xbb\xbf" + b"\r\n\n".join(json.dumps(line).encode() for line in lines))
    rows = load_local(task, {"dev": str(file)})["validation"]
    assert len(rows) == 3 and len(set(rows)) == 1


GOOD = b'{"question": "q", "options": ["a", "b", "c", "d", "e"], "label": "a"}\n'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"question": "q"', "not JSON"),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "missing_field"),
        (b'{"question": "caf\xe9"}', "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b'{"question": "q", "options": ["a", "b"], "label": "a"}', "2 options instead of 5"),
        (b'{"question": "q", "options": "abcde", "label": "a"}', "missing_field"),
        (b'{"question": "q", "options": ["a", "b", "c", "d", ""], "label": "a"}', "wrong_options"),
        (b'{"question": "q", "options": ["a", "a", "a", "a", "a"], "label": "a"}', "wrong_options"),
        (b'{"question": "q", "options": ["a", "b", "c", "d", "e"], "label": "f\\n"}', "answer_not_in_options"),
        (b'{"question": " ", "options": ["a", "b", "c", "d", "e"], "label": "a"}', "empty_field"),
        (b'{"question": null, "options": ["a", "b", "c", "d", "e"], "label": "a"}', "missing_field"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    (tmp_path / "train.jsonl").write_bytes(GOOD + b"\n" + line + b"\n" + GOOD)
    with pytest.raises(UsageError) as caught:
        load_local(FIVE, tmp_path)
    message = str(caught.value)
    assert said in message and f"{tmp_path / 'train.jsonl'}, line 3: " in message
    assert "\n" not in message and len(message) < 400 + len(str(tmp_path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "x" / "train.jsonl"
    with pytest.raises(UsageError, match="x"):
        load_local(FIVE, tmp_path / "x")
    with pytest.raises(UsageError, match=r"train\.jsonl.*No such file"):
        load_local(FIVE, {"train": file})
    file.parent.mkdir()
    with pytest.raises(UsageError, match=r"no folder that holds train\.jsonl"):
        load_local(FIVE, file.parent)
    file.write_bytes(b"\n")
    with pytest.raises(UsageError, match="holds no rows"):
        load_local(FIVE, file.parent)
    with pytest.raises(UsageError, match="is no folder"):
        load_local(FIVE, file)
    file.write_bytes(GOOD)
    with pytest.raises(UsageError, match="'trian'"):
        load_local(FIVE, {"trian": file})
    with pytest.raises(UsageError, match="'validation'"):
        load_local(FIVE, {"dev": file, "validation": file})
    with pytest.raises(UsageError, match="is no folder"):
        load_local(FIVE, {})
    for name in ("dev", "validation"):
        (file.parent / f"{name}.jsonl").write_bytes(GOOD)
    with pytest.raises(UsageError, match="once at most"):
        load_local(FIVE, file.parent)


def test_draw_depends_on_seed_and_rows_alone() -> None:
    rows = [QUESTION.read({"question": f"question {n}", "answer": n % 2 == 0}) for n in range(500)]
    kept = [row for row in rows if isinstance(row, Row)]
    drawn = draw(kept, 7)
    assert draw(reversed(kept), 7) == drawn == draw(kept[::-1] + kept, 7)
    assert draw([row for row in kept if row.inputs[0] != "question 3" or row == drawn], 7) == drawn
    assert len({draw(kept, seed).id for seed in range(20)}) > 15
    # The choice is part of a run's identity: it must be the same on every machine and in every version.
    assert drawn.inputs == ("question 424",)
    with pytest.raises(UsageError, match="training split"):
        draw([], 7)


def test_local_files_are_read_without_datasets(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(GOOD)
    code = (
        "import sys; from llm_created.data.human_rows import load_local; from llm_created.tasks.task import Task\n"
        f"load_local(Task('t', ('question',), num_options=5), {str(tmp_path)!r})\n"
        "assert not {'datasets', 'openai', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
