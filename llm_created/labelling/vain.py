"""When to give up: replies in a row that name no option."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..checks.judge import Judge
from ..clients.base import Reply
from ..creation.progress import Tally
from ..errors import StoppedShort
from ..tasks.task import Row


class Vain:
    """Counts the replies in a row that name no option.

    Args:
        judge (`Judge`): reads them.
        patience (`int`): how many of them are enough.
    """

    def __init__(self, judge: Judge, patience: int) -> None:
        self._judge, self._patience, self._in_a_row, self._enough = judge, patience, 0, False

    def counts(self, row: Row, reply: Reply) -> bool:
        """Take a reply into account, and say whether it is enough."""
        vote, _ = self._judge.read(row, reply)
        self._in_a_row = 0 if vote is not None else self._in_a_row + 1
        self._enough = self._enough or self._in_a_row >= self._patience
        return self._enough

    @asynccontextmanager
    async def told(self, tally: Tally) -> AsyncIterator[None]:
        """Whatever else is said at a stop, this is why, once there was enough."""
        try:
            yield
        except StoppedShort:
            if not self._enough:
                raise
            raise StoppedShort(
                f"stopped with {tally.expected_calls} calls to make: {self._patience} replies in a row name no option "
                "(`patience`); look at what the model answers, and whether it is the right one"
            ) from None
