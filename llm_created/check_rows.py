"""`llm-created check`: what is wrong with rows that somebody has: repeats, leaks, balance. Nothing is changed."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import human, results, sources, tasks
from .console import columns, fit, left, out, wrap
from .errors import UsageError
from .identity import DEFAULT_EMBEDDING_MODEL
from .leakage import NUM_WORDS, EvaluationSets, Leak
from .near import NearDuplicates
from .task import Reason, Row, Task
from .text import fold, shorten

DUPLICATE = "duplicate"
_WIDTH = 80
_EXAMPLES = 3
_FILES = (".jsonl", ".json", ".csv", ".parquet")
_KINDS = {
    "same": "the same",
    "text": "the same but for the options",
    "field": "the same in one field",
    "words": f"with {NUM_WORDS} words in a row",
}


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
    """

    name: str
    task: Task
    rows: dict[int, Row]
    rejected: list[Finding]
    duplicates: list[Finding] = field(default_factory=list)
    otherwise: int = 0
    near: list[Finding] = field(default_factory=list)
    leaks: list[tuple[Finding, Leak]] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings, by row."""
        leaks = (one for one, _ in self.leaks)
        return sorted([*self.rejected, *self.duplicates, *self.near, *leaks], key=lambda one: one.number)


def check(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created check RUN`: exact and near-duplicates, leaks and balance in any rows."""
    if args.embedding_model and args.near_duplicates is None:
        raise UsageError(f"--embedding-model {args.embedding_model!r} goes with --near-duplicates")
    task, near = _task(args.task) if args.task else None, None
    if args.near_duplicates is not None:
        near = NearDuplicates(args.near_duplicates, args.embedding_model or DEFAULT_EMBEDDING_MODEL)
        near.require()
    found = read(args.run, task, args.human_data)
    known = EvaluationSets.load(args.check_against, found.task, args.human_data) if args.check_against else None
    search(found, near, known)
    for line in lines(found, near, known):
        out(line)
    if args.report:
        results.write_text(Path(args.report).expanduser(), "".join(f"{line}\n" for line in _report(found)))
        out("", f"written: {args.report}")
    return 0


def _task(name: str) -> Task:
    return (tasks.from_example(name) if name.endswith(".json") else tasks.load(name)).task


def read(spec: str, task: Task | None = None, human_data: str | None = None) -> Found:
    """Rows as `evaluate` reads them, but for a file's rows that cannot be read: they are rejected, each with a reason.

    Args:
        spec (`str`): anything that `sources.load` takes.
        task (`Task`, *optional*): needed for a file and for `human:SPLIT`.
        human_data (`str`, *optional*): a folder of human data in place of the Hub.

    Raises:
        UsageError: there is no such source, it is of another task, or holds nothing.
    """
    name, path = shorten(sources.public_name(spec), 40), Path(spec).expanduser()
    if task is None or path.suffix not in _FILES or not path.is_file():
        loaded = sources.load(spec, task, human_data)
        if task is not None:
            sources.same_task(loaded, task)
        return Found(name, loaded.task, dict(enumerate(loaded.rows, 1)), [])
    pieces = dict(enumerate(_lines(path, task) if path.suffix == ".jsonl" else _records(path, task), 1))
    if not pieces:
        raise UsageError(f"{spec} has no rows")
    rows = {number: piece for number, piece in pieces.items() if isinstance(piece, Row)}
    rejected = [Finding(number, None, piece) for number, piece in pieces.items() if isinstance(piece, Reason)]
    if not rows:
        first = rejected[0]
        raise UsageError(
            f"none of the {len(rejected):,} rows of {spec} is one of {task.name!r}: the first is {first.reason.code} "
            f"({shorten(first.reason.detail, 60)}); is it the right --task?"
        )
    return Found(name, task, rows, rejected)


def _lines(path: Path, task: Task) -> Iterator[Row | Reason]:
    columns = human.columns_of(task)
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                record = json.loads(line.strip())
            except (ValueError, RecursionError) as error:
                yield Reason("not_json", str(error))
                continue
            yield human.read_line(task, columns, record)


def _records(path: Path, task: Task) -> Iterator[Row | Reason]:
    for record in sources.records_of(path):
        yield task.read(sources.with_text(task, record) if isinstance(record, dict) else record)


