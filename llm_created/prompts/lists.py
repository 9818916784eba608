"""Lists as models write them: numbered, bulleted, bare, in one line, as JSON, with sentences before and after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from ..tasks.task import Reason
from ..utils.text import clean, fold, scalar, shorten, without_thoughts

# Real values with their explanation have up to 335 characters; what is longer is a paragraph.
MAX_VALUE = 500
_BOLD = re.compile(r"(?<!\w)\*\*([^*\n]+)\*\*(?!\w)")
_MARK = re.compile(
    r"(?:#{1,6}\s+)?(?:(?P<number>[(\[]?\d{1,3}(?:[:\]]|[.)]\)?)(?!\d)|\d{1,3}\s[-–—]\s|[a-zA-Z]\)\s)"
    r"|(?P<bullet>[-–—•●◦▪‣·○■](?!\d)|[*+]\s)(?:\s*\[[ xX]\]\s)?)"
)
_JSON = re.compile(r"(?:^|:)[ \t]*([\[{])", re.MULTILINE)
_QUOTES = ("**", '""', "''", "“”", "‘’", "«»", "``")
_ENDS = (".", "!", "?")
_ABOUT = re.compile(
    r"(?i)(?:sure|certainly|of course|absolutely|okay)[!,.]|(?:here|below) (?:are|is)\b|here's |i hope |hope th|"
    r"\(?note:|(?:please )?(?:let me know|feel free)|would you like|if you (?:need|want|would)\b"
)
_REFUSAL = re.compile(
    r"(?i)sorry,|(?:i'm|i am) sorry|(?:my )?apologies|i apologi[sz]e|unfortunately, i\b|as an ai\b|"
    r"i (?:can't|cannot|can not|won't|am unable|am not able)\b|i'm (?:unable|not able)\b"
)


def read_list(text: str, asked: Sequence[str] = (), most: int = 100) -> list[str] | Reason:
    """The values in a reply that was asked for a list, or why there are none.

    An explanation stays with its name ("Golf: a game with clubs"). Of values that differ in case and spacing alone
    the first is kept. Where lines are numbered or bulleted the others are prose, and so is a list inside an item.

    Args:
        text (`str`): the reply.
        asked (`Sequence[str]`, *optional*): a list that the request showed: a reply that gives it back is none.
        most (`int`, defaults to 100): how many values to return at most.

    Returns:
        `list[str]` or `Reason`: one value or more; or `"empty_reply"`, `"refusal"`, `"echo"` or `"no_list"`.
    """
    rows = _unfenced(_BOLD.sub(r"\1", without_thoughts(text)).splitlines())
    said = [row for row in map(clean, rows) if row]
    if not said:
        return Reason("empty_reply")
    found = _from_json("\n".join(rows))
    # Replies that end in a colon here excuse themselves and give their list all the same.
    if found is None and _REFUSAL.match(said[0].replace("’", "'")) and (said[0].endswith(_ENDS) or len(said) == 1):
        return Reason("refusal", shorten(text, 200))
    values = _distinct(_from_lines(rows) if found is None else found)
    if not values:
        return Reason("no_list", shorten(text, 200))
    if _echoes(values, asked):
        return Reason("echo", f"the {len(asked)} values that were shown")
    return list(values.values())[:most]


def _unfenced(rows: list[str]) -> list[str]:
    """What stands in the first fence, if there is one and anything in it."""
    fences = [at for at, row in enumerate(rows) if row.lstrip().startswith("```")]
    inside = rows[fences[0] + 1 : (*fences, len(rows))[1]] if fences else []
    return inside if any(map(str.strip, inside)) else [row for row in rows if not row.lstrip().startswith("```")]


def _distinct(found: Iterable[str]) -> dict[str, str]:
    """The values without their dress, by what makes another one the same."""
    values: dict[str, str] = {}
    for text in found:
        value = " ".join(clean(text[: 4 * MAX_VALUE]).split()).rstrip(",; ")
        if (ends := value[:1] + value[-1:]) in _QUOTES and not set(ends).intersection(value[1:-1]):
            value = value[1:-1].strip()
        if len(value) <= MAX_VALUE and any(map(str.isalnum, value)):
            values.setdefault(fold(value), value)
    return values


def _echoes(values: Iterable[str], asked: Iterable[str]) -> bool:
    """Whether nine in ten of the values were shown, and nine in ten of those that were shown are there."""
    got, shown = ({fold(re.sub("[_-]", " ", text)) for text in texts} for texts in (values, asked))
    return bool(shown) and 10 * len(shown & got) >= 9 * max(len(shown), len(got))


def _from_json(text: str) -> list[str] | None:
    """The values of a JSON array, or of an object around one, or the pairs of an object."""
    start = next((found for found in _JSON.finditer(text) if not _is_of_an_item(text, found.start(1))), None)
    body = text[start.start(1) :] if start else ""
    whole = body.rpartition('",')[0]
    for attempt in (body, whole + '"]', whole + '"]}', whole + '"}'):  # as it is, or cut off
        try:
            found, end = json.JSONDecoder(strict=False).raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        if attempt[end:].partition("\n")[0].strip():
            return None
        if isinstance(found, Mapping):
            lists = [value for value in found.values() if isinstance(value, list)]
            pairs = [{"name": name, "value": value} for name, value in found.items()] if len(found) > 1 else []
            found = lists[0] if len(lists) == 1 else [] if lists else pairs
        return [_text(item) for item in found]
    return None


def _is_of_an_item(text: str, at: int) -> bool:
    """Whether a bracket that ends a marked line holds nothing: it belongs to an item, and is not the list."""
    before, line = text[:at].rpartition("\n")[2].strip(), text[at:].partition("\n")[0]
    return bool(_MARK.match(before)) and not line.strip("[]{} \t,.")


def _text(item: object) -> str:
    """A value in JSON as text; a name and its explanation are joined as they are elsewhere."""
    if isinstance(item, Mapping):
        return ": ".join(part for part in item.values() if isinstance(part, str) and part)
    return "" if isinstance(item, bool) else scalar(item) or ""


def _from_lines(rows: Iterable[str]) -> list[str]:
    """The marked lines of the first kind and depth, if there are enough; else all lines."""
    lines = []
    for row, text in ((row.expandtabs(4), row.strip()) for row in rows):
        mark = _MARK.match(text)
        lines.append((mark and mark.lastgroup, len(row) - len(row.lstrip()), text[mark.end() :] if mark else text))
    first, depth = next(((kind, indent + 1) for kind, indent, _ in lines if kind), ("", 0))
    listed = [text for kind, indent, text in lines if kind == first and indent <= depth]
    others = [text for kind, _, text in lines if text and not kind]
    return listed if len(listed) >= 3 or 2 * len(listed) >= max(len(others), 1) else _bare(text for *_, text in lines)


def _bare(texts: Iterable[str]) -> list[str]:
    """Lines without marks, less those that are plainly about the list."""
    blocks: list[list[str]] = [[]]
    for text in texts:
        if not text:
            blocks.append([])
        elif not text.endswith((":", "：")) and not text.startswith("# "):
            blocks[-1] += [text.strip()]
    if max(map(len, blocks)) >= 3:
        blocks = [block for block in blocks if len(block) != 1 or not block[0].endswith(_ENDS)]
    lines = [line for block in blocks for line in block]
    for at in (0, -1):
        if len(lines) > 1 and _ABOUT.match(lines[at].replace("’", "'")):
            del lines[at]
    return _in_one_line(lines[0]) if len(lines) == 1 else lines


def _in_one_line(line: str) -> list[str]:
    """The values of a line such as "Sports: golf, tennis, and rugby"; a sentence holds none."""
    head, _, rest = line.partition(":")
    for mark in (";", "[,，、]"):
        values = re.split(mark, line if re.search(mark, head) else rest or head)
        if len(values) >= 3 and all(len(value.split()) <= 8 for value in values):
            return [*values[:-1], re.sub(r"^\s*(?:and|or)\s", "", values[-1]).rstrip(" .")]
    return [] if line.endswith(_ENDS) else [line]
