"""Which label a call demands, so that the labels that are short catch up."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs.identity import Identity
from ..tasks.task import Row
from ..utils.draws import evenly


class LabelSchedule:
    """Which label each turn asks for, so that the labels that are short catch up.

    Turns are planned in blocks; a block goes by the rows that were committed before a point that lies before it in
    the canonical order, and fills up the fewest first as if every turn gave what it was asked for. So the schedule
    depends on positions alone, and not on how many rows are wanted or in flight.
    """

    def __init__(self, identity: Identity) -> None:
        self._count = [0] * len(identity.task.labels or ())
        self._per_turn = identity.num_examples
        self._seed = identity.seed
        self._blocks: dict[int, tuple[list[int], list[int]]] = {}

    def count(self, rows: Sequence[Row]) -> None:
        """Rows were committed."""
        for row in rows:
            self._count[row.answer] += 1

    def begin(self, block: int) -> None:
        """A block begins with what is committed now."""
        self._blocks[block] = (list(self._count), [])
        self._blocks.pop(block - 4, None)

    def label(self, block: int, at: int) -> int:
        """The label that the turn number `at` of the block asks for."""
        counts, planned = self._blocks[block]
        while len(planned) <= at:
            number = len(planned)
            first = evenly(self._seed, f"label/{block}", number, len(counts))
            fewest = min(range(len(counts)), key=lambda label: (counts[label], (label - first) % len(counts)))
            counts[fewest] += self._per_turn
            planned.append(fewest)
        return planned[at]
