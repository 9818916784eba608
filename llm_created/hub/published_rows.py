"""A stranger's Parquet: its size and its columns are looked at before a value is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..data.writer import arrow_schema
from ..tasks.task import MAX_FIELD, Task
from ..utils.text import shorten
from .strangers import MAX_ROWS, Problems

MAX_PARQUET_FILE = 256 * 2**20
MAX_PARQUET_FILES = 100
# What the files may come to when they are read.
_MAX_BYTES = 2**30
# Options of a row, on the average of a batch.
_MAX_OPTIONS = 1000
_SPLIT = re.compile(r"(train|validation)-\d{5}-of-\d{5}\.parquet")
_BATCH = 64


def split_of(name: str) -> str:
    """The split that a file is of, or `""` for none."""
    found = _SPLIT.fullmatch(name)
    return found[1] if found else ""


def read_rows(files: Mapping[str, str], task: Task | None, problems: Problems) -> dict[str, list[dict[str, Any]]]:
    """The published rows by split.

    Args:
        files (`Mapping[str, str]`): where the files are, by their names.
        task (`Task`, *optional*): whose columns they must have; `None` where that is not known, and nothing is read.
        problems (`Problems`): told of what is wrong with a file.
    """
    import pyarrow as pa

    found: dict[str, list[dict[str, Any]]] = {}
    size = rows = 0
    for name, path in sorted(files.items()):
        try:
            about = _metadata(path)
            rows += about.num_rows
            # A column's own metadata is not asked for: Arrow ends the process where that is damaged.
            size += sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
            wrong = list(_too_much(rows, size)) or list(_unlike(path, task))
            for one in wrong:
                problems.add(f"{name}: {one}")
            if task is not None and not wrong and not problems.count:
                found.setdefault(split_of(name), []).extend(_without_text(_records(path, task), task, name, problems))
        except (pa.ArrowException, OSError, ValueError) as error:
            problems.add(f"{name} cannot be read ({shorten(str(error), 120)})")
    return found


def _metadata(path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_metadata(path)


def _too_much(rows: int, size: int) -> Iterator[str]:
    """What a file and those before it come to, where that is more than rows of a run ever do."""
    for what, found, most in (("rows", rows, MAX_ROWS), ("bytes", size, _MAX_BYTES)):
        if not 0 <= found <= most:
            yield f"there are {found:,} {what} to be read, {most:,} are the most"


def _unlike(path: str, task: Task | None) -> Iterator[str]:
    """What tells a file's columns from those that this library writes."""
    if task is None:
        return
    import pyarrow.parquet as pq

    here, wanted = pq.read_schema(path), arrow_schema(task)
    for field in wanted:
        at = here.get_all_field_indices(field.name)
        if not at and field.name == task.text_column:
            continue  # pushed before rows had it
        if len(at) != 1:
            yield (
                f"the column {field.name!r} is there {len(at)} times"
                if at
                else f"the column {field.name!r} is missing"
            )
        elif here.field(at[0]).type != field.type:
            yield f"the column {field.name!r} is {shorten(str(here.field(at[0]).type), 60)} instead of {field.type}"
    for name in dict.fromkeys(here.names):
        if name not in wanted.names:
            yield f"the column {shorten(repr(name), 60)} is none of the task's"


def _records(path: str, task: Task) -> Iterator[dict[str, Any]]:
    """The records of a file. A text that stands in many rows is read once: a small file may hold a huge one so."""
    import pyarrow.parquet as pq

    numbers = {task.answer, "depth"}
    schema = _metadata(path).schema
    leaves = [schema.column(at).path for at in range(len(schema))]
    texts = [leaf for leaf in leaves if leaf.partition(".")[0] not in numbers]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            for column in batch.columns:
                _check(column)
            yield from batch.to_pylist()


def _without_text(
    records: Iterator[dict[str, Any]], task: Task, file: str, problems: Problems
) -> Iterator[dict[str, Any]]:
    """The records without the text of their answers, which must be what the index says."""
    for number, record in enumerate(records, 1):
        said, at = record.pop(task.text_column, None), record[task.answer]
        options = task.labels or record[task.options]
        if said is not None and (not 0 <= at < len(options) or said != options[at]):
            wrong = (
                f"{task.text_column} is {shorten(repr(said), 60)}, which is not what its {task.answer} {at} stands for"
            )
            problems.add(f"{file}: row {number}: {wrong}")
        yield record


def _check(column: Any) -> None:
    """Look for a text that no row may have, and for rows without a value.

    Raises:
        ValueError: there is one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        raise ValueError("a value is missing")
    if pa.types.is_list(column.type):
        if len(column.flatten()) > _MAX_OPTIONS * len(column):
            raise ValueError(f"rows of more than {_MAX_OPTIONS:,} options")
        column = column.flatten()
        if column.null_count:
            raise ValueError("an option is missing")
    if pa.types.is_dictionary(column.type):
        longest = pc.max(pc.binary_length(column.dictionary.cast(pa.binary()))).as_py() or 0
        if longest > 4 * MAX_FIELD:
            raise ValueError(f"a text of {longest:,} bytes, {4 * MAX_FIELD:,} are the most")
