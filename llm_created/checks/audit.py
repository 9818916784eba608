"""What is wrong with rows that somebody has: repeats and leaks. Nothing is changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..data import fields, sources, tables
from ..errors import UsageError
from ..models.features import Features
from ..tasks.task import Reason, Row, Task
from ..utils import files
from ..utils.progress import Told
from ..utils.text import fold, shorten
from .label_errors import doubts
from .leakage import EvaluationSets, Leak
from .near_duplicates import NearDuplicates

DUPLICATE, DOUBTED = "duplicate", "label_doubted"
# Rows that are embedded before it is said how far that is; a model puts texts of one length together.
_AT_ONCE = 512


class Finding(NamedTuple):
    """One thing wrong with one row.

    Attributes:
        number (`int`): of the row, counted from 1.
        row (`Row`, *optional*): the row, where it is one.
        reason (`Reason`): what is wrong.
    """

    number: int
    row: Row | None
    reason: Reason


@dataclass
class Found:
    """What was read, and what was found in it.

    Attributes:
        name (`str`): of the source, without a path.
        task (`Task`): its task.
        rows (`dict[int, Row]`): the rows by their numbers, counted from 1; those that were rejected are left out.
        rejected (`list[Finding]`): what could not be read as a row.
        duplicates (`list[Finding]`): rows whose input fields, and options, an earlier row has.
        otherwise (`int`): how many of these have another answer.
        near (`list[Finding]`): near-duplicates among the other rows.
        leaks (`list[tuple[Finding, Leak]]`): rows that repeat an evaluation set.
        doubted (`list[Finding]`, *optional*): rows whose labels are likely wrong, likeliest first, once looked for.
    """

    name: str
    task: Task
    rows: dict[int, Row]
    rejected: list[Finding]
    duplicates: list[Finding] = field(default_factory=list)
    otherwise: int = 0
    near: list[Finding] = field(default_factory=list)
    leaks: list[tuple[Finding, Leak]] = field(default_factory=list)
    doubted: list[Finding] | None = None

    @property
    def findings(self) -> list[Finding]:
        """All findings, by row."""
        found = [*self.rejected, *self.duplicates, *self.near, *(one for one, _ in self.leaks), *(self.doubted or ())]
        return sorted(found, key=lambda one: one.number)


def read(spec: str, task: Task | None = None, human_data: str | None = None) -> Found:
    """Rows as `evaluate` reads them, but for a file's rows that cannot be read: they are rejected, each with a reason.

    Args:
        spec (`str`): anything that `sources.load` takes.
        task (`Task`, *optional*): needed for a file and for `human:SPLIT`.
        human_data (`str`, *optional*): a folder of human data in place of the Hub.

    Raises:
        UsageError: there is no such source, it is of another task, or holds nothing.
    """
    spec = files.the_one(spec)
    name, path = shorten(sources.public_name(spec), 40), Path(spec).expanduser()
    if task is None or not path.is_file():
        loaded = _loaded(spec, task, human_data)
        return Found(name, loaded.task, dict(enumerate(loaded.rows, 1)), [])
    pieces = dict(enumerate(_records(path, task) if tables.is_table(path) else _lines(path, task), 1))
    if not pieces:
        raise UsageError(f"{spec} has no rows")
    rows = {number: piece for number, piece in pieces.items() if isinstance(piece, Row)}
    rejected = [Finding(number, None, piece) for number, piece in pieces.items() if isinstance(piece, Reason)]
    if not rows:
        reason = rejected[0].reason
        raise UsageError(
            f"none of the {len(rejected):,} rows of {spec} is one of {task.name!r}: the first is {reason.code} "
            f"({shorten(reason.detail, 60)}); is it the right `task`?"
        )
    return Found(name, task, rows, rejected)


def _loaded(spec: str, task: Task | None, human_data: str | None) -> sources.Rows:
    loaded = sources.load(spec, task, human_data)
    if task is not None:
        sources.same_task(loaded, task)
    return loaded


def _lines(path: Path, task: Task) -> Iterator[Row | Reason]:
    columns = fields.columns_of(task)
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                record = json.loads(line.strip())
            except (ValueError, RecursionError) as error:
                yield Reason("not_json", str(error))
                continue
            yield fields.read_line(task, columns, record)


def _records(path: Path, task: Task) -> Iterator[Row | Reason]:
    columns = fields.columns_of(task)
    for record in tables.records_of(path):
        yield fields.read_line(task, columns, record, table=True)


def _duplicate(found: Found, number: int, before: int) -> None:
    row = found.rows[number]
    other = _answer(row) != _answer(found.rows[before])
    found.otherwise += other
    detail = f"the same as row {before}" + (", with another answer" if other else "")
    found.duplicates.append(Finding(number, row, Reason(DUPLICATE, detail)))


def search(
    found: Found,
    near: NearDuplicates | None = None,
    known: EvaluationSets | None = None,
    told: Told = lambda what, done, total: None,
) -> None:
    """Search the rows, and write what there is into `found`.

    Args:
        found (`Found`): what was read.
        near (`NearDuplicates`, *optional*): by which rows that are not the same are compared.
        known (`EvaluationSets`, *optional*): what the rows must not repeat.
        told (`Callable[[str, int, int], None]`, *optional*): told how far it is: with what, done and total.

    Raises:
        RunFailed: the embedding model cannot be loaded.
    """
    first: dict[int, int] = {}
    for done, (number, row) in enumerate(found.rows.items()):
        told("rows searched", done, len(found.rows))
        before = first.setdefault(row.key, number)
        if before != number:
            _duplicate(found, number, before)
        leak = known.leak(row) if known else None
        if leak:
            found.leaks.append((Finding(number, row, leak.reason), leak))
    if near:
        distinct = {number: found.rows[number] for number in first.values()}
        asyncio.run(_embed(near, list(distinct.values()), told))
        for done, (number, row) in enumerate(distinct.items()):
            told("rows compared with those before them", done, len(distinct))
            reason = near.check(row)
            found.near += [Finding(number, row, reason)] if reason else []


def doubt(found: Found, features: Features, told: Told = lambda what, done, total: None) -> None:
    """Look for labels that are likely wrong, and write them into `found`.

    Raises:
        UsageError: there are too few rows, or all have one label.
    """
    distinct = {row.key: number for number, row in reversed(found.rows.items())}
    rows = {number: found.rows[number] for number in sorted(distinct.values())}
    doubted = doubts(found.task, rows, features, found.name, told)
    found.doubted = []
    for one in doubted:
        row = rows[one.number]
        detail = f"it is {row.options[row.answer]!r} ({one.given:.0%}), and rather {row.options[one.said]!r}"
        reason = Reason(DOUBTED, f"{detail} ({one.rather:.0%})")
        found.doubted.append(Finding(one.number, row, reason))


async def _embed(near: NearDuplicates, rows: list[Row], told: Told) -> None:
    for done in range(0, len(rows), _AT_ONCE):
        told("rows embedded", done, len(rows))
        await near.embed(rows[done : done + _AT_ONCE])


def _answer(row: Row) -> str:
    return fold(row.options[row.answer])
