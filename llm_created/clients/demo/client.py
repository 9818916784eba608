"""The demo writer: a client that stands in for a model, offline, and only when asked for by name."""

from __future__ import annotations

import json
import re
from random import Random
from typing import TYPE_CHECKING, Any

from ...utils.text import digest
from ..base import Reply, Request, estimate
from .shapes import Shape, recognise, unknown

if TYPE_CHECKING:
    from .methods import Asked

_ASKED = re.compile(r"creating (\d+) examples?")
_NAMED = re.compile(r'^- In each of them, "(?:[^"\\]|\\.)*" \*\*must\*\* be one of (\[.*\])\.$', re.M)
# How a reply is laid out: how often, what stands before, between and after its objects, and their indent.
_FORMS = (
    (70, "", "\n", "", None),
    (9, "", "\n", "", 2),
    (7, "[\n", ",\n", "\n]", None),
    (7, "```json\n", "\n", "\n```", None),
    (7, "Here are the new examples, in the same format:\n\n", "\n", "", None),
)
_FAULTS = ("broken", "repeated", "foreign answer", "option twice", "cut off")


class DemoClient:
    """Answers from small tables of facts, as text, reading the same messages as a model would.

    What the tables cannot fill is written from templates by the names of the fields (`methods`).

    A reply depends on the arguments below and on the request alone, never on the order of the calls.

    Args:
        seed (`int`, defaults to 0): another seed gives other rows.
        held_out (`bool`, defaults to `False`): write from the half of the facts that the other half never mentions.
        faults (`float`, defaults to 0.04): the share of rows that are spoilt on purpose, as models spoil some.

    Raises:
        RunFailed: on `complete`, where no options are named, or more than there are.
    """

    def __init__(self, seed: int = 0, held_out: bool = False, faults: float = 0.04) -> None:
        self.seed = seed
        self.held_out = held_out
        self.faults = faults

    async def complete(self, request: Request) -> Reply:
        """As many new examples as the instruction asks for, with the keys it names or those of the formatting example;
        or the list or the judgement that is asked for."""
        messages = [dict(message) for message in request.messages]
        if request.choices:
            return self._scored(request, messages)
        name = (self.seed, self.held_out, request.lane, request.key, request.occurrence, digest(messages))
        text, finish_reason = self._answer(messages, Random(repr(name)))
        return Reply(text, estimate(messages, text), model="demo", finish_reason=finish_reason)

    def _scored(self, request: Request, messages: list[dict[str, str]]) -> Reply:
        """Likelihoods by which the answer that it holds right is the likeliest, whatever stands first."""
        from . import methods

        answer = methods.believed((_said(messages, "user") or [""])[-1], request.choices, Random(request.key))
        empty = [-1.0 - at for at in range(len(request.choices))]
        scores = [one + 2.0 * (choice == answer) for one, choice in zip(empty, request.choices, strict=True)]
        text = json.dumps({"scores": scores, "empty": empty} if request.empty else scores)
        return Reply(text, estimate(messages, text), model="demo", finish_reason="scored")

    def _answer(self, messages: list[dict[str, str]], rng: Random) -> tuple[str, str]:
        from . import methods

        system, user = " ".join(_said(messages, "system")), (_said(messages, "user") or [""])[-1]
        told = methods.told(system, user, rng, self.held_out)
        if told:
            return told, "stop"
        asked = methods.one_row(system, user) or _several(system, user)
        shape = recognise(asked.example)
        rows: list[dict[str, Any]] = []
        faults: list[str] = []
        answers: set[str] = set()
        for _ in range(asked.rows):
            row = methods.written(shape, asked, rng, self.held_out, answers)
            answers.add(row[shape.answer])
            fault = rng.choices(_FAULTS, (6, 5, 4, 4, 1))[0] if rng.random() < self.faults else ""
            if fault == "repeated":
                row = rows[-1] if rows else methods.given(shape, asked, self.held_out)
            rows.append(_spoilt(row, fault, shape, asked))
            faults.append(fault)
        return _dress(rows, faults, rng)


def _example(content: str) -> dict[str, Any]:
    """The formatting example: the first JSON object of the last user message."""
    try:
        example = json.JSONDecoder(strict=False).raw_decode(content, content.index("{"))[0]
    except ValueError:
        raise unknown("is not a JSON object", []) from None
    return {str(key): value for key, value in example.items()}


def _said(messages: list[dict[str, str]], role: str) -> list[str]:
    return [message["content"] for message in messages if message["role"] == role]


def _several(system: str, user: str) -> Asked:
    """As many rows as the instruction asks for, like the example."""
    from . import methods

    count, named, example = _ASKED.search(system), _NAMED.search(system), _example(user)
    if named:
        example = {methods.UNLISTED: json.loads(named[1])} | example
    return methods.Asked(int(count[1]) if count else 5, example, methods.must(user), lists=not named)


def _spoilt(row: dict[str, Any], fault: str, shape: Shape, asked: Asked) -> dict[str, Any]:
    listed = row.get(shape.options, asked.example[shape.options])
    row = row if asked.lists else {key: value for key, value in row.items() if key != shape.options}
    if fault == "option twice":
        return row | {shape.options if asked.lists else "options": [*listed, listed[0]]}
    return row | {shape.answer: "not sure"} if fault == "foreign answer" else row


def _dress(rows: list[dict[str, Any]], faults: list[str], rng: Random) -> tuple[str, str]:
    """The text of a reply in one of the forms that models use, and its finish reason."""
    _, before, between, after, indent = rng.choices(_FORMS, [form[0] for form in _FORMS])[0]
    texts = [json.dumps(row, ensure_ascii=False, indent=indent) for row in rows]
    for i, fault in enumerate(faults):
        # Only the end of a reply can be cut off: elsewhere the object is broken.
        if fault == "broken" or (fault == "cut off" and i < len(faults) - 1):
            texts[i] = texts[i].replace('": ', '" ', 1)
    if faults[-1:] == ["cut off"]:
        return before + between.join([*texts[:-1], texts[-1][: len(texts[-1]) // 2]]), "length"
    return before + between.join(texts) + after, "stop"
