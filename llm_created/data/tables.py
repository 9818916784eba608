"""The records of a file, whatever its format: JSON, JSON lines, any program's CSV, Parquet, Arrow, Excel."""

from __future__ import annotations

import codecs
import csv
import importlib.util
import io
import json
import re
from collections.abc import Iterator
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
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    if suffix not in SUFFIXES:
        raise UsageError(f"{str(path)!r}: records are read from {', '.join(SUFFIXES)} files")
    read = {".jsonl": _lines, ".json": _json, ".csv": _cells, ".tsv": _cells, ".xlsx": _sheet}.get(suffix, _arrow)
    try:
        yield from read(path)
    except LLMCreatedError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {shorten(str(error), 120)}") from None


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _json(path: Path) -> Iterator[Any]:
    value = json.loads(path.read_bytes())
    yield from value if isinstance(value, list) else [value]


def _arrow(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path) if path.suffix.lower() == ".parquet" else pa.ipc.open_stream(path).read_all()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {shorten(str(error), 120)}") from None
    yield from table.to_pylist()


def _sheet(path: Path) -> Iterator[Any]:
    if importlib.util.find_spec("openpyxl") is None or importlib.util.find_spec("pandas") is None:
        raise UsageError(f"{str(path)!r} is an Excel workbook: save it as CSV, or `pip install pandas openpyxl`")
    from zipfile import BadZipFile

    try:
        sheet = importlib.import_module("pandas").read_excel(path, dtype=object, na_filter=False)
    except BadZipFile:
        raise UsageError(f"{str(path)!r} is no Excel workbook, whatever its name says: save it as CSV") from None
    yield from ({str(name): value for name, value in one.items()} for one in sheet.to_dict("records"))


def _cells(path: Path) -> Iterator[dict[str, Any]]:
    text = _decoded(path)
    said = _SEPARATOR.match(text)
    text = text[said.end() :] if said else text
    between = said[1] if said else _between(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=between)
    names = [name.strip() for name in next((row for row in rows if any(row)), [])]
    while names and not names[-1]:
        names.pop()
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{str(path)!r} has two columns {twice!r}: rename one")
    for row in rows:
        if not any(row):
            continue
        # A single column needs no quotes, whatever stands in it.
        cells = [between.join(row)] if len(names) == 1 else row
        if any(cells[len(names) :]):
            raise UsageError(
                f"{str(path)!r}, line {rows.line_num}: {len(cells)} cells under {len(names)} columns: put a text that "
                f"holds {between!r} into double quotes"
            )
        yield dict(zip(names, [*cells, *[None] * len(names)], strict=False))


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = error.start
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise UsageError(f"{str(path)!r} is not UTF-8 (byte {where}): save it as UTF-8") from None
    say(f"note: {str(path)!r} is not UTF-8 and is read as Windows-1252; save it as UTF-8 if its letters are others")
    return text


def _between(text: str) -> str:
    """What stands between the cells: the mark by which most lines have as many cells as the first, two or more."""

    def fits(mark: str) -> tuple[float, int]:
        try:
            rows = [
                row for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=mark), _LOOKED_AT) if row
            ]
        except csv.Error:
            return 0, 0
        width = len(rows[0]) if rows else 0
        return (sum(len(row) == width for row in rows) / len(rows), width) if width > 1 else (0, 0)

    return max(_BETWEEN, key=fits)
