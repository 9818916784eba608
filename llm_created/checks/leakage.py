"""Leakage: rows that repeat an evaluation set, whole or 13 words in a row."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..data import sources
from ..errors import UsageError
from ..tasks.task import Reason, Row, Task
from ..utils.text import digest, fold, shorten

if TYPE_CHECKING:
    import numpy as np

LEAKED = "leaked"
# The rule that GPT-3's training data was filtered by (Brown et al., 2020, appendix C,
# https://arxiv.org/abs/2005.14165): words without case and punctuation.
NUM_WORDS = 13
_WORD = re.compile(r"[^\W_]+")
_BUT_FOR = {"same": "", "text": ", with other options", "field": " in one field"}
# What a stretch of words is hashed by, modulo 2 ** 64: powers of an odd number without a pattern.
_FACTORS = [pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(NUM_WORDS)]


class Leak(NamedTuple):
    """What a row repeats.

    Attributes:
        where (`str`): name of the evaluation set.
        number (`int`): its row, counted from 1.
        kind (`str`): `"same"` for the whole row; `"text"` for all input fields beside other options; `"field"` where a
            field of the one is all that the other says; `"words"` for 13 in a row.
        words (`str`): the first words that are repeated, for `"words"`.
    """

    where: str
    number: int
    kind: str
    words: str = ""

    @property
    def reason(self) -> Reason:
        """As an emission check says it."""
        row = f"row {self.number} of {self.where}"
        if self.kind == "words":
            return Reason(LEAKED, f"{NUM_WORDS} words in a row as in {row}: '{shorten(self.words, 120)}'")
        return Reason(LEAKED, f"the same as {row}{_BUT_FOR[self.kind]}")


class EvaluationSets:
    """Evaluation sets, as far as it takes to find rows that repeat them: 20 to 30 bytes for each of their words.

    A row leaks if its input fields, folded, are those of an evaluation row, whatever its options and its answer: a
    model that has seen the question has an advantage with any. So it does where the one has a context and the other
    has none, which is why a field that is the whole of the other counts too. Or if 13 words in a row of it, over all
    input fields, stand in an evaluation row; shorter rows, and languages that put no space between words, only match
    as a whole.

    Args:
        sets (`Iterable[tuple[str, Sequence[Row]]]`): names and rows.
    """

    def __init__(self, sets: Iterable[tuple[str, Sequence[Row]]]) -> None:
        self._rows: list[tuple[str, int]] = []
        self._keys: dict[int, int] = {}
        self._texts: dict[str, int] = {}
        self._fields: dict[str, int] = {}
        # Words are numbered from 1: a word that no evaluation row has is 0.
        self._numbers: dict[str, int] = {}
        words, starts, number = array("I"), array("I"), self._numbers
        for name, rows in sets:
            for place, row in enumerate(rows, 1):
                folded = [fold(text) for text in row.inputs]
                self._keys.setdefault(row.key, len(self._rows))
                self._texts.setdefault(digest(folded), len(self._rows))
                for text in folded if len(folded) > 1 else ():
                    self._fields.setdefault(digest([text]), len(self._rows))
                self._rows.append((name, place))
                starts.append(len(words))
                words.extend(number.setdefault(word, len(number) + 1) for word in _words(folded))
        self._index(words, starts)

    @classmethod
    def load(cls, specs: Iterable[str], task: Task | None, human_data: str | None = None) -> EvaluationSets:
        """The sets that a person means by `check_against`.

        Args:
            specs (`Iterable[str]`): what `sources.load` takes; any task's will do.
            task (`Task`, *optional*): of files and of `human:test`.
            human_data (`str`, *optional*): a folder of human data in place of the Hub.

        Raises:
            UsageError: there is no such set, or two have one name.
        """
        specs = list(dict.fromkeys(specs))
        names = [sources.public_name(spec) for spec in specs]
        if len(set(names)) < len(names):
            raise UsageError(f"`check_against`: two sets have one name ({', '.join(sorted(names))}): rename a file")
        return cls((name, sources.load(spec, task, human_data).rows) for name, spec in zip(names, specs, strict=True))

    def _index(self, words: array[int], starts: array[int]) -> None:
        """The hash of each stretch of 13 words that lies in one row, sorted, and where it stands first."""
        import numpy as np

        self._words = np.frombuffer(words, np.uint32) if words else np.empty(0, np.uint32)
        self._starts = np.frombuffer(starts, np.uint32) if starts else np.empty(0, np.uint32)
        inside = [
            np.arange(start, end - NUM_WORDS + 1, dtype=np.uint32)
            for start, end in pairwise([*starts, len(words)])
            if end - start >= NUM_WORDS
        ]
        places = np.concatenate(inside) if inside else np.empty(0, np.uint32)
        hashes = _hashes(self._words)[places] if inside else np.empty(0, np.uint64)
        self._hashes, first = np.unique(hashes, return_index=True)
        self._places = places[first]

    def find(self, row: Row) -> Reason | None:
        """Why a row may not be trained on: what it repeats, or `None`."""
        leak = self.leak(row)
        return leak.reason if leak else None

    def leak(self, row: Row) -> Leak | None:
        """What a row repeats: the first row of the sets that is the same, else the first of its stretches of words."""
        folded = [fold(text) for text in row.inputs]
        for kind, place in self._whole(row.key, folded):
            if place is not None:
                return Leak(*self._rows[place], kind)
        return self._stretch(_words(folded))

    def _whole(self, key: int, folded: Sequence[str]) -> Iterator[tuple[str, int | None]]:
        yield "same", self._keys.get(key)
        yield "text", self._texts.get(digest(folded))
        if len(folded) == 1:
            yield "field", self._fields.get(digest(folded))
        else:
            yield from (("field", self._texts.get(digest([text]))) for text in folded)

    def _stretch(self, words: list[str]) -> Leak | None:
        if len(words) < NUM_WORDS or not len(self._hashes):
            return None
        import numpy as np

        known = np.array([self._numbers.get(word, 0) for word in words], np.uint32)
        hashes = _hashes(known)
        found = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        for at in np.flatnonzero(self._hashes[found] == hashes).tolist():
            place = int(self._places[found[at]])
            # Two stretches may have one hash.
            if np.array_equal(self._words[place : place + NUM_WORDS], known[at : at + NUM_WORDS]):
                of = int(np.searchsorted(self._starts, place, side="right")) - 1
                return Leak(*self._rows[of], "words", " ".join(words[at : at + NUM_WORDS]))
        return None


def _words(folded: Sequence[str]) -> list[str]:
    return _WORD.findall(" ".join(folded))


def _hashes(words: np.ndarray) -> np.ndarray:
    """The hash of every stretch of 13 among these 13 words or more."""
    import numpy as np

    return np.convolve(words.astype(np.uint64), np.array(_FACTORS, np.uint64), "valid")
