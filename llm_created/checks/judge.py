"""Second thoughts about a row's label: verification by blind votes, and TarGEN's self-correction.

A third one, which reads a model's likelihoods, stands in `likelihood.py`.

A judge asks about one row and comes to a verdict; verdicts decide what is emitted, never what is asked next, so a
judge can be added to a finished run, and buys its own calls alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..clients.base import Reply
from ..prompts.examples import Message
from ..tasks.task import Reason, Row, Task
from ..utils.text import clean, digest, shorten
from .answers import read_answer

_BLIND = """\
You are given an example of a task, without its answer. Choose the answer among its options. The output **must** be \
one JSON object with the key "answer", whose value is the chosen option word for word."""
_THINK = """\
You are given an example of a task, without its answer. Choose the answer among its options. The output **must** be \
one JSON object with the keys "explanation", which says in one or two sentences step by step how the answer follows, \
and "answer", whose value is the chosen option word for word."""
_RECHECK = """\
You are given an example of a task with the label that it was given. Recheck whether the label is right. The output \
**must** be one JSON object with the keys "explanation", which says in one or two sentences why the label is right or \
which one is, and "answer", whose value is the right option word for word."""
# Demonstrations that give no explanation are imitated, whatever the instruction says.
_UNEXPLAINED = (
    """ The answers of the examples shown first are given without an explanation; yours **must** have one."""
)


class Verdict(NamedTuple):
    """What a judge makes of a row.

    Attributes:
        row (`Row`): the row, with another answer where the rule says so.
        reason (`Reason`, *optional*): why it is not emitted.
        judged (`int`, *optional*): index of the option that the judge holds right, `None` for no majority.
        votes (`str`): JSON: for each vote the index of the option, or `null`.
        detail (`str`): the explanation, where one was asked for.
    """

    row: Row
    reason: Reason | None
    judged: int | None
    votes: str
    detail: str = ""


class Asked(NamedTuple):
    """What a judge asks about a row.

    Attributes:
        messages (`list[Message]`): the question.
        schema (`Mapping[str, Any]`, *optional*): the `response_format`.
        choices (`tuple[str, ...]`): whole replies whose likelihood is asked for instead of one that is written.
        empty (`list[Message]`): beside them, the question with nothing in its inputs.
    """

    messages: list[Message]
    schema: Mapping[str, Any] | None
    choices: tuple[str, ...] = ()
    empty: Sequence[Message] = ()


class Judge:
    """Asks about a row, and comes to a verdict by a stated rule.

    - `"drop"`: a row is emitted if more than half of the votes are for its answer.
    - `"relabel"`: a row gets the answer that more than half of the votes are for; without one it is dropped.
    - `"keep"`: every row is emitted as it is, and the verdict is shown.

    Args:
        task (`Task`): the task.
        kind (`str`): `"verify"`, blind votes; `"think"`, the same with an explanation before the answer;
            `"likelihood"`, the same without a word, see there; `"self_correct"`, one call that sees the label
            (TarGEN, step 4, https://arxiv.org/abs/2310.17876).
        votes (`int`): calls for one row.
        rule (`str`): `"drop"`, `"relabel"` or `"keep"`.
        description (`str`, *optional*): the task in words, put before the instruction.
        shots (`Sequence[Row]`, *optional*): rows that are shown with their answers before each row.
        explained (`Mapping[str, str]`, *optional*): explanations of the shots' answers, by the id of the shot.

    Attributes:
        instruction (`str`): the system message.
        in_order (`bool`): its verdicts depend on those on the rows before, and are asked for in canonical order.
    """

    in_order = False

    def __init__(
        self,
        task: Task,
        kind: str,
        votes: int,
        rule: str,
        description: str = "",
        shots: Sequence[Row] = (),
        explained: Mapping[str, str] | None = None,
    ) -> None:
        self._task, self.kind, self.votes, self.rule = task, kind, votes, rule
        self._shots, self._explained = shots, explained or {}
        self._shows_label, self._explains = kind == "self_correct", kind in ("think", "self_correct")
        self.instruction = "\n\n".join(filter(None, (description, _INSTRUCTIONS[kind])))
        if self._explains and any(shot.id not in self._explained for shot in shots):
            self.instruction += _UNEXPLAINED

    def begin(self) -> None:
        """A run begins."""

    def key(self, row_id: str, asked: Asked) -> str:
        """The request's name in the journal: whatever else has the same words, the vote belongs to its row."""
        return digest([self.kind, row_id, *(message["content"] for message in (*asked.messages, *asked.empty))])

    def ask(self, row: Row, vote: int) -> Asked:
        """The question about a row, its options in an order of this vote's own."""
        ordered = _ordered(row, vote)
        return Asked(self._messages(row, ordered, vote), _schema(ordered, self._explains))

    def _messages(self, row: Row, ordered: Sequence[str], vote: int) -> list[Message]:
        messages: list[Message] = [{"role": "system", "content": self.instruction}]
        for shot in self._shots:
            replied: Message = {"role": "assistant", "content": self._reply(shot)}
            messages += [self._shown(shot, _ordered(shot, vote)), replied]
        return [*messages, self._shown(row, ordered)]

    def _shown(self, row: Row, ordered: Sequence[str]) -> Message:
        shown: dict[str, Any] = dict(zip(self._task.inputs, row.inputs, strict=True))
        shown[self._task.options] = ordered
        if self._shows_label:
            shown[self._task.answer] = row.options[row.answer]
        return {"role": "user", "content": json.dumps(shown, ensure_ascii=False, indent=2)}

    def _reply(self, shot: Row) -> str:
        said = self._explained.get(shot.id, "") if self._explains else ""
        return reply_of(shot.options[shot.answer], said)

    def read(self, row: Row, reply: Reply) -> tuple[int | None, str]:
        """The option that a reply is for, `None` where that is not plain, and what more it says."""
        return read_answer(reply, row.options, self._task)

    def verdict(self, row: Row, replies: Sequence[Reply]) -> Verdict:
        """What the replies make of the row, by the rule."""
        read = [self.read(row, reply) for reply in replies]
        votes = [answer for answer, _ in read]
        judged = majority(votes)
        detail = clean(next((said for _, said in read if said), ""))
        told = json.dumps(votes)
        if self.rule == "keep" or judged == row.answer:
            return Verdict(row, None, judged, told, detail)
        if self.rule == "relabel" and judged is not None:
            return Verdict(self._task.relabel(row, judged), None, judged, told, detail)
        given = repr(shorten(row.options[row.answer], 40))
        if judged is None:
            why = self._undecided(len(votes), given)
        else:
            why = f"given {given}, judged {shorten(row.options[judged], 40)!r}"
        return Verdict(row, Reason(self.kind, why), judged, told, detail)

    def _undecided(self, votes: int, given: str) -> str:
        return f"no majority of {votes} for {given} or another answer"


_INSTRUCTIONS = {"verify": _BLIND, "likelihood": "", "think": _THINK, "self_correct": _RECHECK}


def reply_of(option: str, explanation: str = "") -> str:
    """The reply that is for an option."""
    return json.dumps(({"explanation": explanation} if explanation else {}) | {"answer": option}, ensure_ascii=False)


def majority(votes: Sequence[int | None]) -> int | None:
    """What more than half of all votes are for; a vote that could not be read is for nothing."""
    for answer, count in Counter(vote for vote in votes if vote is not None).most_common(1):
        return answer if 2 * count > len(votes) else None
    return None


def _ordered(row: Row, vote: int) -> list[str]:
    # By what stands in the row but for its answer: a judge before may have changed that.
    return sorted(row.options, key=lambda option: _rank(row.key, vote, option))


def _rank(key: int, vote: int, option: str) -> bytes:
    return hashlib.blake2b(f"{key}/{vote}/{option}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _schema(options: Sequence[str], explains: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {"explanation": {"type": "string"}} if explains else {}
    properties["answer"] = {"type": "string", "enum": list(options)}
    whole = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": whole}}
