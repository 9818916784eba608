"""Rows that repeat an evaluation set: whole, in one field, or 13 words in a row, and no other rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_created.checks import leakage
from llm_created.checks.leakage import EvaluationSets
from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.tasks.task import Reason, Row, Task

CHOICE = Task(name="choice", inputs=("question",))
CLAIM = Task(name="claim", inputs=("question",), labels=("True", "False"))
PASSAGE = Task(name="passage", inputs=("question", "passage"), labels=("True", "False"))
# 15 different words.
LONG = "the small red fox jumped over nine lazy dogs because it wanted some old bread"
WORDS = st.text("abcdef", min_size=1, max_size=4)
# What may stand between two words, and be another thing elsewhere.
GAPS = st.sampled_from([" ", ", ", " - ", "\n", "! ", " (", "; ", "\u00a0", "_", " \u201c"])


def choice(question: str, *options: str) -> Row:
    return read(CHOICE, question=question, options=options or ("yes", "no"), answer=(options or ("yes",))[0])


def read(task: Task, **fields: object) -> Row:
    row = task.read(fields)
    assert isinstance(row, Row), row
    return row


def sets(*rows: Row, name: str = "test") -> EvaluationSets:
    return EvaluationSets([("other:test", [choice("Is this another row, or is it not?")]), (name, rows)])


def detail(known: EvaluationSets, row: Row) -> str | None:
    reason = known.find(row)
    assert reason is None or (isinstance(reason, Reason) and reason.code == "leaked")
    return reason.detail if reason else None


def test_the_same_row_is_found_however_it_is_spelt() -> None:
    known = sets(choice("Who?"), choice("What is the Größe of it?", "big", "small"))
    same = "the same as row 2 of test"
    for question in (
        "What is the Größe of it?",
        "  what IS the\tGRÖSSE of\u00a0it? ",
        "What is the Gro\u0308ße of it?",
    ):
        assert detail(known, choice(question, "big", "small")) == same
        assert detail(known, choice(question, "Small", "BIG")) == same
    for question in ("What is the size of it?", "What is the Größe of it", "What is the Größe"):
        assert detail(known, choice(question, "big", "small")) is None


def test_the_same_question_with_other_options_or_another_answer_is_a_leak() -> None:
    known = sets(choice("What is it?", "big", "small"))
    assert detail(known, choice("What is it?", "red", "small")) == "the same as row 1 of test, with other options"
    known = sets(read(CLAIM, question="Is it so?", answer="True"))
    assert detail(known, read(CLAIM, question="Is it so?", answer="False")) == "the same as row 1 of test"


def test_a_question_with_a_passage_and_without_is_a_leak() -> None:
    whole = read(PASSAGE, question="Is it so?", passage="It is.", answer="True")
    bare = read(CLAIM, question="is it so?", answer="True")
    assert detail(sets(bare), whole) == "the same as row 1 of test in one field"
    assert detail(sets(whole), bare) == "the same as row 1 of test in one field"
    # Two rows that share a field, and each say more.
    assert detail(sets(whole), whole._replace(inputs=("Is it so?", "Nobody knows."), key=1)) is None
    assert detail(sets(whole), whole._replace(inputs=("It is.", "Is it so?"), key=1)) is None


def test_thirteen_words_in_a_row_and_not_twelve() -> None:
    known, words = sets(choice(LONG)), LONG.split()
    for first in range(3):
        stretch = words[first : first + 13]
        said = f"13 words in a row as in row 1 of test: '{' '.join(stretch)}'"
        assert detail(known, choice("Well: " + ", ".join(stretch).upper() + " indeed?")) == said
        assert detail(known, choice(" ".join(stretch))) == said
    for first in range(4):
        assert detail(known, choice("well " + " ".join(words[first : first + 12]) + " indeed")) is None
    assert detail(known, choice(" ".join([*words[:7], "and", *words[7:]]))) is None
    assert detail(known, choice(" ".join(reversed(words)))) is None


def test_words_in_a_row_do_not_run_from_one_evaluation_row_into_the_next() -> None:
    words = LONG.split()
    known = sets(choice(" ".join(words[:7])), choice("?!"), choice(" ".join(words[7:])))
    assert detail(known, choice(f"{LONG} today")) is None
    assert detail(sets(choice(LONG), choice("?!")), choice(f"{LONG} today")) is not None


def test_words_in_a_row_run_over_the_fields() -> None:
    words = LONG.split()
    split = read(PASSAGE, question=" ".join(words[:4]), passage=" ".join(words[4:]), answer="True")
    assert "13 words" in str(detail(sets(split), choice(f"So {LONG}")))
    assert "13 words" in str(detail(sets(choice(f"So {LONG}")), split))


def test_the_row_that_is_named_is_the_first_that_is_repeated() -> None:
    rows = [choice("Who?"), choice(f"Why {LONG}?"), choice(f"How {LONG}?")]
    known = EvaluationSets([("a", rows[:1]), ("b", rows[1:]), ("c", rows)])
    assert str(detail(known, choice(f"When {LONG}?"))).startswith("13 words in a row as in row 1 of b: 'the small")
    assert detail(known, choice(f"How {LONG}?")) == "the same as row 2 of b"


def test_without_rows_or_words_nothing_is_found() -> None:
    for known in (EvaluationSets([]), EvaluationSets([("test", [])]), sets(choice("!?"), choice("Short."))):
        assert detail(known, choice(LONG)) is None


@settings(max_examples=2 * settings.default.max_examples)
@given(st.data())
def test_a_stretch_of_thirteen_words_is_always_found(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(WORDS, min_size=13, max_size=30), min_size=1, max_size=5))
    known = EvaluationSets([("test", [choice(" ".join(words)) for words in rows])])
    words = data.draw(st.sampled_from(rows))
    first = data.draw(st.integers(0, len(words) - 13))
    around = st.lists(WORDS, max_size=5)
    mixed = [*data.draw(around), *words[first : first + 13], *data.draw(around)]
    gaps = data.draw(st.lists(GAPS, min_size=len(mixed), max_size=len(mixed)))
    text = "".join(word.upper() + gap for word, gap in zip(mixed, gaps, strict=True))
    assert known.find(choice(text)) is not None


@settings(max_examples=3 * settings.default.max_examples)
@given(
    st.lists(st.lists(st.sampled_from("ab"), max_size=40), max_size=4), st.lists(st.sampled_from("ab"), max_size=40)
)
def test_a_row_is_found_by_words_just_where_a_plain_search_finds_it(rows: list[list[str]], words: list[str]) -> None:
    # Not as a whole: that is another rule.
    assume(words and all(row and row != words for row in rows))
    stretches = {tuple(words[at : at + 13]) for at in range(len(words) - 12)}
    expected = any(tuple(row[at : at + 13]) in stretches for row in rows for at in range(len(row) - 12))
    known = EvaluationSets([("test", [choice(" ".join(row)) for row in rows])])
    assert (known.find(choice(" ".join(words))) is not None) == expected


def test_two_stretches_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "_FACTORS", [0] * 13)
    known = sets(choice(LONG))
    assert detail(known, choice(" ".join(reversed(LONG.split())))) is None
    assert detail(known, choice(f"Well: {LONG}")) is not None


# Where evaluation sets come from.


def test_sets_are_named_as_they_were_asked_for(tmp_path: Path, shared: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({"question": "Who?", "options": list("abcde"), "answer": "a"}) + "\n", "utf-8")
    people, specs = str(shared / "human"), ["csqa:validation", str(mine), "csqa:validation"]
    rows = sources.load("csqa:validation", human_data=people)
    known = EvaluationSets.load(specs, rows.task, people)
    assert all(detail(known, row) == f"the same as row {at} of csqa:validation" for at, row in enumerate(rows.rows, 1))
    assert detail(known, choice("who?", *"abcde")) == "the same as row 1 of mine.jsonl"


def test_sets_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "test.jsonl" for folder in "ab"]
    with pytest.raises(UsageError, match=r"`check_against`: two sets have one name \(test.jsonl, test.jsonl\)"):
        for path in paths:
            path.parent.mkdir()
            path.write_text("", "utf-8")
        EvaluationSets.load(map(str, paths), CHOICE)


def test_open_book_rows_repeat_the_closed_book_test_set(shared: Path) -> None:
    people = str(shared / "human")
    rows = sources.load("boolq_open:validation", human_data=people).rows
    known = EvaluationSets.load(["boolq:validation"], None, people)
    leaks = [known.leak(row) for row in rows]
    assert [(leak.kind, leak.number) for leak in leaks if leak] == [("field", at) for at in range(1, len(rows) + 1)]


def test_rte_was_cut_from_longer_texts(shared: Path) -> None:
    """Real train and validation rows share sentences."""
    task = Task(name="rte", inputs=("premise", "hypothesis"), answer="label", labels=("entailment", "not_entailment"))
    train, test = (sources.load(str(shared / f"superglue/rte/{name}.jsonl"), task).rows for name in ("train", "val"))
    known = EvaluationSets([("val", test)])
    leaks = [leak for row in train if (leak := known.leak(row))]
    assert 0 < len(leaks) < 0.05 * len(train) and {leak.kind for leak in leaks} == {"words"}
