"""`llm-created rm`: a run's replies, gone."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ..analysis.funnel import cost
from ..errors import LLMCreatedError, UsageError
from ..runs.folders import cache_folder, find
from ..runs.journal import Journal
from ..runs.lock import RunLock
from ..utils.console import out, say


def rm(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created rm RUN`: say what would go and what it cost, ask, and delete it."""
    folder = find(args.run).folder
    runs = cache_folder() / "runs"
    if folder.is_symlink() or folder.resolve().parent != runs.resolve():
        raise UsageError(f"{str(folder)!r} is not among the runs in {runs}: it is left alone")
    say(f"the run {folder.name[:8]} would be deleted: {_about(folder)}. Rows that were written to folders stay")
    if not args.yes and not _agreed():
        raise UsageError("nothing was deleted: add --yes to delete it")
    _delete(folder)
    out(f"deleted: the run {folder.name[:8]}")
    return 0


def _about(folder: Path) -> str:
    """What is in it, and what it cost."""
    try:
        with Journal(folder) as journal:
            spent, dollars = journal.spent(), cost(journal.spent(), journal.get("price"))
            named = [one.name for one in journal.readings() if one.name]
            replies = journal.num_replies()
    except LLMCreatedError as error:
        return f"its journal cannot be read ({error})"
    paid = f", ${dollars:,.4f}" if dollars else ""
    called = f" ({', '.join(named)})" if named else ""
    tokens = spent.prompt_tokens + spent.completion_tokens
    return f"{replies:,} replies{called}, which took {spent.calls:,} calls and {tokens:,} tokens{paid}"


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
