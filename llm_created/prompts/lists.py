"""Lists as models write them: numbered, bulleted, bare, in one line, as JSON, with sentences before and after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

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
# The form that is asked for, wherever it stands, and what stands before each of its items.
_ITEMS = re.compile(r'\{\s*"items"\s*:\s*\[')
_NEXT = re.compile(r"[\s,]*(?!\])")
_DECODER = json.JSONDecoder(strict=False)
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
    if found is None and _refuses(said):
        return Reason("refusal", shorten(text, 200))
    values = _distinct(_from_lines(rows) if found is None else found)
    if not values:
        return Reason("no_list", shorten(text, 200))
    if _echoes(values, asked):
        return Reason("echo", f"the {len(asked)} values that were shown")
    return list(values.values())[:most]


def _refuses(said: Sequence[str]) -> bool:
    # Replies that end in a colon here excuse themselves and give their list all the same.
    return bool(_REFUSAL.match(said[0].replace("’", "'"))) and (said[0].endswith(_ENDS) or len(said) == 1)


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
    asked = _ITEMS.search(text)
    if asked:
        return [_text(item) for item in _whole_items(text, asked.end())]
    start = next((found for found in _JSON.finditer(text) if not _is_of_an_item(text, found.start(1))), None)
    body = text[start.start(1) :] if start else ""
    whole = body.rpartition('",')[0]
    for attempt in (body, body + "]", whole + '"]', whole + '"]}', whole + '"}'):  # as it is, or cut off
        try:
            found, end = _DECODER.raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        if attempt[end:].partition("\n")[0].strip():
            return None
        return [_text(item) for item in (_items(found) if isinstance(found, Mapping) else found)]
    return None


def _whole_items(text: str, at: int) -> Iterator[object]:
    """The items of a JSON array from its first on; of one that is cut off or broken those before that."""
    while match := _NEXT.match(text, at):
        try:
            item, at = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        yield item


def _is_of_an_item(text: str, at: int) -> bool:
    """Whether a bracket that ends a marked line holds nothing: it belongs to an item, and is not the list."""
    before, line = text[:at].rpartition("\n")[2].strip(), text[at:].partition("\n")[0]
    return bool(_MARK.match(before)) and not line.strip("[]{} \t,.")


def _items(found: Mapping[str, Any]) -> list[Any]:
    """The one list in an object, else its pairs where there are several."""
    lists = [value for value in found.values() if isinstance(value, list)]
    if lists:
        return lists[0] if len(lists) == 1 else []
    return [{"name": name, "value": value} for name, value in found.items()] if len(found) > 1 else []


def _text(item: object) -> str:
    """A value in JSON as text; a name and its explanation are joined as they are elsewhere."""
    if isinstance(item, Mapping):
        return ": ".join(part for part in item.values() if isinstance(part, str) and part)
    return "" if isinstance(item, bool) else scalar(item) or ""


def _from_lines(rows: Iterable[str]) -> list[str]:
    """The marked lines of the first kind and depth, if there are enough; else all lines."""
    lines = [_marked(row.expandtabs(4)) for row in rows]
    marked = [one for one in lines if one.kind]
    listed = [one.text for one in marked if one.kind == marked[0].kind and one.indent <= marked[0].indent + 1]
    others = sum(not one.kind and bool(one.text) for one in lines)
    if len(listed) >= 3 or 2 * len(listed) >= max(others, 1):
        return listed
    return _bare(one.text for one in lines)


class _Line(NamedTuple):
    """A line without its mark, which kind of mark it had, or `""`, and how deep it stands."""

    kind: str
    indent: int
    text: str


def _marked(row: str) -> _Line:
    text, indent = row.strip(), len(row) - len(row.lstrip())
    mark = _MARK.match(text)
    return _Line(mark.lastgroup or "", indent, text[mark.end() :]) if mark else _Line("", indent, text)


def _bare(texts: Iterable[str]) -> list[str]:
    """Lines without marks, less those that are plainly about the list."""
    blocks = _blocks(texts)
    if max(map(len, blocks)) >= 3:
        blocks = [block for block in blocks if len(block) != 1 or not block[0].endswith(_ENDS)]
    lines = list(chain.from_iterable(blocks))
    for at in (0, -1):
        if len(lines) > 1 and _ABOUT.match(lines[at].replace("’", "'")):
            del lines[at]
    return _in_one_line(lines[0]) if len(lines) == 1 else lines


def _blocks(texts: Iterable[str]) -> list[list[str]]:
    """Lines that stand together; headings are none."""
    blocks: list[list[str]] = [[]]
    for text in texts:
        if not text:
            blocks.append([])
        elif not text.endswith((":", "：")) and not text.startswith("# "):
            blocks[-1] += [text.strip()]
    return blocks


def _in_one_line(line: str) -> list[str]:
    """The values of a line such as "Sports: golf, tennis, and rugby"; a sentence holds none."""
    head, _, rest = line.partition(":")
    for mark in (";", "[,，、]"):
        values = re.split(mark, line if re.search(mark, head) else rest or head)
        if len(values) >= 3 and all(len(value.split()) <= 8 for value in values):
            return [*values[:-1], re.sub(r"^\s*(?:and|or)\s", "", values[-1]).rstrip(" .")]
    return [] if line.endswith(_ENDS) else [line]
