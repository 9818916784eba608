"""Text as it arrives from people and models, made safe to store and to compare."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# Control characters other than tab and newline, and lone surrogates: JSON carries them, SQLite, Arrow and
# terminals do not.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What turns the order of the text around it.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Strip the text and drop what cannot be stored or printed; everything else stays as it was written."""
    if text.isprintable():
        return text.strip()
    return _UNSAFE.sub("", text.replace("\r\n", "\n")).strip()


def named(text: str) -> str:
    """A name or label as it may stand in a prompt, a path and a terminal: `clean`, and no bidi controls, which make
    it look like another one."""
    return clean(_BIDI.sub("", text))


def look(text: str) -> str:
    """What is left of a folded text to the eye: characters without width tell no two labels apart."""
    if text.isascii():
        return fold(text)
    return fold("".join(one for one in text if unicodedata.category(one) != "Cf" and one not in "\ufe0e\ufe0f"))


def fold(text: str) -> str:
    """What two spellings of one text have in common: NFKC, case and white space folded."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def scalar(value: object) -> str | None:
    """A JSON scalar as clean text (`True` for true, `3` for 3), or `None` for anything else."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (bool, int)):
        # More digits than this cannot be printed without Python's own limit on int to str.
        return str(value) if -(10**30) < value < 10**30 else None
    if isinstance(value, float) and value - value == 0:
        return str(value)
    return None


def digest(value: Any, size: int = 8) -> str:
    """A hex digest (`2 * size` characters) of a value's canonical JSON."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def shorten(text: str, width: int = 80) -> str:
    """One printable line of at most `width` characters."""
    line = " ".join(clean(text[: 4 * width]).split())
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def in_commas(texts: Iterable[str]) -> str:
    """The texts as one, as `between_commas` reads it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def between_commas(line: str) -> list[str]:
    """The texts in a line of CSV: one that holds a comma stands in double quotes.

    Raises:
        ValueError: a quote is not closed, or something stands behind one.
    """
    try:
        # A blank behind a closing quote is none of the text.
        rows = list(csv.reader([re.sub(r'"[ \t]+(?=,|$)', '"', line)], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [clean(text) for row in rows for text in row]


def slug(text: str) -> str:
    """A name that is safe in a path: lower-case letters, digits, `.`, `_` and `-`, at most 64 characters."""
    return re.sub(r"[^a-z0-9._-]+", "-", fold(text)).strip("-._")[:64] or "task"


def without_thoughts(text: str) -> str:
    """A reply without what a reasoning model wrote before it; nothing, where it never came to an end of that."""
    if "</think>" in text:
        return text.rpartition("</think>")[2]
    return "" if text.lstrip().startswith("<think>") else text


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'tree'? Known are ...`: the end of an error about a name."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f": did you mean {close[0]!r}?" if close else ":") + f" Known are {', '.join(known)}"
