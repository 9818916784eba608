"""`llm-created evaluate`: a linear model on rows, and its score."""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..tasks import builtin as known
from ..tasks.task import Task
from ..utils import files
from ..utils.console import out


def evaluate(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created evaluate RUN --on TEST ...`: a linear model on the rows, and its score."""
    from ..evaluation import trial, trial_results
    from ..reports import trial_table

    if args.results:
        trial_results.check(args.on)
    task = _task(args.task) if args.task else None
    names = ("human_data", "features", "embedding_model", "num_rows", "seed")
    found = trial.evaluate(args.run, args.on, task=task, **{name: getattr(args, name) for name in names})
    for line in trial_table.lines(found):
        out(line)
    for path in trial_results.write(found, args.results) if args.results else ():
        out(f"written: {path}")
    return 0


def _task(name: str) -> Task:
    if not name.endswith(".json"):
        return known.load(name).task
    value = files.read_json(name)
    if not isinstance(value, dict) or "inputs" not in value:
        raise UsageError(f"--task {name!r} is no task.json: give the one that stands in the folder of a run's rows")
    return Task.from_json(value)
