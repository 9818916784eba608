"""Rows that are none, though they are well formed: with duplicates, what is no example for the next turns either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..prompts import examples as prompt
from ..prompts.examples import Message
from ..runs.identity import Identity
from ..tasks.task import Reason, Row
from ..utils.text import fold, shorten
from .base import Turn

# A shorter piece of a prompt may stand in a text by chance: it must be all of that text.
_LONG = 5
_WORD = re.compile(r"\w+")
_ENDS = re.compile(r"(?<=[.!?])\s+")
# Thai, Lao, Burmese, Khmer, Japanese and Chinese stand without spaces between their words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


class _Said(NamedTuple):
    """What the prompt of a turn says: the examples' inputs, what an input may be, and what may stand in one."""

    shown: list[list[str]]
    drawn: frozenset[str]
    pieces: frozenset[str]
    long: tuple[str, ...]


class Frontier:
    """The checks on a single row that decide what is asked next.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        self._task, self._least, self._method = identity.task, identity.min_words, identity.method
        self._labels = frozenset(map(_plain, identity.task.labels or ()))
        self._pinned, self._instruction = frozenset(identity.guide.draws), frozenset(_pieces(identity.instruction))

    def read(self, turn: Turn, messages: Sequence[Message], pieces: Sequence[Row | Reason]) -> list[Row | Reason]:
        """The pieces of a reply, with the reason `echo` or `too_short` in the place of rows that are none.

        Case, punctuation and white space count for nothing. Every input is compared as a whole with the labels (where
        they vary and there is one input, with the row's options), with what was drawn for the turn, and with each line
        and sentence of the instruction and of what is demanded; only a line or sentence of five words or more is
        looked for inside an input as well. So a long sentence may hold a label.

        Not an echo: a value that its field must have; TarGEN's seed, from which a row may grow word for word; an input
        that stands in another one of its row (the word of a sentence, as in WiC); a field in which the formatting
        example has such a thing, too. The formatting example is echoed where all inputs repeat it: rows may well share
        a passage, a premise or a word with it. Where its options are the same, too, the row is a duplicate.
        """
        said = self._said(turn, messages)
        return [piece if isinstance(piece, Reason) else self._check(turn, said, piece) for piece in pieces]

    def _said(self, turn: Turn, messages: Sequence[Message]) -> _Said:
        told = messages[-1]["content"]
        if turn.example is not None:
            told = told.rpartition(prompt.DEMANDED)[2] if prompt.DEMANDED in told else ""
        drawn = dict(turn.drawn)
        if self._method == "targen" and (seed := drawn.pop("seed", "")):
            told = told.replace(seed, " ")
        pieces = self._instruction.union(_pieces(told))
        values = frozenset(map(_plain, _texts(drawn)))
        shown = [[*map(_plain, row.inputs)] for row in (*([turn.example] if turn.example else []), *turn.beside)]
        return _Said(shown, values, pieces, tuple(f" {piece} " for piece in pieces if piece.count(" ") >= _LONG - 1))

    def _check(self, turn: Turn, said: _Said, row: Row) -> Row | Reason:
        repeated = self._echoed(turn, said, row)
        if repeated:
            return Reason("echo", repeated)
        longest = max(map(words, row.inputs)) if self._least else 0
        if longest < self._least:
            return Reason("too_short", f"{longest} of {self._least} words: {shorten(' | '.join(row.inputs), 80)!r}")
        return row

    def _echoed(self, turn: Turn, said: _Said, row: Row) -> str:
        """Which input repeats what, or `""`."""
        inputs, shown = [*map(_plain, row.inputs)], said.shown
        for at, name in enumerate(self._task.inputs):
            what = "" if self._may(name, inputs, at) else self._repeats(inputs[at], row, said)
            if what and not any(self._repeats(one[at], row, said) for one in shown):
                return f"{name} repeats {what}: {shorten(row.inputs[at], 80)!r}"
        same = any(row.key == one.key for one in (turn.example, *turn.beside) if one is not None)
        again = not same and inputs in shown and any(inputs)
        return "all inputs are those of the formatting example" if again else ""

    def _repeats(self, text: str, row: Row, said: _Said) -> str:
        """What an input only repeats, or `""`."""
        if not text:
            return ""
        options = row.options if self._task.variable and len(row.inputs) == 1 else ()
        if text in self._labels or any(len(one) >= len(text) and _plain(one) == text for one in options):
            return "a label"
        if text in said.drawn:
            return "what was drawn for it"
        spaced = f" {text} "
        return "the instruction" if text in said.pieces or any(piece in spaced for piece in said.long) else ""

    def _may(self, name: str, inputs: Sequence[str], at: int) -> bool:
        """Whether this input is meant to be what it is."""
        spaced = f" {inputs[at]} "
        return name in self._pinned or any(spaced in f" {other} " for other in inputs if other != inputs[at])


def words(text: str) -> int:
    """How many words a text has: what stands between white space, and half the characters of scripts without it."""
    rest, unspaced = _UNSPACED.subn(" ", text)
    return sum(any(map(str.isalnum, word)) for word in rest.split()) + (unspaced + 1) // 2


def _plain(text: str) -> str:
    """The words of a text, without case and punctuation."""
    return " ".join(_WORD.findall(fold(text)))


def _pieces(text: str) -> Iterator[str]:
    """The lines and the sentences of a text."""
    for line in text.split("\n"):
        yield from filter(None, map(_plain, {line, *_ENDS.split(line)}))


def _texts(values: Mapping[str, Any]) -> Iterator[str]:
    for value in values.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value
