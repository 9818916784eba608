"""tasks, runs, show, rm."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from ...analysis.funnel import cost, funnel
from ...errors import LLMCreatedError, UsageError
from ...reports import terminal as shown
from ...reports.table import table
from ...runs.folders import all_runs, cache_folder, find
from ...runs.journal import Journal
from ...runs.lock import RunLock, is_held
from ...tasks import builtin as known
from ...tasks.builtin import Source
from ...tasks.task import Task
from ...utils.console import out, say


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
    lines, previews, held = [], 0, 0
    for digest, made, _ in all_runs(unreadable=lambda error: say(f"error: {error}")):
        with Journal(cache_folder() / "runs" / digest) as journal:
            bytes_of_it = _size(journal.folder)
            held += bytes_of_it
            if _is_preview(journal) and not args.all:
                previews += 1
                continue
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(journal.get("created", 0)))
            kept, target = funnel(journal).kept, journal.get("target", 0)
            task = Task.from_json(journal.get("task"))
            last = journal.get("name")
            names = [f"{one.name}" + f": {one.said}" * (one.name != last) for one in journal.readings() if one.name]
            state = _state(journal, kept, target)
        about = [task.name, made["strategy"], made["model"], f"({'; '.join(names)})" if names else ""]
        lines.append([digest[:8], day, f"{kept}/{target}", state, _said(bytes_of_it), *about])
    out(*table(lines, "<<><><<<<", most=(0, 0, 0, 0, 0, 24, 12, 40, 66)))
    hidden = f"; {previews} that were only previewed are not shown (--all)" if previews else ""
    if lines or previews:
        say(f"{len(lines)} runs{hidden}; {_said(held)} in {cache_folder()}")
    else:
        out(f"no runs in {cache_folder()}: begin with `llm-created create csqa --model demo -n 200`")
    return 0


def _is_preview(journal: Journal) -> bool:
    """Whether nothing but `preview` has asked for its rows."""
    return journal.get("target", 0) <= 1 and not any(one.digest for one in journal.readings())


def _state(journal: Journal, kept: int, target: int) -> str:
    if is_held(journal.folder):
        return "under way"
    if _is_preview(journal):
        return "previewed"
    return "finished" if kept >= target else "stopped"


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _said(number: float) -> str:
    """So many bytes, in words."""
    for unit in ("kB", "MB"):
        number /= 1000
        if number < 1000:
            return f"{number:,.1f} {unit}"
    return f"{number / 1000:,.1f} GB"


def show(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created show RUN`."""
    with find(args.run).open() as journal:
        task = Task.from_json(journal.get("task"))
        for line in shown.run(journal, task, width=terminal_width(), sample=max(args.sample, 0)):
            out(line)
    return 0


def rm(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created rm RUN`: say what would go and what it cost, ask, and delete it."""
    folder = find(args.run).folder
    runs = cache_folder() / "runs"
    if folder.is_symlink() or folder.resolve().parent != runs.resolve():
        raise UsageError(f"{str(folder)!r} is not among the runs in {runs}: it is left alone")
    say(f"the run {folder.name[:8]} would be deleted: {_held(folder)}. Rows that were written to folders stay")
    if not args.yes and not _agreed():
        raise UsageError("nothing was deleted: add --yes to delete it")
    freed = _size(folder)
    _delete(folder)
    out(f"deleted: the run {folder.name[:8]}, {_said(freed)} are free again")
    return 0


def _held(folder: Path) -> str:
    """What is in it, and what it cost."""
    try:
        with Journal(folder) as journal:
            spent, dollars = journal.spent(), cost(journal.spent(), journal.get("price"))
            named = [one.name for one in journal.readings() if one.name]
            replies, answers = journal.num_replies(), len(journal.said())
    except LLMCreatedError as error:
        return f"its journal cannot be read ({error})"
    paid = f", ${dollars:,.4f}" if dollars else ""
    called = f" ({', '.join(named)})" if named else ""
    tokens = spent.prompt_tokens + spent.completion_tokens
    by_people = f" and {answers:,} answers of people" if answers else ""
    held = f"{_said(_size(folder))}, {replies:,} replies{by_people}{called}"
    return f"{held}, which took {spent.calls:,} calls and {tokens:,} tokens{paid}"


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    say("delete it? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _delete(folder: Path) -> None:
    """Under its lock, and by way of another name: what is half deleted is no run."""
    lock = RunLock(folder)
    lock.acquire(wait=False)
    gone = cache_folder() / "removed" / folder.name
    try:
        shutil.rmtree(gone, ignore_errors=True)
        gone.parent.mkdir(exist_ok=True)
        folder.rename(gone)
    finally:
        lock.release()
    shutil.rmtree(gone)
