"""A record's fields under the names that people give them, and its answer as text, whatever it stands as."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..tasks import builtin as tasks
from ..tasks.human import Columns
from ..tasks.task import Reason, Row, Task, match
from ..utils.text import digest, fold, scalar, shorten


def columns_of(task: Task) -> Columns | None:
    """How the records of a built-in task's dataset are read."""
    known = tasks.load(task.name) if task.name in tasks.names() else None
    return known.human.columns if known and known.human and known.task == task else None


def read_line(task: Task, columns: Columns | None, item: object, table: bool = False) -> Row | Reason:
    """A record in the task's own names or those of human files, else as the dataset itself has it.

    Args:
        task (`Task`): reads it.
        columns (`Columns`, *optional*): how the dataset itself names its fields.
        item (`object`): the record.
        table (`bool`, defaults to `False`): it is from a table, where an answer may be an index; see `in_words`.
    """
    said = in_words(task, item, table) if isinstance(item, Mapping) else item
    row = said if isinstance(said, Reason) else read_record(task, said or item)
    if isinstance(row, Row) or columns is None or not isinstance(item, Mapping):
        return row
    try:
        example = columns(item)
    except (LookupError, TypeError, ValueError, AttributeError):
        return row
    if example is None:
        return row._replace(detail=f"{row.detail}, or its label is hidden")
    return read_record(task, example)


def read_record(task: Task, item: object) -> Row | Reason:
    """`Task.read`, more patient: the names that human files use, and a wrong option that stands twice.

    CommonsenseQA lists an option twice in 131 of 9,721 rows. A model must not write such rows, but without them the
    test set would be another. The repeat stands last: a model scores both alike, and the first one is the answer.
    """
    example = own_names(task, item) if isinstance(item, Mapping) else {}
    row, options = task.read(example or item), example.get(task.options)
    if isinstance(row, Row) or row.code != "wrong_options" or not task.variable or not isinstance(options, list):
        return row
    if task.num_options not in (None, len(options)):
        return row
    texts = [scalar(option) or "" for option in options]
    distinct = {fold(text): text for text in reversed(texts)}
    repeats = (Counter(texts) - Counter(distinct.values())).elements()
    again = replace(task, num_options=None).read(example | {task.options: list(distinct.values())})
    return row if isinstance(again, Reason) else again._replace(options=(*again.options, *repeats))


def unanswered(task: Task, named: Mapping[str, Any]) -> Row | Reason:
    """The fields as a row, its options in the order in which they are given; one that stands twice is shown once.

    Its id does not depend on an answer, and its answer says nothing.
    """
    listed = listed_in(named.get(task.options))
    texts = [text for text in map(scalar, task.labels or listed or ()) if text]
    # Any of its options does as the answer that a row must have: nothing of it is shown.
    row = read_record(task, {**named, task.options: listed, task.answer: texts[0] if texts else "-"})
    if isinstance(row, Reason):
        return row
    distinct: dict[str, str] = {}
    for text in texts:
        distinct.setdefault(fold(text), text)
    return blind(row._replace(options=tuple(distinct.values()), answer=0))


def blind(row: Row) -> Row:
    """The row with an id that does not depend on its answer, so that it is asked about alike with and without one."""
    return row._replace(id=digest([row.inputs, sorted(row.options)]))


def own_names(task: Task, item: Mapping[Any, Any]) -> dict[str, Any]:
    """The object with the task's own field names, where it has those of the human files instead."""
    by_name = _by_name(item)
    own = {field: by_name.pop(fold(field)) for field in task.fields if fold(field) in by_name}
    others = [(task.answer, "label"), (task.answer, "answer"), (task.options, "options")]
    others += zip(task.inputs, ("question", "context"), strict=False)
    return {field: by_name[name] for field, name in others if name in by_name} | own


def in_words(task: Task, record: Mapping[Any, Any], table: bool) -> dict[str, Any] | Reason:
    """The record under the task's own names, with its answer as text.

    A row of this library has its answer's text in a column of its own, by which a number is told to be an index.
    Without that, a number in a table is one, unless fixed labels are numbers themselves and the row is not ours: the
    stars of a stranger's table are stars.

    Args:
        task (`Task`): names the fields.
        record (`Mapping`): as it stands in a file.
        table (`bool`): whether it is from a table; in JSON lines an answer is text.
    """
    named, by_name = own_names(task, record), _by_name(record)
    if table:
        named |= _opened(task, named)
    options, given = _options(task, named), named.get(task.answer)
    if not options or given in (None, ""):
        return named
    ours = {"id", "parent_id", "depth"} <= by_name.keys()
    text, index = _text_beside(task, by_name), _whole(given, table)
    spoken = _both_name(options, text, given, index)
    if spoken is not None:
        return named | {task.answer: options[spoken]}
    if ours and text:
        return Reason("two_answers", f"{task.answer} is {shorten(str(given))}, {task.text_column} {shorten(text)}")
    if table and index is not None and not isinstance(given, str):
        named[task.answer] = _answer_at(task, options, index, ours)
    return named


def _by_name(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {fold(key): value for key, value in record.items() if isinstance(key, str)}


def _opened(task: Task, named: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a cell lists, as a list."""
    listed = listed_in(named.get(task.options))
    return {} if listed is None else {task.options: listed}


def _text_beside(task: Task, by_name: Mapping[str, Any]) -> str:
    text = by_name.get(fold(task.text_column))
    return text if isinstance(text, str) else ""


def _both_name(options: Sequence[str], text: str, given: object, index: int | None) -> int | None:
    """The option that a text names, if the answer beside it names it too, or is its index."""
    spoken = match(text, options)
    return spoken if isinstance(spoken, int) and spoken in (match(given, options), index) else None


def _answer_at(task: Task, options: Sequence[str], index: int, ours: bool) -> str | int:
    """The option that a number in a table stands for, or the number, where it is a label itself."""
    numbers = task.labels is not None and any(map(str.isdecimal, task.labels))
    return options[index] if (ours or not numbers) and 0 <= index < len(options) else index


def _options(task: Task, named: Mapping[str, Any]) -> Sequence[str]:
    listed = named.get(task.options)
    return task.labels or [scalar(one) or "" for one in (listed if isinstance(listed, (list, tuple)) else ())]


def _whole(value: object, table: bool) -> int | None:
    """A number without a fraction: a column of integers with a gap in it comes as floats, and in CSV all is text."""
    if isinstance(value, str):
        return int(value) if table and value.isdecimal() and len(value) < 10 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def listed_in(value: Any) -> list[Any] | None:
    """A list of options, or the JSON list in a cell; a text that is none says nothing."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return list(value) if isinstance(value, (list, tuple)) else None
