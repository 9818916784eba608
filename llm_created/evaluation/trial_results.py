"""The result files of a trial: that of the rows it was about, and that of the human rows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import sources
from ..data.sources import public_name
from ..errors import UsageError
from ..tasks.task import Row
from ..utils.text import slug
from . import demo_rows, results
from .trial import Scored, Trial


def check(on: Sequence[str]) -> None:
    """Say whether scores on these test sets are results.

    Raises:
        UsageError: one is the demo writer's.
    """
    if demo_rows.NAME in on:
        raise UsageError("`results`: held-out demo rows are a plumbing check, not a result; leave out `on` demo")


def write(trial: Trial, root: str) -> list[Path]:
    """Write the result of the whole run, and that of the human rows as one of its own.

    Args:
        trial (`Trial`): what `evaluate` returned.
        root (`str`): the folder of all results.

    Returns:
        `list[Path]`: the files.

    Raises:
        UsageError: a test set is the demo writer's.
        RunFailed: a file cannot be written.
    """
    check([test.name for test in trial.tests])
    identity = trial.train.about.get("identity", {})
    strategy = identity.get("strategy") or slug(trial.train.about.get("config") or Path(trial.train.name).stem)
    name = "human" if trial.train.kind == "human" else strategy
    seed = str(identity.get("seed", "-"))
    written = [_write(trial, root, name, seed, trial.train.rows, trial.whole)]
    if trial.human:
        written.append(_write(trial, root, "human", "-", trial.human, None))
    return written


def _write(trial: Trial, root: str, name: str, creation_seed: str, rows: Sequence[Row], whole: int | None) -> Path:
    """One result; `whole` is how many rows there were, `None` for the human rows beside a run."""
    task = trial.train.task
    named = name if whole == len(rows) else f"{name}-{len(rows)}"
    model = f"linear-{trial.features.name}"
    path = results.path(root, task.name, named, model, creation_seed, trial.seed)
    scores = {}
    for test in trial.tests:
        said = test.predictions if whole is not None else test.human_predictions
        scores[test.name] = _figures(test, whole is not None, len(trial.human)) | {
            "distribution": test.distribution,
            "predictions": results.write_predictions(path, test.name, test.rows, said),
            "train_rows": len(rows),
            "probe": None,
        }
    result = {
        "task": task.name,
        "family": sources.source_of(task).family,
        "train_set": name,
        "train_path": named,
        "model": model,
        "kind": "linear",
        "creation_seed": creation_seed,
        "seed": trial.seed,
        "train": _train(trial, rows, whole is not None),
        "params": {"features": trial.features.about, "C": 1.0},
        "steps": None,
        "epochs": None,
        "best_epoch": None,
        "validation_accuracy": None,
        "seconds": round(trial.seconds, 1),
        "environment": trial.environment,
        "scores": scores,
    }
    results.write(path, result)
    return path


def _train(trial: Trial, rows: Sequence[Row], own: bool) -> dict[str, Any]:
    """Which rows these are; `own` tells those of the run from the human rows beside it."""
    task, identity = trial.train.task, trial.train.about.get("identity", {})
    source = {"name": f"{task.name}:train", "kind": "human", "run": None, "strategy": None, "writer": None}
    if own:
        source = {
            "name": public_name(trial.train.name),
            "kind": trial.train.kind,
            "run": trial.train.about.get("run"),
            "strategy": identity.get("strategy"),
            "writer": identity.get("model"),
        }
    return {
        "sources": [source | {"rows": len(rows)}],
        "rows": len(rows),
        "train_rows": len(rows),
        "fingerprint": results.fingerprint(rows),
        "validation": "",
        "validation_rows": 0,
        "fraction": 1.0,
    }


def _figures(test: Scored, own: bool, human_rows: int) -> dict[str, Any]:
    if not own:
        assert test.human is not None
        return test.human.to_json() | {"leaked": test.human_leaked}
    *_, whole = test.curve.values()
    figures = whole.to_json() | {"leaked": test.leaked}
    figures["curve"] = [{"train_rows": size} | one.to_json() for size, one in test.curve.items()]
    figures["last_step"] = test.last_step and test.last_step._asdict()
    if test.human and test.against_human:
        figures["against_human"] = {"train_rows": human_rows, "accuracy": test.human.accuracy}
        figures["against_human"] |= test.against_human._asdict()
    return figures
