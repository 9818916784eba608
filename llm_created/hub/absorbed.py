"""A stranger's replies: each line checked before the first is taken over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..clients.base import Reply, Request, Usage
from ..clients.replies import MAX_TEXT
from ..runs.human import PERSON, of_reply
from ..utils.text import shorten
from .kinds import Kind, maybe, misfits, number, text, whole
from .strangers import DIGEST, Problems, decoded, said, storable

MAX_REPLIES_FILE = 512 * 2**20
# Text of the greatest length, each character written as an escape.
_MAX_LINE = 16 * 2**20
# The sums that SQLite makes of them stay far below 64 bits.
MAX_LINES = 2_000_000
_INT32 = 2**31 - 1

_REPLY = {
    "lane": whole(-1, _INT32),
    "request": DIGEST,
    "occurrence": whole(0, _INT32),
    "text": text(MAX_TEXT),
    "reason": maybe(text(100, "[a-z_]*", "a short code")),
    "model": maybe(text(1000)),
    "fingerprint": maybe(text(1000)),
    "finish_reason": maybe(text(1000)),
    "prompt_tokens": whole(0, _INT32),
    "completion_tokens": whole(0, _INT32),
    "estimated": Kind("0 or 1", lambda it: type(it) in (bool, int) and it in (0, 1)),
}
# A product of vectors whose length is 1 but for rounding.
_COMPARED = {"example": DIGEST, "row": DIGEST, "value": number(-1.001, 1.001)}
_TEXTS = ("text", "model", "fingerprint", "finish_reason")


class Replies(NamedTuple):
    """What a published journal holds.

    Attributes:
        replies (`list[tuple[Request, Reply]]`): its replies.
        similarities (`list[tuple[str, str, float]]`): example, row, similarity.
    """

    replies: list[tuple[Request, Reply]]
    similarities: list[tuple[str, str, float]]


def read_replies(data: bytes, name: str, problems: Problems) -> Replies:
    """The replies and similarities in the lines that `replay.export` gave.

    Args:
        data (`bytes`): the lines.
        name (`str`): the file's name, for what is wrong with it.
        problems (`Problems`): told of every line that is something else.
    """
    found = Replies([], [])
    seen: dict[Any, int] = {}
    for at, line in enumerate(_lines(data), 1):
        if at > MAX_LINES:
            problems.add(f"{name} has more than {MAX_LINES:,} lines")
            break
        try:
            value = _value(line)
        except UnicodeDecodeError as error:
            problems.add(f"{name}, line {at}: {said(error)} of the line; nothing was read from there on")
            break
        except (ValueError, RecursionError) as error:
            problems.add(f"{name}, line {at}: this is no JSON object ({said(error)})")
            continue
        wrong = list(_wrong(value))
        for one in wrong:
            problems.add(f"{name}, line {at}: {one}")
        if not wrong:
            key = _take(value, found)
            if seen.setdefault(key, at) != at:
                problems.add(f"{name}, line {at}: it answers what line {seen[key]} answers")
    if not data.strip():
        problems.add(f"{name} is empty")
    return found


def _lines(data: bytes) -> Iterator[bytes]:
    """The lines one by one: a list of them all would take as much again."""
    return (found[0] for found in re.finditer(rb"[^\n]+", data))


def _value(line: bytes) -> Mapping[str, Any]:
    if len(line) > _MAX_LINE:
        raise ValueError(f"it has {len(line):,} bytes, {_MAX_LINE:,} are the most")
    value = decoded(line.decode())
    if not isinstance(value, dict):
        raise ValueError(f"it is a {type(value).__name__}")
    return value


def _wrong(value: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a line from being a reply or a similarity."""
    kinds = _COMPARED if "value" in value else _REPLY
    wrong = list(misfits(kinds, value, ""))
    yield from wrong
    for name in _TEXTS:
        if isinstance(value.get(name), str) and not storable(value[name]):
            yield f"{name} holds a lone surrogate"
    if not wrong and kinds is _REPLY and _claims(value):
        yield f"it is said to be by {PERSON}, and no person can have said it: {shorten(value['text'], 60)!r}"


def _claims(value: Mapping[str, Any]) -> bool:
    """Whether a reply is said to be a person's and is none: its name follows from who says what of which row."""
    request = Request([], value["lane"], value["request"], value["occurrence"])
    return value["model"] == PERSON and of_reply(request, value["text"]) is None


def _take(value: Mapping[str, Any], found: Replies) -> tuple[Any, ...]:
    """Put what a line holds where it belongs, and give what it is told from others by."""
    if "value" in value:
        one = value["example"], value["row"], float(value["value"])
        found.similarities.append(one)
        return one[:2]
    usage = Usage(value["prompt_tokens"], value["completion_tokens"], bool(value["estimated"]))
    rest = (value[name] or "" for name in ("reason", "model", "fingerprint", "finish_reason"))
    request = Request([], value["lane"], value["request"], value["occurrence"])
    found.replies.append((request, Reply(value["text"], usage, *rest)))
    return request.lane, request.key, request.occurrence
