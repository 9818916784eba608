"""Records written as they come, into a file of any format that is whole or not there at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..utils.console import pour
from ..utils.files import whole
from ..utils.text import shorten

WRITTEN = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
STANDARD = "-"
Add = Callable[[Sequence[Mapping[str, Any]]], None]


def line(record: Any) -> str:
    """A record as one line of JSON that any file can hold."""
    text = json.dumps(record, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON carries as an escape alone
        return json.dumps(record, default=str)
    return text


@contextmanager
def records_into(out: str, suffix: str, ours: Mapping[str, str], types: Any = None) -> Iterator[Add]:
    """A function that takes records, a few at a time, and writes them.

    Args:
        out (`str`): the file, or `-` for standard output.
        suffix (`str`): what kind of file it is.
        ours (`Mapping[str, str]`): the columns that were added to the records, and their types in Arrow.
        types (`pyarrow.Schema`, *optional*): of the other columns, where it is known.

    Raises:
        UsageError: a record does not fit the kind of file.
        RunFailed: it cannot be written.
    """
    if out == STANDARD:
        if suffix == ".parquet":
            raise UsageError("Parquet cannot be written to standard output: give `out` FILE")
        yield from _into(suffix, pour)
        return
    with whole(Path(out).expanduser()) as part:
        if suffix == ".parquet":
            yield from _parquet(part, ours, types)
            return
        with part.open("w", encoding="utf-8", newline="") as file:
            yield from _into(suffix, file.write)


def _into(suffix: str, write: Callable[[str], Any]) -> Iterator[Add]:
    if between := {".csv": ",", ".tsv": "\t"}.get(suffix):
        yield _cells(write, between)
    elif suffix == ".json":
        before = ["[", ",\n "]

        def add(records: Sequence[Mapping[str, Any]]) -> None:
            for record in records:
                write(before[0] + line(record))
                before[0] = before[1]

        yield add
        write("]\n" if before[0] == before[1] else "[]\n")
    else:
        yield lambda records: write("".join(f"{line(record)}\n" for record in records))


def _cells(write: Callable[[str], Any], between: str) -> Add:
    names: list[str] = []

    class Lines:
        """What `csv` writes to."""

        def write(self, text: str) -> Any:
            return write(text.encode("utf-8", "backslashreplace").decode())

    writer = csv.writer(Lines(), delimiter=between, lineterminator="\n")

    def add(records: Sequence[Mapping[str, Any]]) -> None:
        if not names:
            names.extend(dict.fromkeys(name for record in records for name in record))
            writer.writerow(names)
        for record in records:
            if not record.keys() <= set(names):
                new = next(name for name in record if name not in names)
                raise UsageError(
                    f"a record has the field {new!r}, which none of the first has: a table cannot take it up, write "
                    ".jsonl (`out` FILE.jsonl)"
                )
            cells = (record.get(name) for name in names)
            writer.writerow([line(one) if isinstance(one, (dict, list)) else one for one in cells])

    return add


def _parquet(part: Path, ours: Mapping[str, str], types: Any) -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened: list[Any] = []

    def table(records: Sequence[Mapping[str, Any]]) -> Any:
        added = [pa.field(name, getattr(pa, kind)()) for name, kind in ours.items()]
        if opened:
            schema = opened[0].schema
        elif types is not None:
            # What pandas and datasets say of the columns there is not true of the new ones.
            schema = pa.schema([*types, *added])
        else:
            seen = pa.Table.from_pylist([{k: v for k, v in one.items() if k not in ours} for one in records]).schema
            schema = pa.schema([*seen, *added])
        return pa.Table.from_pylist(list(records), schema=schema)

    def add(records: Sequence[Mapping[str, Any]]) -> None:
        try:
            made = table(records)
            if not opened:
                opened.append(pq.ParquetWriter(part, made.schema))
            opened[0].write_table(made)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            told = shorten(str(error), 100)
            raise UsageError(f"the records do not fit one Parquet table ({told}): write .jsonl instead") from None

    try:
        yield add
    finally:
        for writer in opened:
            writer.close()
