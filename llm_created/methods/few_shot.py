"""Several examples in a call: some of the person's, some that were accepted before (Self-Instruct, arXiv 2212.10560).

A call at a position shows rows that were committed before the block before its own, and never what came first; which
ones, a hash says, by which one row less moves few others.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from ..runs.identity import Identity
from ..tasks.task import Row
from ..utils.draws import evenly
from .base import Turn
from .self_reference import SelfReference

# Of the examples in a call, the paper shows a quarter that were accepted: 2 of 8.
_SHARE = 4
# The last blocks are as long as this; the first ones are shorter, so that a short run is shown accepted rows, too.
_BLOCK, _FIRST = 64, 4
# A draw looks at so many rows from a point on: what would be uneven between two points evens out.
_NEAR = 16


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def block_of(position: int) -> int:
    """Blocks begin at 0, 4, 8, 16, 32, 64, 128, 192 ..."""
    if position < _BLOCK:
        return (position // _FIRST).bit_length()
    return (_BLOCK // _FIRST).bit_length() + (position - _BLOCK) // _BLOCK


def start_of(block: int) -> int:
    """The position at which a block begins."""
    doubled = (_BLOCK // _FIRST).bit_length()
    if block >= doubled:
        return _BLOCK * (block - doubled + 1)
    return _FIRST << (block - 1) if block else 0


class _Ring:
    """Rows by where they are from, each place at a point by hash; a draw begins at a point of its own.

    Places stay where they are when one loses a row, so a draw changes only where its own row is another one.

    Args:
        seed (`int`): the run's.
    """

    def __init__(self, seed: int) -> None:
        self._seed, self._points, self._rows = seed, list[int](), dict[int, list[Row]]()

    def add(self, row: Row, place: str) -> None:
        """One more row."""
        point = _number(f"{self._seed}/{place}")
        if point not in self._rows:
            insort(self._points, point)
        self._rows.setdefault(point, []).append(row)

    def draw(self, name: str, taken: Mapping[str, Row]) -> Row | None:
        """A row that is not taken, or `None`."""
        name, count = f"{self._seed}/{name}", len(self._points)
        first = bisect_left(self._points, _number(name))
        near = (self._points[(first + at) % count] for at in range(min(count, _NEAR + len(taken))))
        for point in sorted(near, key=lambda point: _number(f"{name}/{point}")):
            free = [row for row in self._rows[point] if row.id not in taken]
            if free:
                return min(free, key=lambda row: _number(f"{name}/{row.id}"))
        return None


class _Shelf:
    """Rows by label, where labels are fixed, so that each can be drawn as often as another.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        self._seed, self._variable = identity.seed, identity.task.variable
        self._rings: dict[int, _Ring] = {}
        self._labels: list[int] = []

    def add(self, row: Row, place: str) -> None:
        """One more row."""
        label = 0 if self._variable else row.answer
        if label not in self._rings:
            self._rings[label] = _Ring(self._seed)
            insort(self._labels, label)
        self._rings[label].add(row, place)

    def draw(self, label: int, name: str, taken: Mapping[str, Row]) -> Row | None:
        """A row with this label, or the next one that has any, or `None` where all are taken."""
        first = bisect_left(self._labels, label)
        for at in range(len(self._labels)):
            ring = self._rings[self._labels[(first + at) % len(self._labels)]]
            if (row := ring.draw(name, taken)) is not None:
                return row
        return None


class FewShot(SelfReference):
    """The strategy `pool`: each call shows `identity.shown` examples, at least one of them the person's.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self._own, self._earlier = _Shelf(identity), _Shelf(identity)
        for row in identity.seed_rows:
            self._own.add(row, row.id)
        # Accepted rows, each with the turn that brought it.
        self._rows: list[tuple[Row, int]] = []
        self._on_shelf = self._next = 0
        # How many rows a block may be shown, once that is known: those before the beginning of the one before.
        self._known = {0: 0, 1: 0}
        self._turn: Turn | None = None
        if self.labels:
            self.labels.begin(0)
            self.labels.begin(1)

    def next(self) -> Turn | None:
        block = block_of(self._next)
        if block not in self._known:
            return None
        if self._turn is None:
            for row, position in self._rows[self._on_shelf : self._known[block]]:
                self._earlier.add(row, str(position))
            self._on_shelf = max(self._on_shelf, self._known[block])
            self._turn = self._plan(block)
        return self._turn

    def _plan(self, block: int) -> Turn:
        shown = self._show(self._next)
        # The row that is furthest from a person's is the parent: its children are a generation further.
        parent = max(shown, key=lambda row: row.depth)
        turn = self.turn(self._next, 0, parent, block, self._next - start_of(block))
        return turn._replace(beside=tuple(row for row in shown if row is not parent))

    def _show(self, position: int) -> list[Row]:
        """The examples of a call: accepted rows as far as there are any, and the person's."""
        number = self.identity.shown
        earlier, taken = max(number // _SHARE, 1, number - len(self.identity.seed_rows)), dict[str, Row]()
        for at in range(earlier):
            self._take("earlier", self._earlier, position * earlier + at, taken)
        # Where there are too few accepted ones yet, the person's stand in for them.
        missing = number - len(taken)
        for at in range(missing):
            self._take("own", self._own, position * number + at, taken)
        return list(taken.values())

    def _take(self, name: str, shelf: _Shelf, at: int, taken: dict[str, Row]) -> None:
        """The draw number `at` from a shelf, labels in turn."""
        label = evenly(self.identity.seed, f"shown/{name}", at, len(self.identity.task.labels or "1"))
        if (row := shelf.draw(label, f"{name}/{at}", taken)) is not None:
            taken[row.id] = row

    def start(self, turn: Turn) -> None:
        self._next, self._turn = turn.position + 1, None

    def shown(self, turn: Turn) -> list[Row]:
        """In an order by hash: what stands last counts for most with many models."""
        return sorted(super().shown(turn), key=lambda row: _number(f"{turn.position}/{row.id}"))

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        self._rows.extend((row, turn.position) for row in rows)
        done = turn.position + 1
        if self.labels:
            self.labels.count(rows)
        block = block_of(done)
        if start_of(block) == done:
            self._known[block + 1] = len(self._rows)
            if self.labels:
                self.labels.begin(block + 1)
