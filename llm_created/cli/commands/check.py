"""`llm-created check`: what is wrong with rows, in words."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...checks.audit import Finding, Found, doubt, read, search
from ...checks.leakage import NUM_WORDS, EvaluationSets
from ...checks.near_duplicates import NearDuplicates
from ...errors import UsageError
from ...models.choose import usual
from ...reports.table import bars
from ...runs.identity import DEFAULT_EMBEDDING_MODEL
from ...tasks import builtin as tasks
from ...utils import files
from ...utils.console import fit, out, wrap
from ...utils.progress import Progress

_WIDTH = 80
_EXAMPLES = 3
_KINDS = {
    "same": "the same",
    "text": "the same but for the options",
    "field": "the same in one field",
    "words": f"with {NUM_WORDS} words in a row",
}


def check(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created check RUN`: exact and near-duplicates, leaks and balance in any rows."""
    _check_flags(args)
    seen, about = usual(args.embedding_model, args.features) if args.label_errors else (None, "")
    task, near = tasks.named(args.task).task if args.task else None, _near(args)
    found = read(args.run, task, args.human_data)
    known = EvaluationSets.load(args.check_against, found.task, args.human_data) if args.check_against else None
    progress = Progress()
    try:
        search(found, near, known, progress)
        if seen is not None:
            doubt(found, seen, progress)
    finally:
        progress.end()
    for line in lines(found, near, known):
        out(line)
    if found.doubted:
        out("", *wrap(_doubts(found, about), _WIDTH))
    if args.report:
        files.write_text(Path(args.report).expanduser(), "".join(f"{line}\n" for line in _report(found)))
        out("", f"written: {args.report}")
    return 0


def _check_flags(args: argparse.Namespace) -> None:
    if args.embedding_model and args.near_duplicates is None and not args.label_errors:
        raise UsageError(f"--embedding-model {args.embedding_model!r} goes with --near-duplicates or --label-errors")
    if args.features and not args.label_errors:
        raise UsageError(f"--features {args.features} goes with --label-errors")


def _near(args: argparse.Namespace) -> NearDuplicates | None:
    """What finds near-duplicates, if they are asked for and it can."""
    if args.near_duplicates is None:
        return None
    near = NearDuplicates(args.near_duplicates, args.embedding_model or DEFAULT_EMBEDDING_MODEL)
    near.require()
    return near


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
    said += _leaks(found) if known else []
    if found.doubted is not None:
        said += ["", _head("labels that are likely wrong", len(found.doubted), found)]
        said += _examples(found.doubted)
    return [*said, "", *_balance(found)]


def _leaks(found: Found) -> list[str]:
    said = ["", _head("rows that repeat an evaluation set", len(found.leaks), found)]
    kinds = Counter((leak.where, leak.kind) for _, leak in found.leaks)
    said += [f"  {fit(where, 40)}: {number:,} {_KINDS[kind]}" for (where, kind), number in kinds.items()]
    return said + _examples([one for one, _ in found.leaks])


def _doubts(found: Found, about: str) -> str:
    """What doubts are worth."""
    said = f"Doubts are those of a linear model of the other rows ({about})"
    if len(found.doubted or ()) > len(found.rows) / 4:
        return f"{said}: so many say more of the model, which cannot tell these labels, than of the rows."
    return f"{said}: look at them, the likeliest first; --report FILE lists them all."


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
    by_name = {name: counts[at] for at, name in enumerate(names)}
    return ["answers" if found.task.labels else "answer positions", *bars(by_name, len(found.rows))]


def _report(found: Found) -> Iterator[str]:
    for number, row, reason in found.findings:
        line: dict[str, Any] = {"row": number, "id": row.id if row else None, "code": reason.code}
        yield json.dumps(line | {"detail": reason.detail})
