"""A run in words, for a terminal of any width and for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from ..analysis.agreement import NO_MAJORITY, JudgedTable, judged_tables
from ..analysis.audited import audit_tables, looked
from ..analysis.funnel import Funnel, balance, funnel, held_back, leaks_said
from ..runs.identity import METHODS
from ..runs.journal import Journal
from ..runs.kept import kept_rows
from ..tasks.task import Row, Task
from ..utils.console import columns, fit, harmless, left, wrap
from . import outputs
from .table import bars, table

# Cells that differ, in a terminal.
_CELLS = 12
_STAGES = ("asked", "parsed", "valid", "unique", "kept")


def run(journal: Journal, task: Task, *, width: int = 80, sample: int = 3) -> list[str]:
    """Everything about a run: its settings, a sample, the funnel, reasons, balance, tokens and cost."""
    identity = journal.get("identity")
    name = journal.get("name")
    count = funnel(journal)
    head = f"run {journal.folder.name[:8]}" + (f" ({name})" if name else "")
    about = (
        f"{task.name} · {identity['strategy']} · {identity['model']} · {count.kept}/{journal.get('target', 0)} rows"
    )
    lines = [fit(f"{head} · {about}", width), *outputs.others(journal, width), ""]
    lines += rows_lines(task, islice(kept_rows(journal, task), sample), width)
    lines += funnel_lines(count, width)
    people = looked(journal, task)
    for found in (*judged_tables(journal, task), *audit_tables(people, task)):
        said, *table = judged_lines(found, width)
        lines += ["", *wrap(said, width, then="  "), *table]
    for said in people.said(bool((journal.get("emission") or {}).get("reviewed"))) if people else ():
        lines += wrap(said, width, then="  ")
    if count.kept:
        lines += ["", *_balance_lines(task, count)]
        lines += [held_back(count)] if (journal.get("emission") or {}).get("balance") else []
        lines += wrap(leaks_said(journal, count), width, then="  ")
        depths = ", ".join(f"{depth}: {n}" for depth, n in sorted(count.depths.items()))
        if identity["strategy"] not in METHODS:
            lines += wrap(f"rows by depth  {depths}", width, then=" " * 15)
    return [*lines, *outputs.cost_lines(journal, count.kept, width)]


def rows_lines(task: Task, rows: Iterable[Row], width: int) -> list[str]:
    """Rows as a person reads them: one field a line, the right option marked."""
    lines: list[str] = []
    for row in rows:
        for field, text in zip(task.inputs, row.inputs, strict=True):
            lines += _field(field, text, width)
        if task.variable:
            marked = (f"[{option}]" if at == row.answer else option for at, option in enumerate(row.options))
            lines += _field(task.options, " | ".join(marked), width)
        else:
            lines += _field(task.answer, row.options[row.answer], width)
        for field, text in zip(task.aside, row.aside, strict=False):
            lines += _field(field, text, width)
        lines.append("")
    return lines


def _field(name: str, text: str, width: int) -> list[str]:
    indent = " " * 11
    lines = wrap(" ".join(harmless(text).split()), max(width - len(indent), 20))
    shown = [*lines[:3], "…"] if len(lines) > 4 else lines or [""]
    return [f"{left(fit(name, 10), 10)} {shown[0]}", *(indent + line for line in shown[1:])]


def funnel_lines(count: Funnel, width: int) -> list[str]:
    """`asked 215 → parsed 210 → ... → kept 200`, and below it each reason with an example."""
    stages = " → ".join(f"{stage} {getattr(count, stage)}" for stage in _STAGES)
    spare = f" (+{count.spare} spare)" if count.spare else ""
    lines = [stages + spare if len(stages + spare) <= width else stages]
    for code, number in count.reasons.most_common():
        example = count.examples[code]
        said = f", e.g. turn {example.position}: {example.detail}" if example.detail else ""
        lines.append("  " + fit(f"{number} {code}{said}", width - 2))
    return lines


def _balance_lines(task: Task, count: Funnel) -> list[str]:
    return ["answers" if task.labels else "answer positions", *bars(balance(task, count), count.kept)]


def judged_lines(found: JudgedTable, width: int = 80) -> Iterator[str]:
    """The agreement in one line, and the table for a terminal: whole where it fits, else the cells that differ."""
    yield from wrap(found.said(), width, then="  ")
    lines: list[list[object]] = [["given \\ judged", *found.judged]]
    lines += ([name, *counts] for name, counts in zip(found.given, found.counts, strict=True))
    n = len(found.judged)
    shown = [f"  {line}" for line in table(lines, "<" + ">" * n, least=[0, *[6] * n], most=[24, *[14] * n])]
    yield from shown if max(map(columns, shown)) <= width else _differing(found, width)


def _differing(found: JudgedTable, width: int) -> Iterator[str]:
    cells = found.differing()
    most = max((width - 30) // 2, 8)
    for given, judged, count in cells[:_CELLS]:
        other = judged if judged == NO_MAJORITY else f"judged {fit(judged, most)}"
        yield f"  given {fit(given, most)}, {other}: {count:,}"
    rest = cells[_CELLS:]
    if rest:
        yield f"  and {sum(count for *_, count in rest):,} rows in {len(rest):,} other pairs"
