"""How rows are spread: lengths, likeness to the formatting example by depth, and where the right option stands out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, quantiles
from typing import NamedTuple

from ..tasks.task import Row, Task
from ..utils.text import fold

_BINS = 24
# Of a text that is compared: what all else in it costs would tell nothing more.
BEGINNING = 1_000


class Length(NamedTuple):
    """Lengths of one field in characters: the figures, and a histogram whose last bar holds all that is longer."""

    field: str
    n: int
    least: int
    median: float
    mean: float
    most: int
    start: int
    width: int
    counts: tuple[int, ...]


class Likeness(NamedTuple):
    """How alike the rows of one depth are to the formatting example, and to the row that each was made from.

    Attributes:
        depth (`int`): generations since the formatting example.
        n (`int`): rows of that depth.
        low, median, high (`float`): quartiles of the likeness to the formatting example.
        parent (`float`): mean likeness to the example that was shown.
        cosine (`float`, *optional*): mean journaled similarity of embeddings to the example that was shown.
    """

    depth: int
    n: int
    low: float
    median: float
    high: float
    parent: float
    cosine: float | None


def lengths(task: Task, rows: Sequence[Row]) -> list[Length]:
    """The lengths of each input field, and of the options where they vary."""
    spread = Spread(task)
    for row in rows:
        spread.add(row)
    return spread.lengths()


class Spread:
    """Lengths of rows that come one after the other: none of them is kept.

    Args:
        task (`Task`): theirs.
    """

    def __init__(self, task: Task) -> None:
        self._fields = [*task.inputs, *([task.options] if task.variable else [])]
        self._inputs = len(task.inputs)
        self._sizes: list[Counter[int]] = [Counter() for _ in self._fields]
        self._right, self._chance, self._told = 0, 0.0, 0

    def add(self, row: Row) -> None:
        """One more row."""
        for at, text in enumerate(row.inputs):
            self._sizes[at][len(text)] += 1
        if len(self._fields) == self._inputs:
            return
        sizes = [len(option) for option in row.options]
        self._sizes[-1].update(sizes)
        most = max(sizes)
        if sizes.count(most) == 1:
            self._told += 1
            self._right += sizes[row.answer] == most
            self._chance += 1 / len(sizes)

    def lengths(self) -> list[Length]:
        """The lengths of each input field, and of the options where they vary."""
        return [_length(field, found) for field, found in zip(self._fields, self._sizes, strict=True) if found]

    def longest(self) -> tuple[float, float]:
        """The share of rows whose right option is longer than every other, and the share if length told nothing.

        Where no option is the longest alone, the row says nothing and counts for neither.
        """
        n = self._told
        return (round(self._right / n, 4), round(self._chance / n, 4)) if n else (0.0, 0.0)


def _length(field: str, found: Counter[int]) -> Length:
    sizes = sorted(found.items())
    n, least, most = found.total(), sizes[0][0], sizes[-1][0]
    # One row that has run away must not squeeze all others into one bar.
    last = _nth(sizes, min(math.ceil(0.995 * n), n - 1))
    width = _round_up(max((last + 1 - least) / _BINS, 1))
    start = least - least % width
    counts = [0] * ((last - start) // width + 1)
    for value, number in sizes:
        counts[min((value - start) // width, len(counts) - 1)] += number
    median = (_nth(sizes, (n - 1) // 2) + _nth(sizes, n // 2)) / 2
    mean = round(sum(value * number for value, number in sizes) / n, 2)
    return Length(field, n, least, median, mean, most, start, width, tuple(counts))


def _nth(sizes: Sequence[tuple[int, int]], at: int) -> int:
    """The value at this place of the sorted values, which are given with how often each is there."""
    for value, number in sizes:
        at -= number
        if at < 0:
            return value
    raise IndexError(at)


def _round_up(value: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50 ..."""
    step = 10 ** int(math.log10(value))
    return int(next(times * step for times in (1, 2, 5, 10) if times * step >= value))


def likeness(
    seeds: Sequence[Row], rows: Iterable[Row], by_id: Mapping[str, Row], cosines: Mapping[str, float]
) -> list[Likeness]:
    """Likeness by depth: the share of three-character pieces that two texts have in common (Jaccard).

    It is cheap and sees wording, not meaning. Similarities of embeddings stand beside it where a strategy journaled
    them, which is always between a row and the example that was shown.

    Args:
        seeds (`Sequence[Row]`): the formatting examples; a row is held against the one that it goes back to, or the
            first, where that is not known.
        rows (`Iterable[Row]`): the rows, those of one parent one after the other.
        by_id (`Mapping[str, Row]`): the rows that may be parents, by id.
        cosines (`Mapping[str, float]`): journaled similarity to the parent, by the row's id.
    """
    of_seeds = {seed.id: _pieces(seed) for seed in seeds}
    shown, of_seed = seeds[0].id, of_seeds[seeds[0].id]
    of_parent = of_seed
    found: dict[int, list[tuple[float, float, float | None]]] = {}
    for row in rows:
        if row.parent_id != shown:
            shown = row.parent_id
            of_seed = of_seeds[_root(shown, by_id, of_seeds, seeds[0].id)]
            of_parent = _pieces(by_id[shown]) if shown in by_id else of_seeds.get(shown, of_seed)
        own = _pieces(row)
        values = _shared(own, of_seed), _shared(own, of_parent), cosines.get(row.id)
        found.setdefault(row.depth, []).append(values)
    return [_of_depth(depth, found[depth]) for depth in sorted(found)]


def _root(shown: str, by_id: Mapping[str, Row], known: Mapping[str, object], first: str) -> str:
    """The formatting example that a row goes back to by its parents."""
    while len(known) > 1 and shown in by_id:
        shown = by_id[shown].parent_id
    return shown if shown in known else first


def _of_depth(depth: int, values: Sequence[tuple[float, float, float | None]]) -> Likeness:
    to_seed = [one[0] for one in values]
    quarters = quantiles(to_seed, n=4, method="inclusive") if len(to_seed) > 1 else to_seed * 3
    cosines = [one[2] for one in values if one[2] is not None]
    low, median, high, parent = (round(value, 4) for value in (*quarters, fmean(one[1] for one in values)))
    return Likeness(depth, len(values), low, median, high, parent, round(fmean(cosines), 4) if cosines else None)


def _pieces(row: Row) -> set[str]:
    text = fold(beginning(row))
    return {text[at : at + 3] for at in range(max(len(text) - 2, 1))}


def beginning(row: Row) -> str:
    """What of a row's texts is compared."""
    return " ".join(row.inputs)[:BEGINNING]


def _shared(first: set[str], second: set[str]) -> float:
    both = len(first & second)
    return both / (len(first) + len(second) - both)
