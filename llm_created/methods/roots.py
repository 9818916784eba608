"""A person's formatting examples as roots: all of them, round and round, evenly over the labels."""

from __future__ import annotations

from itertools import chain, zip_longest

from ..runs.identity import Identity
from ..tasks.task import Row


class Roots:
    """The formatting examples of a run, in an order of which each beginning is even over the labels.

    Labels come in the order in which the examples first have them, and the examples of a label in theirs; where
    options vary, all examples are one group.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        groups: dict[int, list[Row]] = {}
        for row in identity.seed_rows:
            groups.setdefault(-1 if identity.task.variable else row.answer, []).append(row)
        self._groups = list(groups.values())

    def once(self) -> list[Row]:
        """Each of them once, the labels in turn as long as they last."""
        return [row for row in chain.from_iterable(zip_longest(*self._groups)) if row is not None]

    def at(self, number: int) -> Row:
        """The example of this number, from 0, where labels come in turn for ever and each goes round its own."""
        turn, label = divmod(number, len(self._groups))
        group = self._groups[label]
        return group[turn % len(group)]
