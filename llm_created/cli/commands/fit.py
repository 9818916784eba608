"""`llm-created fit`: from a person's own rows to a classifier."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ...data.columns import Columns
from ...errors import StoppedShort, UsageError
from ...fitting.fit import Fitted
from ...fitting.fit import fit as fitted
from ...fitting.plan import Plan
from ...models.use import lines
from ...reports.table import table
from ...runs.settings import DEMO, Settings
from ...tasks import builtin as tasks
from ...utils.console import out, say, wrap
from ...utils.text import slug
from ..live import watched
from ..words import parser
from .create import strategy_of

_DEMO = "the demo writer's rows are a plumbing check: what follows says nothing of created rows"


def fit(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created fit FILE`: hold out, create, compare, keep."""
    settings = Settings.of(args)
    if settings.attributes == "ask" or args.attributes_out:
        raise UsageError("--attributes ask goes with create: give the file that it wrote")
    plan = Plan(
        file=args.file,
        columns=_columns(args),
        out=Path(args.out or f"{slug(Path(args.file).stem)}-classifier").expanduser(),
        strategy=strategy_of(args),
        test=args.test,
        share=args.share,
        examples=args.examples,
        embedding_model=args.embedding_model,
        features=args.features,
        encoder=args.encoder,
        overwrite=args.overwrite,
    )
    spoken = parser()[1]["fit"].spoken
    try:
        found = fitted(plan, settings, watched, lambda text: say(spoken(text)))
    except StoppedShort as short:
        raise StoppedShort(f"{short}\nto go on: {shlex.join(['llm-created', *argv])}") from None
    if settings.model == DEMO:
        say(_DEMO)
    out(*_compared(found))
    out("", f"kept: {found.about['chosen']}, {found.about['why']}")
    if found.about["short"]:
        say(f"note: {found.about['short']}; the same command with a higher cap goes on")
    out("" if found.new else "(done before)", f"{found.folder}: the classifier, README.md, report.md, created.jsonl")
    out(*lines(found.folder, found.task, found.kind))
    return 0


def _compared(found: Fitted) -> list[str]:
    """The table, if there was something to compare, and what follows from it."""
    shown = [*table(found.table, "<>>><>>>"), ""] if found.table else []
    return [*shown, *wrap(found.verdict, 80)]


def _columns(args: argparse.Namespace) -> Columns:
    """What the flags say of the columns."""
    listed = {name: tasks.listed(name, given) for name in ("fields", "labels") if (given := getattr(args, name))}
    return Columns(
        tuple(listed.get("fields", ())),
        args.answer_field,
        args.options_field,
        tuple(listed.get("labels", ())),
        args.label_space,
    )
