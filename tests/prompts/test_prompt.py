"""What is asked and what is read: two halves of one contract."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created import Reason, Row, Task
from llm_created.prompts import schemas
from llm_created.prompts.examples import instruction, parse, render

CHOICE = {"question": "Where is bread sold?", "options": ["bakery", "bank", "zoo"], "answer": "bakery"}
TASK = Task.from_example(CHOICE, label_space="variable")
CLOSED = Task.from_example({"claim": "Ice is cold.", "passage": "Ice.", "options": ["yes", "no"], "answer": "yes"})

PAPER = """\
- You are creating 5 examples that follow the format of the example provided, but with a different content.
- The created examples **must** all have different answers.
- The output **must** be in unnumbered JSON format."""


def test_the_papers_instruction_word_for_word() -> None:
    assert instruction(TASK, 5, paper=True) == PAPER
    fixed = instruction(CLOSED, 5, paper=True)
    assert fixed == PAPER + "\n- The created examples **must** have the same options as the provided example."


def test_our_instruction_demands_the_same_and_takes_guardrails() -> None:
    ours = instruction(TASK, 3, extra="\nNothing about weapons.\n")
    assert ours.startswith("- You are creating 3 examples that follow the format of the example provided")
    assert "must** all have different answers" in ours and "unnumbered JSON" in ours
    assert ours.endswith("\nNothing about weapons.")
    named = instruction(CLOSED, 3)
    assert '"answer" **must** be one of ["yes", "no"].' in named and "same options" not in named
    assert 'with the keys "answer", "claim", "passage" in this order' in named
    assert "different answers" not in instruction(CLOSED, 5), "five answers cannot differ where there are two"


def test_the_example_is_real_json_in_the_papers_order() -> None:
    tricky = {
        "claim": 'She said "no".\nTwice \\ and {more}',
        "passage": "täst ✓",
        "options": ["yes", "no"],
        "answer": "no",
    }
    row = CLOSED.read(tricky)
    assert isinstance(row, Row)
    system, user = render(CLOSED, row, instruction(CLOSED, 5, paper=True))
    shown = json.loads(user["content"])
    assert list(shown) == ["options", "answer", "claim", "passage"]
    named = json.loads(render(CLOSED, row, instruction(CLOSED, 5))[1]["content"])
    assert list(named) == ["answer", "claim", "passage"], "what the instruction names is not shown again"
    assert {**shown, **named} == shown and CLOSED.read(named) == CLOSED.read(shown) == row
    assert shown["claim"] == tricky["claim"] and "täst ✓" in user["content"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].splitlines()[1] == '  "options": ["yes", "no"],'


PIECES: list[dict[str, Any]] = [
    {"question": f"Question {n}?", "options": [f"a{n}", f"b{n}", f"c{n}"], "answer": f"b{n}"} for n in range(3)
]
LINES = "\n".join(json.dumps(piece) for piece in PIECES)


@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        LINES.replace("\n", "\n\n"),
        LINES.replace("\n", ","),
        LINES.replace("\n", " "),
        json.dumps(PIECES),
        json.dumps(PIECES, indent=4),
        "\n".join(json.dumps(piece, indent=2) for piece in PIECES),
        json.dumps({"examples": PIECES}),
        json.dumps({"examples": PIECES}, indent=1),
        json.dumps({"1": PIECES[0], "2": PIECES[1], "3": PIECES[2]}),
        json.dumps({"data": {"examples": PIECES}}),
        json.dumps([{"example": piece} for piece in PIECES]),
        f"```json\n{LINES}\n```",
        f"```\n{json.dumps(PIECES)}\n```\nI hope this helps!",
        "\n".join(f"```json\n{json.dumps(piece)}\n```" for piece in PIECES),
        f"Sure! Here are three {{nice}} examples:\n\n{LINES}\n\nLet me know.",
        "\n".join(f"{n + 1}. {json.dumps(piece)}" for n, piece in enumerate(PIECES)),
        LINES.replace("\n", "\r\n"),
        "\ufeff" + LINES,
        "<think>What about {this}?</think>" + LINES,
    ],
)
def test_every_shape_of_reply_is_read(reply: str) -> None:
    rows = [piece for piece in parse(TASK, reply) if not isinstance(piece, Reason)]
    assert rows == PIECES


def test_the_whole_rows_of_a_cut_off_reply_are_kept() -> None:
    for whole in (
        LINES,
        json.dumps(PIECES),
        json.dumps({"examples": PIECES}),
        json.dumps({"examples": PIECES}, indent=2),
    ):
        cut = whole[: whole.index("Question 2") + 5]
        pieces = parse(TASK, cut)
        assert pieces[:2] == PIECES[:2]
        assert [piece.code for piece in pieces[2:] if isinstance(piece, Reason)] == ["cut_off"]


def test_a_broken_piece_costs_that_piece_alone() -> None:
    broken = f'{json.dumps(PIECES[0])}\n{{"question" "oh", "options": [}}\n{json.dumps(PIECES[1])}'
    pieces = parse(TASK, broken)
    assert [piece for piece in pieces if not isinstance(piece, Reason)] == PIECES[:2]
    assert [piece.code for piece in pieces if isinstance(piece, Reason)] == ["not_json"]


@pytest.mark.parametrize(
    ("reply", "code"), [("", "empty_reply"), (" \n ", "empty_reply"), ("I cannot do that.", "not_json")]
)
def test_a_reply_without_json_is_one_reason(reply: str, code: str) -> None:
    assert [piece.code for piece in parse(TASK, reply) if isinstance(piece, Reason)] == [code]


@pytest.mark.parametrize(
    "reply",
    [
        "{" * 5_000_000,
        "[" * 5_000_000,
        '{"a":' * 1_000_000,
        '{"a":[' * 1_000_000,
        '{"question": "' + "x" * 10_000_000,
        LINES + "}{" * 2_000_000,
        '{"a": {' * 300 + " " * 900_000,
    ],
)
def test_a_runaway_reply_costs_a_moment(reply: str) -> None:
    began = time.process_time()
    pieces = parse(TASK, reply)
    # Not a measurement: quadratic work on 10 MB takes hours, this guards against hanging.
    assert time.process_time() - began < 20
    assert len(pieces) <= 1_001
    assert any(isinstance(piece, Reason) for piece in pieces)


@given(st.text(alphabet=st.sampled_from('{}[]":,\\ \n`aé1\ud800'), max_size=200) | st.text(max_size=200))
def test_no_reply_crashes_parse(reply: str) -> None:
    for piece in parse(TASK, reply):
        assert isinstance(piece, (dict, Reason))


@given(st.text(max_size=200), st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), st.text(max_size=50))
def test_whole_rows_survive_any_prose_without_brackets(before: str, pieces: list[dict[str, Any]], after: str) -> None:
    reply = before.replace("{", "(") + "\n" + "\n".join(map(json.dumps, pieces)) + "\n" + after.replace("{", "(")
    assert [piece for piece in parse(TASK, reply) if not isinstance(piece, Reason)] == pieces


TEXT = st.text(min_size=1, max_size=60)


@given(TEXT, TEXT, st.lists(TEXT, min_size=2, max_size=5), st.integers(0, 4))
def test_a_row_that_render_writes_reads_back_to_itself(
    question: str, context: str, options: list[str], at: int
) -> None:
    variable = Task("v", ("question", "context"))
    fixed = Task("f", ("question", "context"), labels=("True", "False"))
    answer = options[at % len(options)]
    for task, piece in (
        (variable, {"question": question, "context": context, "options": options, "answer": answer}),
        (fixed, {"question": question, "context": context, "answer": at % 2 == 0}),
    ):
        row = task.read(piece)
        if isinstance(row, Row):
            shown = render(task, row, "write")[1]["content"]
            assert [task.read(piece) for piece in parse(task, shown)] == [row]


def test_the_schema_says_what_is_known() -> None:
    one, three = (inside(schemas.of_rows(Task("any", TASK.inputs), rows)) for rows in (1, 3))
    assert three["properties"]["examples"] == {"type": "array", "items": one, "minItems": 3, "maxItems": 3}
    assert three["required"] == ["examples"] and three["additionalProperties"] is False
    assert list(one["properties"]) == one["required"] == ["question", "options", "answer"]
    options = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    assert one["properties"]["options"] == options | {"minItems": 2}, "nobody says how many"
    five = inside(schemas.of_rows(Task("five", ("question",), num_options=5), 1))["properties"]
    assert five["options"] == options | {"minItems": 5, "maxItems": 5} and five["answer"] == {"type": "string"}


def test_the_schema_pins_what_a_row_must_have() -> None:
    listed = inside(schemas.of_rows(CLOSED, 1))
    assert list(listed["properties"]) == ["options", "answer", "claim", "passage"]
    assert listed["properties"]["options"]["const"] == ["yes", "no"] == listed["properties"]["answer"]["enum"]
    made = schemas.of_rows(CLOSED, 1, "no", {"passage": "Ice."}, lists_options=False)
    pinned = inside(made)["properties"]
    assert list(pinned) == ["answer", "claim", "passage"] and made["json_schema"]["strict"] is True
    assert [one.get("enum") for one in pinned.values()] == [["no"], None, ["Ice."]]


def inside(response_format: Any) -> Any:
    return response_format["json_schema"]["schema"]
