"""What of a run fits on a page: a sample that is the same whenever it is drawn, of a size in bytes."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_ALL = 2**64


class Entry(NamedTuple):
    """One row or rejected piece, as JSON that can stand on the page.

    Attributes:
        place (`tuple[int, ...]`): where it comes in the order of the page.
        turn (`int`): the position of its turn.
        about (`str`): what is known of the turn.
        own (`str`): what is known of it, the opening of its list and the turn's number left out.
        verdicts, leak (`str`): what judges and the search for leaks said of it, or `""`.
        size (`int`): its characters as they came.
    """

    place: tuple[int, ...]
    turn: int
    about: str
    own: str
    verdicts: str
    leak: str
    size: int

    @property
    def bytes(self) -> int:
        """What it takes on the page."""
        return 16 + sum(len(text.encode()) for text in (self.about, self.own, self.verdicts, self.leak))


class Sample:
    """Entries in the order of a hash of their names, as many as there is room for.

    The names alone decide: after the first one that found no room, none with a greater hash is taken, however short.

    Args:
        room (`int`): bytes for all entries together.

    Attributes:
        bytes (`int`): what its entries take.
        whole (`bool`): nothing was left out.
    """

    def __init__(self, room: int) -> None:
        self.room, self.bytes, self.whole = room, 0, True
        self._heap: list[tuple[int, tuple[int, ...], Entry, int]] = []
        self._below = _ALL

    def takes(self, name: str) -> bool:
        """Whether there may be room for an entry of this name."""
        return rank(name) < self._below

    def add(self, name: str, entry: Entry) -> None:
        """Put an entry in; what has no room any more goes out."""
        heapq.heappush(self._heap, (-rank(name), entry.place, entry, entry.bytes))
        self.bytes += entry.bytes
        self.shrink(self.room)

    def shrink(self, room: int) -> None:
        """Leave out what is too much for this room."""
        self.room = room
        while self.bytes > room:
            of, _, _, size = heapq.heappop(self._heap)
            self._below, self.whole = -of, False
            self.bytes -= size

    def close(self) -> None:
        """Forget everything."""
        self._heap, self.bytes, self._below, self.whole = [], 0, 0, False

    @property
    def entries(self) -> list[Entry]:
        """Its entries in the order of their places."""
        return sorted((entry for _, _, entry, _ in self._heap), key=lambda entry: entry.place)


class Pieces:
    """Rows, or rejected pieces: as they came while all fit, and cut, for when they do not.

    Args:
        room (`int`): bytes for all of them.
        most, cut (`int`): characters of a text, as it came and cut.
    """

    def __init__(self, room: int, most: int, cut: int) -> None:
        self.seen = 0
        self.long, self.short = Sample(room), Sample(room)
        self._texts = ((self.long, most), (self.short, cut))

    def add(self, name: str, make: Callable[[int], Entry]) -> bool:
        """One more; `make` gives it with texts of so many characters at most. Whether it is in, so far."""
        self.seen += 1
        wanted = [(sample, most) for sample, most in self._texts if sample.takes(name)]
        for sample, most in wanted:
            sample.add(name, make(most))
        if not self.long.whole:
            self.long.close()
        return bool(wanted)


def rank(name: str) -> int:
    """Where a name stands in the order by hash, below 2^64."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def level(sizes: Sequence[int], room: int) -> int:
    """The most that each may have for all to fit into `room`: who needs less leaves the rest to the others."""
    left = room
    for taken, size in enumerate(sorted(sizes)):
        others = len(sizes) - taken
        if size * others > left:
            return left // others
        left -= size
    return max(sizes, default=0)


def divide(parts: Sequence[Pieces], room: int) -> tuple[list[Sample], bool]:
    """The samples that share a page, and whether their texts are cut."""
    fit = all(part.long.whole for part in parts) and sum(part.long.bytes for part in parts) <= room
    samples = [part.long if fit else part.short for part in parts]
    most = level([sample.bytes for sample in samples], room)
    for sample in samples:
        sample.shrink(min(sample.room, most))
    return samples, not fit


def shown(text: str, most: int) -> str:
    """A text, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def within(text: str, room: int, script: Callable[[Any], str]) -> str:
    """A text as JSON for the page in about so many bytes."""
    whole, most = script(text), len(text)
    while len(whole.encode()) > room and most > 1:
        most = max(min(most * room // len(whole.encode()), most - 1), 1)
        whole = script(shown(text, most))
    return whole
