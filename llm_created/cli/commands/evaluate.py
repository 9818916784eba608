"""`llm-created evaluate`: a linear model on rows, and its score."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...tasks import builtin as tasks
from ...utils.console import out


def evaluate(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created evaluate RUN --on TEST ...`: a linear model on the rows, and its score."""
    from ...evaluation import trial, trial_results
    from ...models import saved
    from ...reports import trial_table

    if args.results:
        trial_results.check(args.on)
    if args.save:
        saved.check(Path(args.save).expanduser())
    task = tasks.named(args.task).task if args.task else None
    names = ("human_data", "features", "embedding_model", "num_rows", "seed")
    found = trial.evaluate(args.run, args.on, task=task, **{name: getattr(args, name) for name in names})
    for line in trial_table.lines(found):
        out(line)
    for path in trial_results.write(found, args.results) if args.results else ():
        out(f"written: {path}")
    if args.save:
        from ...models.use import lines

        for line in lines(found.save(args.save), found.train.task, "linear"):
            out(line)
    return 0
