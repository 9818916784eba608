"""Labelled rows as a person has them: one JSON object, an array, JSON lines, CSV, Parquet, or dictionaries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..tasks import builtin as tasks
from ..tasks.builtin import Source
from ..tasks.inference import ANSWER_NAMES
from ..tasks.task import Reason, Row, Task
from ..utils.console import say
from ..utils.files import read_json
from ..utils.text import fold, scalar, shorten
from .cells import empty, listed
from .columns import Columns, Record, table_of
from .fields import listed_in, read_line
from .tables import SUFFIXES, is_table, records_of

# Row numbers that a line names.
_NAMED = 5
# What costs its row alone; anything else is a mistake in an answer, which a person mends.
_LEFT_OUT = ("missing_field", "empty_field", "too_long", "not_an_object")


class Labelled(NamedTuple):
    """Labelled rows, and what became of the others.

    Attributes:
        name (`str`): what they are called in a message.
        task (`Task`): what they are rows of.
        rows (`list[Row]`): the rows, in their order, no two with the same inputs.
        numbers (`list[int]`): for each of them, the how many-th record it was, from 1.
        unlabelled (`list[tuple[int, Mapping[str, Any]]]`): the records without an answer, with their numbers.
        said (`list[str]`): what was inferred and what was left out, a line each.
    """

    name: str
    task: Task
    rows: list[Row]
    numbers: list[int]
    unlabelled: list[tuple[int, Record]]
    said: list[str]


def read_labelled(given: Any, told: Columns = Columns(), name: str | None = None) -> Labelled:  # noqa: B008 -- a tuple
    """The labelled rows in a file or in dictionaries, with the task that they are rows of.

    Rows without an answer are kept apart; rows that lack an input, and rows that repeat another one, are left out, and
    both are said.

    Args:
        given (`str`, `PathLike`, `Mapping` or `Iterable[Mapping]`): JSON (one object or an array), JSON lines, CSV,
            TSV, Excel, Parquet or Arrow; or the records themselves.
        told (`Columns`, *optional*): what a person says of the columns.
        name (`str`, *optional*): the task's; by default the file's.

    Raises:
        UsageError: the file cannot be read, what a column is cannot be inferred, an answer is none of the labels, or
            two rows with the same inputs have different answers.
    """
    where, records, table = records_in(given)
    name = name or (Path(where).stem if where else "my-task")
    where = where or "the list of examples"
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise UsageError(f"{where}, row {number}: an object is wanted, not {shorten(repr(record), 60)}")
    if not records:
        raise UsageError(f"{where} holds no rows")
    if len(records) == 1:
        return _one(records[0], name, told)
    found = table_of(records, name, told)
    return _rows(where, Labelled(name, found.task, [], [], [], list(found.said)), found.records, table)


def records_in(given: Any) -> tuple[str, list[Any], bool]:
    """The records that are given, with the file's name or `""`, and whether an answer may be an index in them."""
    if isinstance(given, Mapping):
        return "", [given], False
    if not isinstance(given, (str, os.PathLike, Iterable)):
        raise UsageError(f"formatting examples are a file, a dictionary or a list of them, not {given!r}")
    if not isinstance(given, (str, os.PathLike)):
        return "", list(given), False
    path = Path(os.path.expanduser(given))
    if path.suffix.lower() == ".json" or path.suffix.lower() not in SUFFIXES:
        return path.name, _of_json(path), False
    return path.name, list(records_of(path)), is_table(path)


def _of_json(path: Path) -> list[Any]:
    """One object, an array of them, or lines of them, whatever the file is called."""
    try:
        value = read_json(str(path), "labelled rows", most=None)
    except UsageError:
        lines = _lines(path)
        if lines is None:
            raise
        return lines
    return value if isinstance(value, list) else [value]


def _lines(path: Path) -> list[Any] | None:
    """A JSON value in each line, two or more."""
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError):
        return None
    return lines if len(lines) > 1 else None


def source(
    given: Any,
    told: Columns = Columns(),  # noqa: B008 -- a tuple
    name: str | None = None,
    tell: Callable[[str], None] = say,
) -> Source:
    """The task of one or more formatting examples; a `task.json` gives the task as it stands.

    Args:
        given (`str`, `PathLike`, `Mapping` or `Iterable[Mapping]`): see `read_labelled`.
        told (`Columns`, *optional*): what a person says of the columns.
        name (`str`, *optional*): the task's; by default the file's.
        tell (`Callable[[str], None]`, *optional*): told what was inferred.
    """
    if _is_one(given) and not told.fields:
        how: dict[str, Any] = {"answer_field": told.answer, "options_field": told.options, "aside": told.aside}
        return tasks.from_example(
            os.fspath(given), name=name, label_space=told.label_space, labels=told.labels or None, **how
        )
    found = read_labelled(given, told, name)
    first, *more = map(found.task.example, found.rows)
    if found.said:
        tell(f"{found.name}: {len(found.rows):,} formatting examples; {'; '.join(found.said)}")
    return Source(
        found.task, first, file=Path(given) if isinstance(given, (str, os.PathLike)) else None, more_examples=more
    )


