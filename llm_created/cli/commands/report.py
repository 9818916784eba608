"""`llm-created report`: a run as one HTML file."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...reports.html import check, parts, write
from ...reports.html_data import Doubted
from ...runs.folders import find
from ...runs.journal import Journal
from ...runs.kept import kept_rows
from ...tasks.task import Task
from ...utils.console import out, say
from ...utils.progress import Progress
from ...utils.text import slug

_RESULTS = "results"


def report(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created report RUN`: write the report of a run."""
    with find(args.run).open() as journal:
        stored = journal.get("task")
        if stored is None:
            raise UsageError(
                f"the run {journal.folder.name[:8]} has no replies yet: `llm-created create` goes on with it"
            )
        task = Task.from_json(stored)
        name = f"report-{slug(task.name)}-{journal.get('identity')['strategy']}-{journal.folder.name[:8]}.html"
        path = Path(args.out or name).expanduser()
        if path.is_dir():
            path /= name
        check(path)
        scores = _scores(args.results, journal.folder.name)
        shown = Progress()
        try:
            doubted = _doubted(journal, task, shown) if args.label_errors else None
            write(path, parts(journal, task, scores, doubted, progress=partial(shown, "replies read")))
        finally:
            shown.end()
    out(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def _doubted(journal: Journal, task: Task, shown: Progress) -> Doubted:
    """The kept rows whose labels a model of the other rows doubts."""
    from ...checks.label_errors import doubts
    from ...models.choose import usual

    seen, about = usual()
    rows = dict(enumerate(kept_rows(journal, task)))
    found = doubts(task, rows, seen, f"the run {journal.folder.name[:8]}", shown)
    labels = {one.number: rows[one.number].options[one.said] for one in found}
    rather = {rows[one.number].id: (labels[one.number], one.given, one.rather) for one in found}
    return Doubted(rather, len(found), len(rows), about)


def _scores(root: str | None, run: str) -> list[dict[str, Any]]:
    """The scores in the folder that was named; else those in `results`, if they are there and can be read."""
    from ...evaluation.run_scores import score_lines

    if root is not None:
        return score_lines(root, run)
    if not Path(_RESULTS).is_dir():
        return []
    try:
        return score_lines(_RESULTS, run)
    except UsageError as error:
        say(f"no scores in the report: {error} (--results names another folder)")
        return []
