"""`llm-created review` and `audit`: people look at rows, on a page of this machine."""

from __future__ import annotations

import argparse
import webbrowser
from contextlib import suppress

from ...analysis.audited import Looked, looked, sample_of
from ...errors import UsageError
from ...review.desk import Desk
from ...review.server import Server
from ...runs.folders import find
from ...runs.human import check_person
from ...runs.journal import Journal
from ...tasks.task import Task
from ...utils.console import out, say

_SAMPLE = 100


def review(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created review RUN`: rows one by one; what is said of them is in the journal at once."""
    person = check_person(args.person)
    with find(args.run).open() as journal:
        desk = Desk(journal, _task(journal), person, blind=args.blind)
        _serve(desk, args)
        for line in (*desk.result(), *_of_use(journal, desk)):
            out(line)
    return 0


def audit(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created audit RUN`: a drawn sample, blind, and how many labels of the run are right by it."""
    person = check_person(args.person)
    if args.num_rows is not None and args.num_rows < 1:
        raise UsageError(f"`num_rows` must be at least 1, not {args.num_rows}")
    with find(args.run).open() as journal:
        task, before = _task(journal), sample_of(journal.said(), person)
        desk = Desk(journal, task, person, blind=True, sample=args.num_rows or before or _SAMPLE)
        if args.num_rows is not None and len(desk) < args.num_rows:
            say(
                f"note: the run has {len(desk):,} rows, and all of them are looked at: {args.num_rows:,} are not there"
            )
        if desk.about()["answered"] < len(desk):
            _serve(desk, args)
        lines = _found(looked(journal, task))
    out(*(lines or [f"{person} has not looked at any of its rows yet"]))
    return 0


def _task(journal: Journal) -> Task:
    stored = journal.get("task")
    if stored is None:
        raise UsageError(f"the run {journal.folder.name[:8]} has no replies yet: `llm-created create` goes on with it")
    return Task.from_json(stored)


def _serve(desk: Desk, args: argparse.Namespace) -> None:
    """Until the person has finished, on the page or with Ctrl-C."""
    if not 0 <= args.port < 2**16:
        raise UsageError(f"`port` must be from 0 to 65535, not {args.port}")
    with Server(desk, args.port) as server:
        out(server.url)
        say(f"{desk.person} looks at {len(desk):,} rows there; Finish on the page, or Ctrl-C, ends it")
        if not args.no_browser and not webbrowser.open(server.url):
            say("no browser could be opened: open the address yourself")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _found(found: Looked | None) -> list[str]:
    """What each person found, and how far they agree."""
    if found is None:
        return []
    agree = [one.said(one.one, one.two) for one in found.pairs]
    return [*(one.said(one.by) for one in found.audits), *agree]


def _of_use(journal: Journal, desk: Desk) -> list[str]:
    """How what was said becomes rows."""
    if not journal.said():
        return []
    return [
        f"to make use of it: the command that made the run {journal.folder.name[:8]}, with --reviewed drop or "
        "--reviewed relabel; rows that are left out are made up for, unless -n is smaller by as many"
    ]
