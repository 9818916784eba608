"""What the loop asks of a strategy: which call comes next, and what its reply holds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..prompts.examples import Message
from ..tasks.task import Reason, Row

NOTHING: Mapping[str, Any] = {}


class Turn(NamedTuple):
    """One call: its place in the canonical order, the lane that asks, and what it is for.

    Attributes:
        position (`int`): from 0; turns are committed in this order.
        lane (`int`): the chain or round that asks, or 0.
        rows (`int`): rows that a whole reply gives; 0 where a list is asked for.
        example (`Row`, *optional*): the formatting example that is shown.
        label (`int`, *optional*): the label that is asked for.
        drawn (`Mapping[str, Any]`): what else was drawn for the turn, or is asked for; a report shows it.
        beside (`tuple[Row, ...]`): further examples that are shown with `example`.
    """

    position: int
    lane: int
    rows: int
    example: Row | None = None
    label: int | None = None
    drawn: Mapping[str, Any] = NOTHING
    beside: tuple[Row, ...] = ()


class Strategy(Protocol):
    """Plans turns, and is told what became of them.

    Positions are committed in order, whatever the order of arrival, and everything that is planned depends on what
    was committed or on one reply alone, never on what came first. `next` looks, `start` takes; `read` and `arrived`
    come in any order, `committed` in the order of positions.
    """

    def next(self) -> Turn | None:
        """The first turn of which all is known and that has not started, or `None` until more is known."""
        ...

    def start(self, turn: Turn) -> None:
        """`turn`, which `next` gave, is being asked."""
        ...

    def ask(self, turn: Turn) -> tuple[list[Message], Mapping[str, Any] | None]:
        """The messages of a turn, and the `response_format` for servers with structured output."""
        ...

    def read(self, turn: Turn, text: str) -> list[Row | Reason]:
        """The pieces of a reply, in order; of a list nothing, or the reason why it is none."""
        ...

    def arrived(self, turn: Turn, rows: Sequence[Row], similarity: Mapping[str, float]) -> None:
        """The valid rows of the turn's reply, and for each row id its similarity to the turn's example if asked."""
        ...

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        """The rows of the turn that the pool accepted."""
        ...

    def rows_before(self, position: int) -> int:
        """How many turns before this position ask for rows."""
        ...

    def unlikely(self, position: int) -> int:
        """How many turns from this position on come only where another one fails."""
        ...

    def void(self, position: int) -> bool:
        """Whether the turn at this position will never be: a list that was to feed it had too few items."""
        ...


def turns_to_come(plan: Strategy, position: int, rows: int) -> int:
    """Turns from this position on until so many have asked for rows: lists stand between them."""
    if not rows:
        return 0
    wanted = plan.rows_before(position) + rows
    if plan.rows_before(position + rows) == wanted:
        return rows
    last = bisect_left(range(100 * (position + rows) + 1000), wanted, key=plan.rows_before)
    return max(last - position - plan.unlikely(position), rows)
