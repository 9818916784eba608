"""Rows that only repeat what the model was told, and rows of too few words: nothing follows from them."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from law import NoModel, run_told

from llm_created import Guide, Identity, Journal, Reason, Row, ScriptedClient, Task, UsageError
from llm_created.analysis.funnel import funnel
from llm_created.cli.main import main
from llm_created.methods.base import Turn
from llm_created.methods.choose import strategy
from llm_created.methods.frontier import Frontier, words
from llm_created.methods.pool import Pool
from llm_created.prompts import examples as prompt
from llm_created.runs.identity import SELF_REFERENCE

REVIEW = Task("reviews", ("text",), labels=("very negative", "positive"))
ABOUT = "A short review of a film by somebody who saw it. It is one or two sentences long."
GUIDE = Guide(ABOUT, labels={"positive": "the reviewer liked it very much indeed"})
ATTRIBUTES = {"place": ["the old harbour"], "style": {"positive": ["warm"], "very negative": ["cold"]}}
SHOWN = {"text": "I would see it again tomorrow.", "answer": "positive"}


def identity(task: Task, method: str = "attrprompt", guide: Guide = GUIDE, **more: Any) -> Identity:
    example = more.pop("example", None)
    said = prompt.instruction_for_one(task, guide) if example is None else prompt.instruction(task, 5)
    attributes = ATTRIBUTES if method in (*SELF_REFERENCE, "attrprompt") and task is REVIEW else None
    return Identity(task, example, "m", said, method, guide=guide, attributes=attributes, **more)


def first_turn(who: Identity) -> tuple[Turn, list[Any]]:
    plan = strategy(who, Pool())
    turn = plan.next()
    assert turn is not None and turn.rows
    return turn, plan.ask(turn)[0]


def verdict(who: Identity, piece: dict[str, Any], turn: Turn | None = None, messages: Any = ()) -> str:
    """The reason's code, or `""` for a row."""
    row = who.task.read(piece)
    assert isinstance(row, Row)
    if turn is None:
        turn, messages = first_turn(who)
    (left,) = Frontier(who).read(turn, messages, [row])
    return left.code if isinstance(left, Reason) else ""


BY_EXAMPLE = identity(REVIEW, "naive", example=SHOWN)
IN_WORDS = identity(REVIEW)
TOLD = ["positive", "Very negative", "the old harbour", "warm", "cold"]
ECHOES = {
    "label": "very negative",
    "attribute": "the old harbour",
    "line": BY_EXAMPLE.instruction.splitlines()[1],
    "inside": f"Yes: {BY_EXAMPLE.instruction.splitlines()[0]} Nice.",
    "example": "I would see it AGAIN tomorrow!!",
}


def dressed(text: str, marks: str, upper: bool) -> str:
    return f"{marks} {text.upper() if upper else text}\n{marks}"


@given(
    what=st.sampled_from(list(ECHOES)),
    marks=st.text(" .,!?*\"'-_\t".replace("_", ""), max_size=3),
    upper=st.booleans(),
)
def test_what_only_repeats_the_prompt_is_no_row(what: str, marks: str, upper: bool) -> None:
    piece = {"text": dressed(ECHOES[what], marks, upper), "answer": "positive"}
    assert verdict(BY_EXAMPLE, piece) == "echo"


@pytest.mark.parametrize(
    "text", ["warm", "Positive.", "the old harbour", *ABOUT.split(". "), "the reviewer liked it very much indeed"]
)
def test_methods_without_an_example_are_held_to_their_prompt(text: str) -> None:
    turn, messages = first_turn(IN_WORDS)
    label = None if turn.label is None else (REVIEW.labels or ())[turn.label]
    echoed = {"warm": label == "positive", "the reviewer liked it very much indeed": label == "positive"}.get(
        text, True
    )
    assert verdict(IN_WORDS, {"text": text, "answer": "positive"}, turn, messages) == ("echo" if echoed else "")


WORD = st.text(string.ascii_lowercase, min_size=1, max_size=8).map("x{}".format)


@given(before=st.lists(WORD, min_size=1, max_size=9), after=st.lists(WORD, max_size=9), told=st.sampled_from(TOLD))
def test_a_text_that_merely_holds_what_was_told_is_a_row(before: list[str], after: list[str], told: str) -> None:
    text = " ".join([*before, told, *after])
    for who in (BY_EXAMPLE, IN_WORDS):
        assert verdict(who, {"text": text, "answer": "positive"}) == ""


def test_what_a_field_is_meant_to_be_is_no_echo() -> None:
    event = Task("events", ("premise", "question"), num_options=2)
    drawn = Guide("An event, and its cause or its effect.", draws={"question": ("cause", "effect")})
    options = {"options": ["It rained.", "It was dry."], "answer": "It rained."}
    for asked in ("cause", "effect"):
        assert (
            verdict(identity(event, "simprompt", drawn), {"premise": "The road was wet.", "question": asked} | options)
            == ""
        )
    word = Task("wic", ("word", "one", "other"), labels=("bank", "shore"))
    row = {"word": "Bank", "one": "She sat on the bank.", "other": "The bank was closed.", "answer": "shore"}
    assert verdict(identity(word, "simprompt"), row) == "", "a word of the sentences beside it"
    assert verdict(identity(word, "simprompt"), row | {"word": "shore"}) == "echo"
    said = {"said": "shore", "then": "We went on.", "answer": "bank"}
    known = Task("said", ("said", "then"), labels=("bank", "shore"))
    assert (
        verdict(identity(known, "naive", example=said), {"said": "Bank", "then": "We stayed.", "answer": "bank"}) == ""
    )
    assert verdict(identity(known, "simprompt"), said) == "echo", "no example says that such a thing is meant"