def _is_one(given: Any) -> bool:
    """Whether a JSON file holds one object, or something that is told to be none."""
    if not isinstance(given, (str, os.PathLike)):
        return False
    path = Path(os.path.expanduser(given))
    if path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".json":
        return False
    try:
        return not isinstance(read_json(str(path), most=None), list)
    except UsageError:
        return _lines(path) is None


def _one(record: Record, name: str, told: Columns) -> Labelled:
    """A single record is a formatting example: nothing can be told from what others have."""
    kept = {key: _opened(value) for key, value in record.items()}
    kept = {key: value for key, value in kept.items() if not empty(value) or isinstance(value, str)}
    if told.fields:
        kept = _named(kept, told)
    how: dict[str, Any] = {"label_space": told.label_space, "labels": told.labels or None}
    how |= {"answer_field": told.answer, "options_field": told.options, "aside": told.aside}
    task = Task.from_example(kept, name=name, **how)
    return Labelled(name, task, [task.seed_row(kept)], [1], [], [])


def _opened(value: Any) -> Any:
    """A cell; the list in it, if it is the JSON of several options."""
    cells = listed_in(value) if isinstance(value, str) else None
    return cells if cells and len(cells) > 1 else value


def _named(record: Record, told: Columns) -> dict[str, Any]:
    """The fields that a person names, and what may be the answer and the options where they do not say."""
    if lacking := [key for key in told.fields if key not in record]:
        raise UsageError(f"`fields` {lacking[0]!r} is not a key of the example; its keys are {listed(list(record))}")
    named = {*told.fields, told.answer, told.options, *told.aside}
    if told.answer is None:
        named |= {key for key, value in record.items() if isinstance(value, list) or fold(key) in ANSWER_NAMES}
    return {key: value for key, value in record.items() if key in named}


def _rows(where: str, found: Labelled, records: Sequence[Record], table: bool) -> Labelled:
    """Read the records; say what was left out."""
    task, seen = found.task, dict[int, tuple[int, Row]]()
    left_out: dict[str, list[int]] = {}
    clash: list[str] = []
    for number, record in enumerate(records, 1):
        if empty(record.get(task.answer)):
            found.unlabelled.append((number, record))
            continue
        row = read_line(task, None, record, table)
        if isinstance(row, Reason):
            _check(where, number, row, record, task)
            left_out.setdefault(f"{row.code} {row.detail!r}", []).append(number)
        elif "" in row.aside:
            left_out.setdefault(f"empty_field {task.aside[row.aside.index('')]!r}", []).append(number)
        elif row.key not in seen:
            seen[row.key] = number, row
            found.rows.append(row)
            found.numbers.append(number)
        elif _said(row) == _said(seen[row.key][1]):
            left_out.setdefault("repeats another", []).append(number)
        else:
            clash.append(f"{seen[row.key][0]} and {number} ({_short(seen[row.key][1])} and {_short(row)})")
    _refuse(where, clash)
    if found.unlabelled:
        left_out[f"has no {task.answer!r}"] = [number for number, _ in found.unlabelled]
    found.said.extend(f"left out, {why}: row {_numbers(which)}" for why, which in left_out.items())
    if not found.rows:
        raise UsageError(f"{where} has no row that can be used ({'; '.join(found.said)})")
    return found


def _said(row: Row) -> str:
    return row.options[row.answer]


def _short(row: Row) -> str:
    return repr(shorten(_said(row), 40))


def _check(where: str, number: int, wrong: Reason, record: Mapping[str, Any], task: Task) -> None:
    """Say what a person must mend: a row that is only incomplete is left out."""
    if wrong.code in _LEFT_OUT:
        return
    if wrong.code == "answer_not_in_options":
        known = list(task.labels or record.get(task.options) or ())
        given = scalar(record.get(task.answer)) or ""
        said = f"its {task.answer} {shorten(given, 60)!r} is none of {shorten(str(known), 120)}"
    else:
        said = f"{wrong.code}: {shorten(wrong.detail, 120)}"
    raise UsageError(f"{where}, row {number}: {said}: correct it or leave it out")


def _refuse(where: str, clash: Iterable[str]) -> None:
    pairs = list(clash)
    if pairs:
        more = f", and {len(pairs) - _NAMED} more pairs" if len(pairs) > _NAMED else ""
        raise UsageError(
            f"{where}: rows with the same inputs have different answers, rows {'; '.join(pairs[:_NAMED])}{more}: "
            "correct or delete them"
        )


def _numbers(which: Sequence[int]) -> str:
    shown = ", ".join(map(str, which[:_NAMED]))
    return shown if len(which) <= _NAMED else f"{shown} and {len(which) - _NAMED:,} more"
