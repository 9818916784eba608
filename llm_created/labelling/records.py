"""Records that want a label, as a file has them, and the demonstrations that a model is shown before each."""

from __future__ import annotations

import codecs
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..creation import define
from ..data import fields, tables
from ..errors import UsageError
from ..runs.settings import Settings
from ..tasks import human
from ..tasks.builtin import Source
from ..tasks.task import Reason, Row, Task, match
from ..utils.draws import evenly
from ..utils.text import clean, digest, fold, shorten


class Case(NamedTuple):
    """One record of a file.

    Attributes:
        number (`int`): its line, or its number where a record is not a line.
        record (`Any`): as it was; the text of the line where that is not JSON.
        row (`Row`, *optional*): what is asked about. Its id does not depend on an answer, and its answer says nothing.
        reason (`Reason`, *optional*): why it cannot be asked about.
        given (`int`, *optional*): the answer that it came with, as an index into the row's options.
        stray (`str`): an answer that it came with and that is none of them.
    """

    number: int
    record: Any
    row: Row | None = None
    reason: Reason | None = None
    given: int | None = None
    stray: str = ""


class Shots(NamedTuple):
    """Demonstrations, and the explanations of their answers by the id of the row, where there are any."""

    rows: tuple[Row, ...] = ()
    explained: Mapping[str, str] = {}


def question(row: Row) -> tuple[str, ...]:
    """What two rows about the same thing have in common, whatever their options."""
    return tuple(fold(text) for text in row.inputs)


def read(task: Task, path: Path) -> list[Case]:
    """The records of a file in their order; one that cannot be used has a reason.

    Args:
        task (`Task`): names the fields, which are matched without regard to case; the names that files of human data
            have (`question`, `context`, `options`, `label`) are known too, and for a built-in task those of its
            dataset on the Hub.
        path (`Path`): what `tables.records_of` reads; in CSV, options are a JSON list in their cell.

    Raises:
        UsageError: there is no such file, it cannot be read at all, or none of its records can.
    """
    columns = fields.columns_of(task)
    cases = [
        Case(number, value, reason=reason) if reason else _case(task, columns, number, value, tables.is_table(path))
        for number, value, reason in _values(path)
    ]
    if not cases:
        raise UsageError(f"{str(path)!r} has no records")
    first = next((case for case in cases if case.reason), cases[0])
    if all(case.reason for case in cases) and first.reason:
        wanted = f"the fields {', '.join(task.inputs)}" + (f" and {task.options}" if task.variable else "")
        why = f"{first.reason.code} ({shorten(first.reason.detail, 60)}) in record {first.number}"
        raise UsageError(f"{str(path)!r}: none of {len(cases)} records can be read, {why}; expected {wanted}")
    return cases


def cases(task: Task, values: Iterable[Any]) -> list[Case]:
    """The same for records in memory, of which none may be of use."""
    columns = fields.columns_of(task)
    return [_case(task, columns, number, value, True) for number, value in enumerate(values, 1)]


def shown(task: Task, values: Iterable[Mapping[str, Any]]) -> Shots:
    """Demonstrations, all of them and in this order.

    Raises:
        UsageError: one is no labelled row of the task.
    """
    found = cases(task, values)
    for case in found:
        if case.row is None or case.given is None:
            why = case.reason.detail if case.reason else f"its answer is {case.stray!r}" if case.stray else "no answer"
            raise UsageError(f"`shots`: the {case.number}. is no labelled row of {task.name!r}: {shorten(why, 80)}")
    rows = list(_labelled(found))
    return Shots(tuple(row for row, _ in rows), {row.id: said for row, said in rows if said})


def _values(path: Path) -> Iterator[tuple[int, Any, Reason | None]]:
    if tables.is_table(path) or not path.is_file():
        yield from ((number, record, None) for number, record in enumerate(tables.records_of(path), 1))
        return
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line.decode("utf-8")), None
        except (ValueError, RecursionError) as error:
            yield number, line.decode("utf-8", "replace").rstrip("\r"), Reason("not_json", shorten(str(error), 120))


