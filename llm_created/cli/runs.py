"""tasks, runs, show."""

from __future__ import annotations

import argparse
import shutil
import sys
import time

from ..analysis.funnel import funnel
from ..reports import terminal as shown
from ..reports.table import table
from ..runs.folders import all_runs, cache_folder, find
from ..runs.journal import Journal
from ..tasks import builtin as known
from ..tasks.builtin import Source
from ..tasks.task import Task
from ..utils.console import out, say


def terminal_width() -> int:
    """How wide a line may be."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def tasks(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created tasks`: the built-in tasks."""
    lines = [_about(name, known.load(name)) for name in known.names()]
    out(*(line[: terminal_width()] for line in table(lines, "<<<<<", most=(0, 0, 27, 22))))
    return 0


def _about(name: str, source: Source) -> list[str]:
    task = source.task
    space = f"{task.num_options or 'any number of'} options a row" if task.variable else ", ".join(task.labels or ())
    return [name, source.family, " + ".join(task.inputs), space, source.human.path if source.human else ""]


def runs(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created runs`: the runs in the cache, newest first."""
    lines = []
    for digest, made, _ in all_runs(unreadable=lambda error: say(f"error: {error}")):
        with Journal(cache_folder() / "runs" / digest) as journal:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(journal.get("created", 0)))
            kept, target = funnel(journal).kept, journal.get("target", 0)
            task = Task.from_json(journal.get("task"))
            last = journal.get("name")
            names = [f"{one.name}" + f": {one.said}" * (one.name != last) for one in journal.readings() if one.name]
        about = [task.name, made["strategy"], made["model"], f"({'; '.join(names)})" if names else ""]
        lines.append([digest[:8], day, f"{kept}/{target}", *about])
    out(*table(lines, "<<><<<<", most=(0, 0, 0, 24, 12, 40, 66)))
    if not lines:
        out(f"no runs in {cache_folder()}: begin with `llm-created create csqa --model demo -n 200`")
    return 0


def show(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created show RUN`."""
    with find(args.run).open() as journal:
        task = Task.from_json(journal.get("task"))
        for line in shown.run(journal, task, width=terminal_width(), sample=max(args.sample, 0)):
            out(line)
    return 0
