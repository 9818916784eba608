"""Which of a person's rows are held out to be scored on: evenly over labels, what is nearly the same on one side."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..tasks.task import Row
from ..utils.text import digest, fold

# More rows than these narrow an interval by little, and each is one that nothing learns from.
MOST = 2_000
# Rows are nearly the same from this share of common pieces of this many letters on, as 64 hashes estimate it.
ALIKE = 0.7
# Long texts of one language have most short pieces in common, whatever they say.
_PIECE, _LONG, _PIECE_OF_LONG = 5, 300, 20
_HASHES, _BANDS = 64, 16
_PRIME = 2**31 - 1
_SPACE = re.compile(r"\W+")


class Split(NamedTuple):
    """A person's rows in two parts.

    Attributes:
        mine (`list[Row]`): those that are learnt from.
        held (`list[Row]`): those that are scored on.
        together (`int`): rows that are nearly the same as another one.
        rule (`str`): how they were parted, in words.
    """

    mine: list[Row]
    held: list[Row]
    together: int
    rule: str


def hold_out(rows: Sequence[Row], share: float, seed: int, fixed: bool) -> Split:
    """Hold out a share of the rows.

    Args:
        rows (`Sequence[Row]`): all of them.
        share (`float`): of each label's rows, rounded; 2,000 rows at most.
        seed (`int`): another seed holds out others.
        fixed (`bool`): whether rows share their labels; else there is nothing to be even over.
    """
    share = min(share, MOST / len(rows))
    labels = [row.answer if fixed else 0 for row in rows]
    # Half a row is a whole one, and the only row of a label is learnt from.
    wanted = {label: min(int(share * count + 0.5), count - 1) for label, count in Counter(labels).items()}
    groups = _groups(rows)
    drawn = sorted(groups, key=lambda one: digest([seed, min(rows[at].id for at in one)]))
    held = _held(drawn, labels, wanted)
    together = sum(len(group) for group in groups if len(group) > 1)
    mine = [row for at, row in enumerate(rows) if at not in held]
    return Split(mine, [rows[at] for at in sorted(held)], together, _rule(share, seed, fixed, together))


def _rule(share: float, seed: int, fixed: bool, together: int) -> str:
    said = f"{share:.0%} of each label's rows, rounded" if fixed else f"{share:.0%} of the rows"
    said += f", drawn by a hash of the seed {seed} and their content"
    pieces = f"pieces of {_PIECE} letters ({_PIECE_OF_LONG} in long texts)"
    return f"{said}; rows that share {ALIKE:.0%} of their {pieces} stand on one side ({together:,} do)"


def _held(groups: Sequence[Sequence[int]], labels: Sequence[int], wanted: Mapping[int, int]) -> set[int]:
    """The places in the groups that still fit, in their order, into what is wanted of each label."""
    held: set[int] = set()
    had: Counter[int] = Counter()
    for group in groups:
        adds = Counter(labels[at] for at in group)
        if all(had[label] + count <= wanted[label] for label, count in adds.items()):
            had += adds
            held.update(group)
    return held


def _groups(rows: Sequence[Row]) -> list[list[int]]:
    """The places of rows that are nearly the same, in chains, together."""
    leader = list(range(len(rows)))

    def first(at: int) -> int:
        while leader[at] != at:
            leader[at] = at = leader[leader[at]]
        return at

    for one, other in _pairs(rows):
        leader[max(first(one), first(other))] = min(first(one), first(other))
    found: dict[int, list[int]] = {}
    for at in range(len(rows)):
        found.setdefault(first(at), []).append(at)
    return list(found.values())


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Rows that are nearly the same, by minima of hashes (Broder, 1997, https://doi.org/10.1109/SEQUEN.1997.666900)."""
    import numpy as np

    draws = np.random.RandomState(0).randint(1, _PRIME, (2, _HASHES, 1)).astype(np.uint64)
    signatures: Any = np.stack([_signature(row, draws) for row in rows])
    for band in np.split(signatures, _BANDS, axis=1):
        seen: dict[bytes, int] = {}
        for at, part in enumerate(band):
            other = seen.setdefault(part.tobytes(), at)
            if other != at and (signatures[at] == signatures[other]).mean() >= ALIKE:
                yield other, at


def _signature(row: Row, draws: Any) -> Any:
    import numpy as np

    text = _SPACE.sub(" ", fold(" ".join(row.inputs))).strip()
    size = _PIECE if len(text) < _LONG else _PIECE_OF_LONG
    pieces = {text[at : at + size] for at in range(max(len(text) - size + 1, 1))}
    hashes = np.array([zlib.crc32(piece.encode("utf-8", "surrogatepass")) for piece in sorted(pieces)], np.uint64)
    factor, shift = draws
    return ((hashes % _PRIME * factor + shift) % _PRIME).min(axis=1)