def search(found: Found, near: NearDuplicates | None = None, known: EvaluationSets | None = None) -> None:
    """Search the rows, and write what there is into `found`.

    Args:
        found (`Found`): what was read.
        near (`NearDuplicates`, *optional*): by which rows that are not the same are compared.
        known (`EvaluationSets`, *optional*): what the rows must not repeat.

    Raises:
        RunFailed: the embedding model cannot be loaded.
    """
    first: dict[int, int] = {}
    for number, row in found.rows.items():
        before = first.setdefault(row.key, number)
        if before != number:
            other = _answer(row) != _answer(found.rows[before])
            found.otherwise += other
            detail = f"the same as row {before}" + (", with another answer" if other else "")
            found.duplicates.append(Finding(number, row, Reason(DUPLICATE, detail)))
        leak = known.leak(row) if known else None
        if leak:
            found.leaks.append((Finding(number, row, leak.reason), leak))
    if near:
        distinct = {number: found.rows[number] for number in first.values()}
        asyncio.run(near.embed(list(distinct.values())))
        judged = ((number, row, near.check(row)) for number, row in distinct.items())
        found.near += [Finding(number, row, reason) for number, row, reason in judged if reason]


def _answer(row: Row) -> str:
    return fold(row.options[row.answer])


def lines(found: Found, near: NearDuplicates | None = None, known: EvaluationSets | None = None) -> list[str]:
    """What was found, in words, at most 80 columns wide; `near` and `known` say what was searched for."""
    count = f"{len(found.rows):,} rows of {found.name}"
    if found.rejected:
        count += f", {len(found.rejected):,} more rejected"
    said = [fit(f"{found.task.name}: {count}", _WIDTH)]
    reasons = Counter(one.reason.code for one in found.rejected)
    said += [f"  {number:,} {code}" for code, number in reasons.most_common()]
    said += _examples(found.rejected)
    said += ["", _head("exact duplicates", len(found.duplicates), found)]
    said += [f"  {found.otherwise:,} of them with another answer"] if found.otherwise else []
    said += _examples(found.duplicates)
    if near:
        said += ["", _head(f"near-duplicates from {near.threshold:g}", len(found.near), found)]
        said += _examples(found.near)
    if known:
        said += ["", _head("rows that repeat an evaluation set", len(found.leaks), found)]
        kinds = Counter((leak.where, leak.kind) for _, leak in found.leaks)
        said += [f"  {fit(where, 40)}: {number:,} {_KINDS[kind]}" for (where, kind), number in kinds.items()]
        said += _examples([one for one, _ in found.leaks])
    return [*said, "", *_balance(found)]


def _head(name: str, number: int, found: Found) -> str:
    return f"{name}: {number:,} ({number / len(found.rows):.1%})" if number else f"{name}: none"


def _examples(findings: Sequence[Finding]) -> list[str]:
    """The first few findings: the row, and what is wrong with it."""
    said = []
    for number, row, reason in findings[:_EXAMPLES]:
        text = " ".join(row.inputs) if row else reason.code
        said.append(f"    {fit(f'row {number}: {text}', _WIDTH - 4)}")
        indent = " " * 8
        said += wrap(fit(reason.detail, 140), _WIDTH, indent, indent)
    return said


def _balance(found: Found) -> list[str]:
    """How often each label is the answer, or each position where the options vary."""
    counts = Counter(row.answer for row in found.rows.values())
    names: Sequence[str] = found.task.labels or [f"position {at + 1}" for at in range(max(counts, default=-1) + 1)]
    names = [fit(name, 20) for name in names]
    wide = max(map(columns, names), default=0)
    said = ["answers" if found.task.labels else "answer positions"]
    for at, name in enumerate(names):
        share = counts[at] / max(len(found.rows), 1)
        said.append(f"  {left(name, wide)} {counts[at]:>9,} {share:>6.1%} {'█' * round(20 * share)}".rstrip())
    return said


def _report(found: Found) -> Iterator[str]:
    for number, row, reason in found.findings:
        line: dict[str, Any] = {"row": number, "id": row.id if row else None, "code": reason.code}
        yield json.dumps(line | {"detail": reason.detail})