def test_rows_may_share_a_passage_with_the_example_but_not_everything() -> None:
    task = Task("asked", ("passage", "question"), num_options=2)
    shown = {
        "passage": "Ice is cold. It melts.",
        "question": "What melts?",
        "options": ["ice", "sand"],
        "answer": "ice",
    }
    who = identity(task, "naive", example=shown)
    assert verdict(who, shown | {"question": "What is cold?"}) == ""
    assert verdict(who, shown | {"question": "What MELTS"}) == "echo"
    assert verdict(who, shown | {"options": ["ice", "rock"]}) == "echo"
    assert verdict(who, shown) == "", "a duplicate, and counted as one"


def test_one_input_that_is_an_option_is_an_echo_and_of_several_it_may_be_meant() -> None:
    one, two = Task("one", ("question",), num_options=2), Task("two", ("text", "target"), num_options=2)
    options = {"options": ["sofa", "pond"], "answer": "sofa"}
    assert verdict(identity(one, "simprompt"), {"question": "Sofa?"} | options) == "echo"
    assert verdict(identity(two, "simprompt"), {"text": "It was wet.", "target": "pond"} | options) == ""


def test_a_seed_may_become_the_row() -> None:
    who = identity(REVIEW, "targen")
    drawn = {"context": "a small town at night", "seed": "The lamps went out one by one. Nobody cheered."}
    turn = Turn(2, 0, 1, label=1, drawn=drawn)
    messages, _ = strategy(who, Pool()).ask(turn)
    assert verdict(who, {"text": drawn["seed"], "answer": "positive"}, turn, messages) == ""
    assert verdict(who, {"text": "Nobody cheered.", "answer": "positive"}, turn, messages) == ""
    assert verdict(who, {"text": "A small town, at night", "answer": "positive"}, turn, messages) == "echo"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("one", 1),
        (" well-known  don't - … ", 2),
        ("私は猫が好きです。", 4),
        ("ฉันชอบแมว", 5),
        ("사과를 먹었다", 2),
        ("GPT 模型", 2),
    ],
)
def test_words_are_counted_in_every_script(text: str, count: int) -> None:
    assert words(text) == count


@given(st.lists(WORD, max_size=20), st.sampled_from([" ", "\n", "\t \u3000"]))
def test_words_stand_between_white_space(texts: list[str], space: str) -> None:
    assert words(space.join(texts)) == len(texts)


def test_the_fewest_words_are_part_of_what_a_run_is() -> None:
    assert identity(REVIEW).digest == identity(REVIEW, min_words=0).digest != identity(REVIEW, min_words=3).digest
    assert "min_words" not in identity(REVIEW).as_json
    two = Task("two", ("a", "b"), labels=("yes", "no"))
    for least, code in ((2, ""), (4, ""), (5, "too_short")):
        piece = {"a": "Oh!", "b": "That was a joke.", "answer": "yes"}
        assert verdict(identity(two, "simprompt", min_words=least), piece) == code
    with pytest.raises(UsageError, match="`min_words` must be from 0 to 1,000, not 1001"):
        identity(REVIEW, min_words=1001)


def test_what_is_rejected_is_no_example_and_is_counted(tmp_path: Path) -> None:
    """A chain whose replies hold echoes beside a row follows the row."""
    who = identity(REVIEW, "random", example=SHOWN, chains=1, num_examples=3, min_words=2)
    asked: list[str] = []

    def answer(request: Any) -> str:
        asked.append(request.messages[1]["content"])
        texts = ["positive", "Lovely.", f"I saw film number {len(asked)} with a friend."]
        return "\n".join(json.dumps({"text": text, "answer": "positive"}) for text in texts)

    lines, error = run_told(tmp_path, who, ScriptedClient(answer), 4, similarity=NoModel("none"))  # type: ignore[arg-type]
    assert error is None and len(lines) == 4 and all("film number" in line for line in lines)
    assert all("film number" in shown for shown in asked[1:])
    with Journal(tmp_path, who.as_json) as journal:
        count = funnel(journal)
    assert count.reasons == {"echo": 4, "too_short": 4} and (count.parsed, count.valid, count.kept) == (12, 4, 4)
    assert count.examples["too_short"].detail == "1 of 2 words: 'Lovely.'"
    assert "a label" in count.examples["echo"].detail


def test_short_rows_are_left_out_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))
    line = ["create", "creak", "--model", "demo", "--strategy", "tree", "-n", "40", "--format", "jsonl"]
    assert main([*line, "--min-words", "9", "--out", str(tmp_path / "rows")]) == 0
    said = capsys.readouterr().out
    assert "too_short" in said and "--min-words 9" in said
    rows = [json.loads(one) for one in (tmp_path / "rows" / "train.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 40 and all(len(row["question"].split()) >= 9 for row in rows)
    assert main([*line, "--min-words", "-1", "--out", str(tmp_path / "none")]) == 2
    assert "--min-words must be from 0 to 1000, not -1" in capsys.readouterr().err