def _case(task: Task, columns: human.Columns | None, number: int, record: Any, table: bool) -> Case:
    """One record."""
    if not isinstance(record, Mapping):
        return Case(number, record, reason=Reason("not_an_object", f"{type(record).__name__} instead of an object"))
    named = fields.own_names(task, record)
    row = fields.unanswered(task, named)
    if isinstance(row, Reason) and (example := _of_dataset(columns, record)):
        again = fields.unanswered(task, example)
        row, named = (again, example) if isinstance(again, Row) else (row, named)
    if isinstance(row, Reason):
        return Case(number, record, reason=row)
    told = fields.in_words(task, {**record, **named}, table)
    answer = named.get(task.answer) if isinstance(told, Reason) else told.get(task.answer)
    if answer is None or answer == "":
        return Case(number, record, row)
    given = match(answer, row.options)
    if isinstance(given, int):
        return Case(number, record, row, given=given)
    return Case(number, record, row, stray=shorten(str(answer), 40) or "blank")


def _of_dataset(columns: human.Columns | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a built-in task's own dataset under the task's names; nothing, if it is none."""
    if columns is None:
        return {}
    try:
        return dict(columns(record) or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        return {}


def shots_for(source: Source, settings: Settings, count: int, file: str | None, asked: Collection[Row]) -> Shots:
    """Demonstrations from a file of labelled rows, else from the task's human training split; see `shots`."""
    if not 0 <= count <= 100:
        raise UsageError(f"`shots` takes the number of demonstrations, from 0 to 100, not {count}")
    if not count:
        if file:
            raise UsageError("`shots_from` FILE goes with `shots` K")
        return Shots()
    candidates: Iterable[Case | Row]
    if file:
        candidates = read(source.task, Path(file).expanduser())
    else:
        candidates = define.human_rows(settings, source).get("train", [])
    return shots(source.task, candidates, count, settings.seed, asked)


def shots(task: Task, candidates: Iterable[Case | Row], count: int, seed: int, asked: Collection[Row]) -> Shots:
    """Demonstrations, drawn by a hash of the seed, and evenly over fixed labels.

    Args:
        task (`Task`): the task.
        candidates (`Iterable[Case | Row]`): labelled rows; records without an answer are left out.
        count (`int`): how many are wanted.
        seed (`int`): another seed draws others.
        asked (`Collection[Row]`): the rows that are to be labelled; none of them is drawn.

    Raises:
        UsageError: there are too few.
    """
    usable = _usable(candidates, seed, asked)
    explained = {row.id: said for row, said in usable if said}
    pools: dict[int, list[Row]] = {}
    for row, _ in usable:
        pools.setdefault(row.answer if task.labels else 0, []).append(row)
    drawn = []
    for at in range(count):
        label = evenly(seed, "shots", at, len(task.labels)) if task.labels else 0
        if not pools.get(label):
            kind = f" labelled {task.labels[label]!r}" if task.labels else ""
            raise UsageError(
                f"`shots` {count}: too few rows{kind} to draw from that are not themselves to be labelled; "
                "ask for fewer, or give others with `shots_from` FILE"
            )
        drawn.append(pools[label].pop(0))
    return Shots(tuple(drawn), {row.id: explained[row.id] for row in drawn if row.id in explained})


def _usable(candidates: Iterable[Case | Row], seed: int, asked: Collection[Row]) -> list[tuple[Row, str]]:
    """Labelled rows in the order of the draw, no two about the same thing and none about what is asked."""
    taken = {question(row) for row in asked}
    usable = []
    for row, said in sorted(_labelled(candidates), key=lambda one: (digest([seed, one[0].id]), one)):
        if question(row) not in taken and len(set(map(fold, row.options))) == len(row.options):
            taken.add(question(row))
            usable.append((row, said))
    return usable


def _labelled(candidates: Iterable[Case | Row]) -> Iterator[tuple[Row, str]]:
    for one in candidates:
        if isinstance(one, Row):
            yield fields.blind(one), ""
        elif one.row is not None and one.given is not None:
            by_name = {fold(key): value for key, value in one.record.items() if isinstance(key, str)}
            said = by_name.get("explanation")
            yield one.row._replace(answer=one.given), clean(said) if isinstance(said, str) else ""
