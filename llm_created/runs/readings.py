"""Readings of a run: what each command made of its replies, side by side, and which of them a person means."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .schema import DERIVED

# So many are kept beside those with a name; a command that is run again makes its own anew.
MOST = 32


class Reading(NamedTuple):
    """What one command made of a run's replies.

    Attributes:
        id (`int`): its number in the journal; a later one is larger.
        digest (`str`): of the code and the checks that it was made with.
        target (`int`): rows wanted.
        name (`str`, *optional*): what a person calls it.
        about (`Mapping[str, Any]`): `rows`, once it has ended; `emission`, its checks; `leaks`.
    """

    id: int
    digest: str
    target: int
    name: str | None
    about: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        """What tells readings apart that are not the same one, begun again."""
        return self.digest, self.target

    @property
    def said(self) -> str:
        """How many rows with which checks, in words."""
        checks = [
            f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in (self.about.get("emission") or {}).items()
        ]
        rows = f"{self.about.get('rows', self.target):,} rows"
        return f"{rows} with {' '.join(checks)}" if checks else f"{rows} without checks"


class Which(NamedTuple):
    """The reading that is meant: the one with a name, the one that a folder of rows was written from, or the last.

    Attributes:
        name (`str`, *optional*): its name.
        folder (`str`): the folder of rows, as a person gave it.
        rows (`int`, *optional*): the rows in the folder.
        reading (`str`): the digest that its `run.json` names; earlier versions named none.
        target (`int`): the rows that were wanted for it.
    """

    name: str | None = None
    folder: str = ""
    rows: int | None = None
    reading: str = ""
    target: int = 0


def meant(found: Sequence[Reading], which: Which) -> list[Reading]:
    """The reading that is meant, once for each time that it was begun, the last first; `[]` if it is not there.

    Args:
        found (`Sequence[Reading]`): all readings of a run, the last first.
        which (`Which`): what a person said.
    """
    if which.rows is not None:
        fit = _of_folder(found, which, which.rows)
    else:
        fit = [one for one in found if which.name is None or one.name == which.name]
    return [one for one in found if one.key == fit[0].key] if fit else []


def _of_folder(found: Sequence[Reading], which: Which, rows: int) -> list[Reading]:
    if not which.reading:
        return _with_rows(found, rows)
    same = [one for one in found if one.digest == which.reading]
    # Rows that were made for a larger number begin with those made for a smaller one.
    larger = sorted((one for one in same if one.target >= rows), key=lambda one: one.target)
    return [one for one in same if one.target == which.target] or larger


def _with_rows(found: Sequence[Reading], rows: int) -> list[Reading]:
    """The readings with so many rows, else the only one, if it has them among its own."""
    alone = found if len({one.key for one in found}) == 1 and found[0].target >= rows else []
    return [one for one in found if one.about.get("rows", one.target) == rows] or list(alone)


def shown_target(one: Reading, which: Which) -> int:
    """How many of its rows are meant: a folder has those that it was written with."""
    if which.rows is None or one.about.get("rows", one.target) == which.rows:
        return one.target
    return which.rows


def stored(db: sqlite3.Connection) -> list[Reading]:
    """All readings in a journal, the last first."""
    found = db.execute("SELECT id, digest, target, name, about FROM readings ORDER BY id DESC")
    return [Reading(at, digest, target, name, json.loads(about)) for at, digest, target, name, about in found]


def furthest(db: sqlite3.Connection, found: Sequence[Reading]) -> Reading:
    """Of a reading that was begun more than once the one that came furthest: a kill leaves it half made."""
    if len(found) == 1:
        return found[0]
    count = "SELECT count(*) FROM turns WHERE reading = ?"
    return max(found, key=lambda one: (db.execute(count, (one.id,)).fetchone()[0], one.id))


def add(
    db: sqlite3.Connection, digest: str, target: int, name: str | None, about: Mapping[str, Any]
) -> tuple[int, str | None]:
    """A new reading in place of what it makes superfluous; another one that was called so loses the name.

    Returns:
        `tuple[int, str | None]`: its number, and its name: one that is begun again keeps it.
    """
    there = stored(db)
    same = [one for one in there if one.key == (digest, target)]
    name = name or next(filter(None, (one.name for one in same)), None)
    kept = furthest(db, same).id if same else 0
    _forget(db, _superfluous(there, same, kept))
    db.execute("UPDATE readings SET name = NULL WHERE name = ?", (name,))
    insert = "INSERT INTO readings (digest, target, name, about) VALUES (?, ?, ?, ?)"
    number = int(db.execute(insert, (digest, target, name, json.dumps(about))).lastrowid or 0)
    _forget(db, (one.id for one in stored(db)[MOST:] if not one.name and one.id != kept))
    return number, name


def _superfluous(there: Sequence[Reading], same: Sequence[Reading], kept: int) -> list[int]:
    """What a new reading stands for, but for what is kept of it; what nobody began by a command has no digest."""
    return [one.id for one in there if not one.digest or (one in same and one.id != kept)]


def _forget(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    for number in numbers:
        for table in DERIVED:
            db.execute(f"DELETE FROM {table} WHERE reading = ?", (number,))
        db.execute("DELETE FROM readings WHERE id = ?", (number,))
