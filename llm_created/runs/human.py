"""What people said of rows: votes of kind `human`, which lie in the run's journal beside those of judges."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ..clients.base import Request
from ..errors import RunFailed, UsageError
from ..utils.text import clean, digest

KIND = "human"
LANE = -1
# It stands where replies name their model.
PERSON = "a person"
LABEL, WRONG, UNSURE = "label", "wrong", "unsure"
MAX_PERSON, _MAX_LABEL, _MAX_SAMPLE = 64, 20_000, 10_000_000
# Nobody asked a server: that no attempt was made tells them from what judges said.
ADD = """
INSERT INTO replies (lane, request, occurrence, submitted, answered, attempts, text, reason, model, fingerprint,
finish_reason, prompt_tokens, completion_tokens, estimated)
SELECT -1, :key, coalesce(max(occurrence) + 1, 0), :now, :now, 0, :text, '', :model, '', '', 0, 0, 0
FROM replies WHERE lane = -1 AND request = :key"""
ALL = """
SELECT request, text FROM replies WHERE lane = -1 AND attempts = 0 AND answered IS NOT NULL
ORDER BY request, occurrence"""
ONE = "SELECT request, text FROM replies WHERE lane = -1 AND request = ? AND attempts = 0 ORDER BY occurrence"
# Seconds that an answer waits for another process that is writing.
_WAIT = 30.0


class Said(NamedTuple):
    """What one person said of one row.

    Attributes:
        row (`str`): the row's id.
        by (`str`): who said it, as they call themselves.
        verdict (`str`): `"label"`, this label is right; `"wrong"`, this label is wrong, or none fits; `"unsure"`.
        label (`str`, *optional*): which.
        blind (`bool`): the row's label was not shown.
        sample (`int`): rows of the audit that it was said in, 0 outside of one.
    """

    row: str
    by: str
    verdict: str
    label: str | None = None
    blind: bool = False
    sample: int = 0

    @property
    def key(self) -> str:
        """Its request's name in the journal: what one person says of one row; a change of mind is its next
        occurrence."""
        return digest([KIND, self.row, self.by])

    @property
    def text(self) -> str:
        """It as the text of a reply."""
        return json.dumps(self._asdict(), ensure_ascii=False)


def check_person(name: str) -> str:
    """The name, if a person can be called so.

    Raises:
        UsageError: it is empty, too long, or cannot be shown as it is.
    """
    if not name or len(name) > MAX_PERSON or clean(name) != name or not name.isprintable():
        raise UsageError(f"a person's name has 1 to {MAX_PERSON} printable characters, not {name!r}")
    return name


def read(key: str, text: str) -> Said | None:
    """What a reply in the lane of votes says, if a person said it: its name in the journal follows from it."""
    try:
        value = json.loads(text)
        said = Said(**value)
    except (ValueError, TypeError, RecursionError):
        return None
    return said if _typed(said) and _in_bounds(said) and said.key == key else None


def _typed(said: Said) -> bool:
    texts = [said.row, said.by, said.verdict, *([] if said.label is None else [said.label])]
    return all(isinstance(one, str) for one in texts) and type(said.blind) is bool and type(said.sample) is int


def _in_bounds(said: Said) -> bool:
    if said.verdict not in (LABEL, WRONG, UNSURE) or (said.verdict == LABEL and said.label is None):
        return False
    if not 0 <= said.sample <= _MAX_SAMPLE or len(said.label or "") > _MAX_LABEL:
        return False
    return 0 < len(said.by) <= MAX_PERSON and said.by.isprintable()


def of_reply(request: Request, text: str) -> Said | None:
    """What a reply says, if it is a person's."""
    return read(request.key, text) if request.lane == LANE else None


def stored(db: sqlite3.Connection) -> list[Said]:
    """All that people said, and of one row by one person the last at the end."""
    return [said for key, text in db.execute(ALL) if (said := read(key, text)) is not None]


def add(path: Path, said: Said) -> None:
    """Keep an answer; it is there when this returns, whoever else has the run open.

    Args:
        path (`Path`): the run's journal.
        said (`Said`): the answer.

    Raises:
        RunFailed: the journal is gone or cannot be written.
    """
    values = {"key": said.key, "now": time.time(), "text": said.text, "model": PERSON}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT)) as db, db:
            # A person's minute is worth a sync of the disk.
            db.execute("PRAGMA synchronous=FULL")
            db.execute(ADD, values)
    except sqlite3.Error as error:
        raise RunFailed(f"the answer was not kept: the journal {path} cannot be written ({error})") from None


def latest(said: Iterable[Said]) -> dict[str, dict[str, Said]]:
    """By row and person what they said last."""
    found: dict[str, dict[str, Said]] = {}
    for one in said:
        found.setdefault(one.row, {})[one.by] = one
    return found


def people(said: Iterable[Said]) -> list[str]:
    """Who said something, in the order of their names."""
    return sorted({one.by for one in said})
