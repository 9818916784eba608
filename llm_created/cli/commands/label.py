"""`llm-created label`: labels for a file of records."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from ...creation import questions as asking
from ...data.sources import public_name
from ...errors import StoppedShort
from ...labelling import file as labels_file
from ...labelling import records
from ...labelling.label import KIND, label_into, labelling
from ...labelling.votes import Labelled
from ...reports.labels import report
from ...runs.settings import DEMO, Settings
from ...tasks import builtin as tasks
from ...utils import console
from ..live import watched

_DEMO = " (the demo writer's word on rows is a plumbing check, and no label)"


def label(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created label FILE`: label its rows, go on with it, add votes."""
    settings, source, path = Settings.of(args), tasks.named(args.task), Path(args.file).expanduser()
    out = Path(args.out).expanduser() if args.out else path.with_name(f"{path.stem}-labelled.jsonl")
    labels_file.check(out)
    cases = records.read(source.task, path)
    places = [place for place, case in enumerate(cases) if case.row is not None]
    rows = [case.row for case in cases if case.row is not None]
    shots = records.shots_for(source, settings, args.shots, args.shots_from, rows)
    how: dict[str, Any] = {"votes": args.votes, "shots": shots, "chain_of_thought": args.chain_of_thought}
    how["likelihood"] = args.likelihood
    made, judge = labelling(source, settings, name=public_name(args.file), **how)
    with asking.journal(KIND, made) as journal:
        labels_file.refuse(journal, path, out)
        about = f"{made.digest[:8]} · {source.task.name} · {made.model} → {out}"
        console.say(f"labelling {about}{_DEMO * (made.model == DEMO)}")
        found, short = label_into(made, judge, rows, settings, journal, watched, console.say)
        by_place: dict[int, Labelled | None] = dict(zip(places, found, strict=True))
        labels_file.write(journal, path, out, labels_file.text(source.task, cases, by_place, short, out.suffix))
        for line in report(source.task, cases, by_place, judge, journal):
            console.out(line)
    console.out("", f"written: {out}")
    if short is not None:
        raise StoppedShort(f"{short}; to go on (after a cap, with a higher one): {shlex.join(['llm-created', *argv])}")
    if found and not any(map(_has_vote, found)):
        raise StoppedShort(f"no row got a label: none of the replies about {len(found)} rows names an option")
    return 0


def _has_vote(one: Labelled | None) -> bool:
    return one is not None and any(vote is not None for vote in one.votes)
