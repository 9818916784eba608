"""The accepted rows, as far as the next one needs them: what would make it a duplicate."""

from __future__ import annotations

from ..tasks.task import Row


class Pool:
    """Keys of the rows accepted so far, each with the position of the turn that brought it.

    One dictionary entry a row, so that the millionth row costs what the first one did.

    Args:
        *seeds (`Row`): the formatting examples, which are never rows.
    """

    def __init__(self, *seeds: Row) -> None:
        self._turn_of = {seed.key: -1 for seed in seeds}
        self._seeds = len(self._turn_of)

    def __len__(self) -> int:
        return len(self._turn_of) - self._seeds

    def __contains__(self, row: Row) -> bool:
        return row.key in self._turn_of

    def add(self, row: Row, position: int) -> bool:
        """Accept a row brought by the turn at `position`; `False` if it is a duplicate."""
        if row.key in self._turn_of:
            return False
        self._turn_of[row.key] = position
        return True

    def first_seen(self, row: Row) -> int | None:
        """The position of the turn that brought this row, -1 for a formatting example, `None` if it is new."""
        return self._turn_of.get(row.key)
