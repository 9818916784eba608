"""What may stand in a place of somebody else's JSON: a test, and the words that say what is wanted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..utils.text import shorten

MAX_NAME = 256


class Kind(NamedTuple):
    """What may stand in a place, in words and as a test."""

    wanted: str
    fits: Callable[[Any], bool]


def whole(low: int, high: int) -> Kind:
    """An integer; `true` is none."""
    return Kind(f"a whole number from {low:,} to {high:,}", lambda it: type(it) is int and low <= it <= high)


def number(low: float, high: float, but: float | None = None) -> Kind:
    """A number, and no NaN."""

    def fits(it: Any) -> bool:
        return type(it) in (int, float) and math.isfinite(it) and low <= it <= high and it != but

    return Kind(f"a number from {low:g} to {high:g}" + ("" if but is None else f", but not {but:g}"), fits)


def text(most: int, pattern: str = "(?s).*", like: str = "") -> Kind:
    """A text of so many characters at most."""
    found = re.compile(pattern)
    wanted = like or f"a text of at most {most:,} characters"
    return Kind(wanted, lambda it: isinstance(it, str) and len(it) <= most and found.fullmatch(it) is not None)


def one_of(*values: Any) -> Kind:
    """One of a few texts."""
    return Kind(f"one of {', '.join(values)}", lambda it: isinstance(it, str) and it in values)


def either(kind: Kind, *words: str) -> Kind:
    """The same, or one of these words."""
    return Kind(", or ".join((kind.wanted, *words)), lambda it: kind.fits(it) or (isinstance(it, str) and it in words))


def maybe(kind: Kind) -> Kind:
    """The same, or null."""
    return Kind(f"{kind.wanted}, or null", lambda it: it is None or kind.fits(it))


def texts(most: int) -> Kind:
    """A list of names."""
    return Kind(
        f"a list of at most {most} texts", lambda it: isinstance(it, list) and len(it) <= most and all(map(plain, it))
    )


def plain(it: Any) -> bool:
    return isinstance(it, str) and len(it) <= MAX_NAME and it.isprintable() and bool(it) and it.strip() == it


def misfits(
    kinds: Mapping[str, Kind], value: Mapping[str, Any], where: str, more: Mapping[str, Kind] | None = None, *,
    known: bool = True,
) -> Iterator[str]:  # fmt: skip
    """A line for each thing that is missing, of another kind, or (if `known`) not known."""
    every, prefix = {**kinds, **(more or {})}, f"{where}." if where else ""
    yield from (f"{prefix}{name} is missing" for name in kinds if name not in value)
    for name, one in value.items():
        if name in every and not every[name].fits(one):
            yield f"{prefix}{name} must be {every[name].wanted}, not {shorten(repr(one), 60)}"
        elif name not in every and known:
            yield f"{where or 'it'} holds {shorten(repr(name), 60)}, which this version of llm-created does not know"
