"""A blind vote for one forward pass: how likely a model of this process holds each option of a row."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from statistics import fmean, median

from ..clients.base import Reply
from ..prompts.examples import Message
from ..tasks.task import Row, Task
from .judge import Asked, Judge, Verdict

# No reply has less of a likelihood, in nats: what does is broken.
_MOST = 1e9
# Rows of a label before its middle counts, and how many of the last are remembered.
_ENOUGH, _REMEMBERED = 8, 512


class Likelihood(Judge):
    """Reads how likely each option is after a row's inputs, and how likely after none; its vote is what they change.

    The question is a text to go on with, a field a line, and no conversation: what a small model has learnt of
    answering instructions drowns what it knows of texts. Options are not listed in it, so none stands before another.

    A model holds some replies likelier than others whatever it is asked. The same question with nothing in its inputs
    shows how much; and where labels are fixed, so do the run's rows before this one in canonical order: what the model
    leans to is the middle of its gains for each given label, the labels counted alike. Of rows that are labelled and
    belong to no run, the empty question alone is taken off.

    Args:
        task (`Task`): the task.
        rule (`str`): `"drop"`, `"relabel"` or `"keep"`, as of [`Judge`].
        description (`str`, *optional*): the task in words, put before the instruction.
        shots (`Sequence[Row]`, *optional*): rows that are shown with their answers before each row.
    """

    in_order = True

    def __init__(self, task: Task, rule: str, description: str = "", shots: Sequence[Row] = ()) -> None:
        super().__init__(task, "likelihood", 1, rule, description, shots)
        self._lean: _Lean | None = None

    def begin(self) -> None:
        """A run begins: no row of it was seen."""
        self._lean = None if self._task.variable else _Lean(len(self._task.labels or ()))

    def verdict(self, row: Row, replies: Sequence[Reply]) -> Verdict:
        """What the likelihoods make of the row, by the rule, after the rows before it."""
        verdict = super().verdict(row, replies)
        gains = gained(row, replies[0])
        if self._lean is not None and gains is not None:
            self._lean.learn(row.answer, gains)
        return verdict

    def ask(self, row: Row, vote: int) -> Asked:
        """The row up to its answer, and each option behind it."""
        nothing = row._replace(inputs=("",) * len(row.inputs))
        choices = tuple(f" {option}" for option in row.options)
        return Asked(self._text(row), None, choices, self._text(nothing))

    def _text(self, row: Row) -> list[Message]:
        shown = "".join(f"{self._lines(shot)} {shot.options[shot.answer]}\n\n" for shot in self._shots)
        return [
            {"role": "system", "content": self.instruction},
            {"role": "user", "content": shown + self._lines(row)},
        ]

    def _lines(self, row: Row) -> str:
        fields = zip(self._task.inputs, row.inputs, strict=True)
        return "".join(f"{name}: {text}\n" for name, text in fields) + f"{self._task.answer}:"

    def read(self, row: Row, reply: Reply) -> tuple[int | None, str]:
        """The option that the inputs make likeliest, and its probability; of two alike none."""
        found = probabilities(row, reply, self._lean.by_option if self._lean is not None else ())
        if found is None:
            return None, ""
        most = max(found)
        return (found.index(most) if found.count(most) == 1 else None), f"p {most:.2f}"

    def _undecided(self, votes: int, given: str) -> str:
        return f"no likelihoods in the reply, or two that are the same: neither for {given} nor for another answer"


class _Lean:
    """What a model leans to whatever the row, learnt from the rows of a run in their order.

    Attributes:
        by_option (`Sequence[float]`): nats to take off the gain of each label; empty until enough rows came.
    """

    def __init__(self, labels: int) -> None:
        self._gains = [deque[list[float]](maxlen=_REMEMBERED) for _ in range(labels)]
        self._count = 0
        self.by_option: Sequence[float] = ()

    def learn(self, answer: int, gains: Sequence[float]) -> None:
        """One more row."""
        middle = fmean(gains)
        self._gains[answer].append([gain - middle for gain in gains])
        self._count += 1
        known = [rows for rows in self._gains if len(rows) >= _ENOUGH]
        if self._count % _ENOUGH == 0 and len(known) > 1:
            self.by_option = [
                fmean(median(row[at] for row in rows) for rows in known) for at in range(len(self._gains))
            ]


def gained(row: Row, reply: Reply) -> list[float] | None:
    """What the inputs add to the log-likelihood of each of the row's options, in nats; `None` where the reply does not
    say."""
    try:
        said = json.loads(reply.text)
    except (ValueError, RecursionError):
        return None
    count = len(row.options)
    full, empty = (_numbers(said, name, count) for name in ("scores", "empty"))
    if full is None or empty is None:
        return None
    return [one - other for one, other in zip(full, empty, strict=True)]


def probabilities(row: Row, reply: Reply, lean: Sequence[float] = ()) -> list[float] | None:
    """How likely each of the row's options is, calibrated; `None` where the reply does not say."""
    gains = gained(row, reply)
    if gains is None:
        return None
    gains = [gain - off for gain, off in zip(gains, lean or [0.0] * len(gains), strict=True)]
    weights = [math.exp(gain - max(gains)) for gain in gains]
    return [weight / sum(weights) for weight in weights]


def _numbers(said: object, name: str, count: int) -> list[float] | None:
    found = said.get(name) if isinstance(said, dict) else None
    if not isinstance(found, list) or len(found) != count:
        return None
    # Neither NaN nor an infinity is within the bounds.
    return found if all(type(one) in (int, float) and abs(one) <= _MOST for one in found) else None
