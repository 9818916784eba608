"""A blind vote for one forward pass: how likely a model of this process holds each option of a row."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from ..clients.base import Reply
from ..tasks.task import Row, Task
from .judge import Asked, Judge, reply_of

# No reply has less of a likelihood, in nats: what does is broken.
_MOST = 1e9


class Likelihood(Judge):
    """Reads how likely each option is after a row's inputs, and how likely after none; its vote is what they change.

    A model holds some replies likelier than others whatever it is asked. The same question with nothing in its inputs
    shows how much, for this row's options in this order alone, so that a verdict depends on no other row.

    Args:
        task (`Task`): the task.
        rule (`str`): `"drop"`, `"relabel"` or `"keep"`, as of [`Judge`].
        description (`str`, *optional*): the task in words, put before the instruction.
        shots (`Sequence[Row]`, *optional*): rows that are shown with their answers before each row.
    """

    def __init__(self, task: Task, rule: str, description: str = "", shots: Sequence[Row] = ()) -> None:
        super().__init__(task, "likelihood", 1, rule, description, shots)

    def ask(self, row: Row, vote: int) -> Asked:
        """The blind question, and the reply for each option."""
        ordered, nothing = _turned(row), row._replace(inputs=("",) * len(row.inputs))
        empty = self._messages(nothing, ordered, vote)
        return Asked(self._messages(row, ordered, vote), None, tuple(map(reply_of, ordered)), empty)

    def read(self, row: Row, reply: Reply) -> tuple[int | None, str]:
        """The option that the inputs make likeliest, and its probability; of two alike none."""
        found = probabilities(row, reply)
        if found is None:
            return None, ""
        most = max(found)
        return (found.index(most) if found.count(most) == 1 else None), f"p {most:.2f}"

    def _undecided(self, votes: int, given: str) -> str:
        return f"no likelihoods in the reply, or two that are the same: neither for {given} nor for another answer"


def probabilities(row: Row, reply: Reply) -> list[float] | None:
    """How likely each of the row's options is, calibrated; `None` where the reply does not say."""
    try:
        said = json.loads(reply.text)
    except (ValueError, RecursionError):
        return None
    count = len(row.options)
    full, empty = (_numbers(said, name, count) for name in ("scores", "empty"))
    if full is None or empty is None:
        return None
    gains = [one - other for one, other in zip(full, empty, strict=True)]
    weights = [math.exp(gain - max(gains)) for gain in gains]
    return [weights[(at - row.key) % count] / sum(weights) for at in range(count)]


def _numbers(said: object, name: str, count: int) -> list[float] | None:
    found = said.get(name) if isinstance(said, dict) else None
    if not isinstance(found, list) or len(found) != count:
        return None
    # Neither NaN nor an infinity is within the bounds.
    return found if all(type(one) in (int, float) and abs(one) <= _MOST for one in found) else None


def _turned(row: Row) -> list[str]:
    """The options, turned by what stands in the row: each stands at each place as often, and the orders are so few
    that the question with nothing in its inputs is read once for each."""
    at = row.key % len(row.options)
    return [*row.options[at:], *row.options[:at]]
