"""The records of a file, whatever its format: JSON, JSON lines, any program's CSV, Parquet, Arrow, Excel."""

from __future__ import annotations

import codecs
import csv
import importlib.util
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import LLMCreatedError, UsageError
from ..utils.console import say
from ..utils.text import shorten

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".parquet", ".arrow")
# What may stand between cells, the likeliest first, and how many lines are looked at to tell.
_BETWEEN = (",", ";", "\t")
_LOOKED_AT = 50
# Characters among which these lines are, and rows of a table that are made into objects at once.
_HEAD, _AT_ONCE = 2**20, 1_000
# The first line that Excel writes to say so.
_SEPARATOR = re.compile(r"sep=(.)\r?\n")


def is_table(path: Path) -> bool:
    """Whether a file has cells or typed columns, in which an answer may be an index; JSON lines have texts."""
    return path.suffix.lower() != ".jsonl"


def records_of(path: Path) -> Iterator[Any]:
    """The records of a file.

    Args:
        path (`Path`): JSON lines, a JSON array, CSV (comma, semicolon or tab; UTF-8, UTF-16 or Windows-1252), Parquet,
            Arrow, or an Excel workbook where openpyxl is installed.

    Raises:
        UsageError: there is no such file, it is none of these, or cannot be read.
    """
    yield from (record for _, record in numbered(path))


def numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """The records of a file, each with its line, or with its number where a record is not a line; see `records_of`.

    What has lines, and Parquet, is never in memory as a whole.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder: name the file in it")
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    if suffix not in SUFFIXES:
        raise UsageError(f"{str(path)!r}: records are read from {', '.join(SUFFIXES)} files")
    read = {".jsonl": _lines, ".json": _json, ".csv": _cells, ".tsv": _cells, ".xlsx": _sheet}.get(suffix, _arrow)
    try:
        yield from read(path)
    except (LLMCreatedError, GeneratorExit):
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {shorten(str(error), 120)}") from None


def count_of(path: Path) -> int:
    """About how many records a file has, found out without reading them; 0 where that cannot be."""
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        with suppress(OSError, ValueError):
            return int(pq.ParquetFile(path).metadata.num_rows)
    if path.suffix.lower() not in (".jsonl", ".csv", ".tsv"):
        return 0
    with suppress(OSError), path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
        return max(lines - (path.suffix.lower() != ".jsonl"), 1)
    return 0


def types_of(path: Path) -> Any:
    """The Arrow schema of a Parquet file; `None` of any other."""
    if path.suffix.lower() != ".parquet":
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {shorten(str(error), 120)}") from None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not line.strip():
                continue
            try:
                yield number, json.loads(line.decode("utf-8"))
            except UnicodeDecodeError:
                raise UsageError(f"{str(path)!r}, line {number}: not UTF-8: save the file as UTF-8") from None
            except (ValueError, RecursionError) as error:
                told = shorten(str(error), 80)
                raise UsageError(f"{str(path)!r}, line {number}: not JSON ({told}): mend or remove it") from None


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    value = json.loads(path.read_bytes())
    yield from enumerate(value if isinstance(value, list) else [value], 1)


def _arrow(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        if path.suffix.lower() == ".parquet":
            batches: Any = pq.ParquetFile(path).iter_batches(batch_size=_AT_ONCE)
        else:
            batches = pa.ipc.open_stream(path)
        for batch in batches:
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {shorten(str(error), 120)}") from None


def _sheet(path: Path) -> Iterator[tuple[int, Any]]:
    if importlib.util.find_spec("openpyxl") is None or importlib.util.find_spec("pandas") is None:
        raise UsageError(f"{str(path)!r} is an Excel workbook: save it as CSV, or `pip install pandas openpyxl`")
    from zipfile import BadZipFile

    try:
        sheet = importlib.import_module("pandas").read_excel(path, dtype=object, na_filter=False)
    except BadZipFile:
        raise UsageError(f"{str(path)!r} is no Excel workbook, whatever its name says: save it as CSV") from None
    records = ({str(name): value for name, value in one.items()} for one in sheet.to_dict("records"))
    yield from enumerate(records, 1)


def _cells(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        head = file.read(_HEAD)
    said = _SEPARATOR.match(head)
    between = said[1] if said else _between(head)
    with path.open(encoding=encoding, newline="") as file:
        before = 1 if said and file.readline() else 0
        rows = csv.reader(file, delimiter=between)
        try:
            names = _names(path, rows)
            for row in rows:
                if any(row):
                    yield before + rows.line_num, _record(path, names, row, between, before + rows.line_num)
        except csv.Error as error:
            where = f"{str(path)!r}, line {before + rows.line_num}"
            raise UsageError(f"{where}: {error}; is a double quote missing, or one too many?") from None


def _names(path: Path, rows: Iterator[list[str]]) -> list[str]:
    names = [name.strip() for name in next((row for row in rows if any(row)), [])]
    while names and not names[-1]:
        names.pop()
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{str(path)!r} has two columns {twice!r}: rename one")
    return names


def _record(path: Path, names: list[str], row: list[str], between: str, line: int) -> dict[str, Any]:
    # A single column needs no quotes, whatever stands in it.
    cells = [between.join(row)] if len(names) == 1 else row
    if any(cells[len(names) :]):
        raise UsageError(
            f"{str(path)!r}, line {line}: {len(cells)} cells under {len(names)} columns: put a text that "
            f"holds {between!r} into double quotes"
        )
    return dict(zip(names, [*cells, *[None] * len(names)], strict=False))


def _encoding(path: Path) -> str:
    """How the letters of a file are written: what Windows writes is told, and what is neither is refused."""
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    where = _not_in(path, "utf-8")
    if where < 0:
        return "utf-8-sig"
    if _not_in(path, "cp1252") >= 0:
        raise UsageError(f"{str(path)!r} is not UTF-8 (byte {where}): save it as UTF-8")
    say(f"note: {str(path)!r} is not UTF-8 and is read as Windows-1252; save it as UTF-8 if its letters are others")
    return "cp1252"


def _not_in(path: Path, encoding: str) -> int:
    """The first byte that is none of an encoding's, or -1."""
    decoder, done = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as file:
        while True:
            block = file.read(2**20)
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return done - waiting + error.start
            if not block:
                return -1
            done += len(block)


def _between(text: str) -> str:
    """What stands between the cells: the mark by which most lines have as many cells as the first, two or more."""

    def fits(mark: str) -> tuple[float, int]:
        try:
            found = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=mark), _LOOKED_AT))
        except csv.Error:
            return 0, 0
        # What was read may end within a row.
        rows = [row for row in (found[:-1] if len(text) == _HEAD and len(found) > 1 else found) if row]
        width = len(rows[0]) if rows else 0
        return (sum(len(row) == width for row in rows) / len(rows), width) if width > 1 else (0, 0)

    return max(_BETWEEN, key=fits)
