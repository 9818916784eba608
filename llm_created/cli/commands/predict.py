"""`llm-created predict`: a trained model puts labels to a file."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...data.tables import SUFFIXES
from ...data.written import STANDARD, WRITTEN
from ...errors import UsageError
from ...models.loaded import Classifier, load_model
from ...models.to_file import Counted, predict_file
from ...reports.table import bars
from ...tasks import builtin as tasks
from ...utils.console import out, say
from ...utils.progress import Progress


def predict(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created predict MODEL FILE`: its records with a label and how likely it is."""
    if args.abstain is not None and not 0 < args.abstain <= 1:
        raise UsageError(f"`abstain` is a probability, above 0 and at most 1, not {args.abstain:g}: try 0.7")
    fields = _fields(args.fields)
    with _file(args.file) as path:
        to, suffix = _where(args, path)
        model = load_model(args.model, embedding_model=args.embedding_model)
        progress = Progress()
        name = "standard input" if args.file == STANDARD else repr(args.file)
        try:
            counted = predict_file(
                model, path, to, suffix, name=name, fields=fields, abstain=args.abstain, told=progress
            )
        finally:
            progress.end()
    # What is asked for stands on standard output, all else beside it.
    for line in _lines(model, counted, args.abstain):
        (say if to == STANDARD else out)(line)
    if to != STANDARD:
        out("", f"written: {to}")
    return 0


def _fields(given: str | None) -> Mapping[str, str]:
    """`body=text,title=headline` as the model's field by the file's column."""
    pairs: dict[str, str] = {}
    for one in tasks.listed("fields", given) if given else ():
        column, equals, field = one.rpartition("=")
        if not equals or not column or not field:
            raise UsageError(f"`fields` {one!r}: give COLUMN=FIELD, such as body=text")
        pairs[column] = field
    return pairs


@contextmanager
def _file(given: str) -> Iterator[Path]:
    """The file that is meant; what comes from standard input becomes one, because a file can be read twice."""
    if given != STANDARD:
        yield Path(given).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="llm-created-") as folder:
        path = Path(folder) / "standard-input"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with path.open("rb") as file:
            head = file.read(4096)
        yield path.rename(path.with_suffix(_kind(head)))


def _kind(head: bytes) -> str:
    """What kind of file this is, by its beginning."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin.startswith(b"PAR1"):
        return ".parquet"
    return ".json" if begin.startswith(b"[") else ".jsonl" if begin.startswith(b"{") else ".csv"


def _where(args: argparse.Namespace, path: Path) -> tuple[str, str]:
    """Where the answers go, and as what kind of file."""
    own = path.suffix.lower()
    if args.file != STANDARD and own not in SUFFIXES:
        raise UsageError(
            f"{args.file!r}: records are read from {', '.join(SUFFIXES)} files, and from standard input (-)"
        )
    kind = own if own in WRITTEN else ".csv"
    if args.out == STANDARD or (args.out is None and args.file == STANDARD):
        return STANDARD, kind
    to = Path(args.out).expanduser() if args.out else path.with_name(f"{path.stem}-predicted{kind}")
    _check_out(to, path, args.overwrite)
    return str(to), to.suffix.lower()


def _check_out(to: Path, path: Path, overwrite: bool) -> None:
    if to.suffix.lower() not in WRITTEN:
        raise UsageError(f"`out` {str(to)!r}: answers are written as {', '.join(WRITTEN)}")
    if to.exists() and (to.is_dir() or to.samefile(path) or not overwrite):
        what = "a folder" if to.is_dir() else "the file that is read" if to.samefile(path) else "there already"
        raise UsageError(f"`out` {str(to)!r} is {what}: give another one" + " or --overwrite" * (what[0] == "t"))


def _lines(model: Classifier, counted: Counted, abstain: float | None) -> Iterator[str]:
    label, probability = counted.columns
    yield f"{counted.rows:,} rows, columns {label!r} and {probability!r} added"
    if model.task.labels:
        yield from bars({one: counted.labels[one] for one in model.task.labels}, counted.rows)
    if abstain is not None:
        yield f"{counted.unsure:,} without a label: less likely than {abstain:g}"
    if counted.unread:
        yield f"{counted.unread:,} without a label: nothing that can be read, the first in {counted.first}"
