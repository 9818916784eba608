"""Which option a judge's reply names: what people's models really write, and what must never count as a vote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created import Task
from llm_created.checks.answers import read_answer
from llm_created.clients.base import Reply
from llm_created.prompts.examples import read
from llm_created.tasks.task import Row

YES = ("yes", "no")
NLI = ("entailment", "not_entailment")
THREE = ("entailment", "contradiction", "neutral")
TASK = Task("nli", ("premise",), labels=THREE, answer="kind")
ECHO = '{"premise": "p", "options": ["entailment", "contradiction", "neutral"], "kind": "neutral"}'


@pytest.mark.parametrize(
    ("text", "options", "wanted"),
    [
        ('{"answer": "yes"}', YES, "yes"),
        ('{"answer": "Yes."}', YES, "yes"),
        ('{"answer": "**no**"}', YES, "no"),
        ('{"answer": ["no"]}', YES, "no"),
        ('{"answer": true}', YES, "yes"),
        ('{"answer": "no, because it rains"}', YES, "no"),
        ('{"answer": "A) entailment"}', NLI, "entailment"),
        ('{"answer": "not entailment"}', NLI, "not_entailment"),
        ('{"Answer": "Not-Entailment"}', NLI, "not_entailment"),
        ('{"kind": "neutral"}', THREE, "neutral"),
        ('{"examples": [{"answer": "neutral"}]}', THREE, "neutral"),
        ('{"explanation": "so"}\n{"answer": "neutral"}', THREE, "neutral"),
        ('```json\n{"answer": "contradiction"}\n```', THREE, "contradiction"),
        (ECHO + '\n{"answer": "contradiction"}', THREE, "contradiction"),
        ('<think>perhaps {"answer": "neutral"}</think>{"answer": "entailment"}', THREE, "entailment"),
        ("entailment", NLI, "entailment"),
        ("not entailment.", NLI, "not_entailment"),
        ("Answer: **not_entailment**", NLI, "not_entailment"),
        ("I think it's entailment.", NLI, "entailment"),
        ("The correct label is contradiction, since the two cannot both hold.", THREE, "contradiction"),
        ("Both speak of rain.\nSo the answer is neutral.", THREE, "neutral"),
        ("This is not entailment.", NLI, "not_entailment"),
        ("Yes, the bridge is closed.", YES, "yes"),
        ("True", YES, "yes"),
    ],
)
def test_what_names_an_option(text: str, options: tuple[str, ...], wanted: str) -> None:
    found, _ = read_answer(Reply(text), options, TASK)
    assert found is not None and options[found] == wanted


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", YES),
        ("I have no idea, sorry.", YES),
        ("As an AI language model, I have no opinion.", YES),
        ("I'm sorry, but I cannot judge this; there is no way to know.", YES),
        ("I do not know", YES),
        ("This is not neutral.", THREE),
        ('The option "contradiction" is wrong; choose the third.', THREE),
        ('{"explanation": "At first sight one would say neutral, but the premise', THREE),
        ('{"answer": null}', THREE),
        ('{"answer": "entailment or neutral"}', THREE),
        ('{"answer": 2}', THREE),
        (ECHO, THREE),
        ("<think>It is neutral", THREE),
        ("Entailment.\nOn second thoughts: neutral.", THREE),
        ("B", THREE),
    ],
)
def test_what_names_none(text: str, options: tuple[str, ...]) -> None:
    assert read_answer(Reply(text), options, TASK)[0] is None


def test_a_refusal_is_no_vote_and_explanations_are_kept() -> None:
    assert read_answer(Reply("yes", reason="refusal"), YES) == (None, "")
    assert read_answer(Reply('{"explanation": "so it is", "answer": "no"}'), YES) == (1, "so it is")


@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=5, unique=True))
def test_any_text_is_read_without_an_error(text: str, options: list[str]) -> None:
    found, said = read_answer(Reply(text), options)
    assert (found is None or 0 <= found < len(options)) and isinstance(said, str)


@given(st.sampled_from(THREE))
def test_the_option_word_for_word_is_always_read(option: str) -> None:
    for text in (option, json.dumps({"answer": option}), f"The answer is {option}."):
        assert read_answer(Reply(text), THREE)[0] == THREE.index(option)


def test_a_draft_in_the_thoughts_of_a_writer_is_no_row() -> None:
    def row(text: str) -> str:
        return json.dumps({"premise": text, "kind": "neutral"})

    found = read(TASK, f"<think>Let me try {row('Draft.')}</think>\n{row('Final.')}")
    assert [one.inputs for one in found if isinstance(one, Row)] == [("Final.",)]
