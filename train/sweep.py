"""Train a grid of learning rates and batch sizes, and choose on validation rows alone.

  python -m llm_created.train.sweep --train RUN --model roberta-large --grid paper --on csqa:test
  python -m llm_created.train.sweep --train human --task csqa --learning-rates 1e-5,2e-5 --batch-sizes 8,16

Everything else is as in `finetune`. Hopeless cells are stopped early: all are trained for some epochs of their
schedule, the best third goes on, and so forth (successive halving, https://arxiv.org/abs/1502.07943; --eta 1 trains
all to the end). The same command goes on after a kill. No cell sees a test row; --on is scored once, with the winner.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from llm_created.errors import RunFailed
from llm_created.evaluation import results
from llm_created.evaluation.scores import wilson
from llm_created.train import data
from llm_created.train.arguments import Arguments, command
from llm_created.train.grid import Folder, Sweep, accuracy_at, best_first, name_of, rungs

_log = logging.getLogger("llm_created.train")
Train = Callable[[Arguments], dict[str, Any]]


def sweep(args: Sweep, train: Train | None = None) -> dict[str, Any]:
    """Train the grid, choose, and score the winner.

    Args:
        args (`Sweep`): the grid and all settings of `finetune`.
        train (`Callable`, *optional*): trains one cell up to its `stop_after_epoch`; default: `finetune`.

    Returns:
        `dict[str, Any]`: what `sweep.json` says, with the `winner`'s name and the `ranking`.

    Raises:
        UsageError: something does not fit together.
        RunFailed: no cell could be trained.
    """
    args.check()
    if train is None:
        from llm_created.train.finetune import finetune as train
    rows = data.load(args.train, args.task, args.human_data, args.num_rows, args.fraction, args.validation)
    _log.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)
    folder, cells = Folder(args, rows), {name_of(cell): cell for cell in args.cells}
    identity = folder.identity([cell.settings for cell in cells.values()] + [args.eta])
    known: dict[str, dict[str, Any] | None] = dict.fromkeys(cells)
    done = None
    if args.overwrite:
        folder.forget(*cells.values())
    else:
        known = {name: folder.read(name, folder.identity(cell.settings)) for name, cell in cells.items()}
        done = folder.read("sweep", identity)
    if done is None:
        steps = rungs(len(cells), args.epochs, args.eta)
        ranking = _climb(cells, known, steps, args.eta, folder, train)
        done = folder.write("sweep", identity, _said(ranking, steps, rows) | {"environment": results.environment()})
    _show(done)
    winner = cells[done["winner"]]
    train(replace(_placed(winner, folder), results=args.results or "results", on=args.on))
    return done


def _placed(cell: Arguments, folder: Folder) -> Arguments:
    return replace(cell, output_dir=str(folder.models / name_of(cell)))


def _climb(
    cells: dict[str, Arguments],
    known: dict[str, dict[str, Any] | None],
    steps: Sequence[int],
    eta: int,
    folder: Folder,
    train: Train,
) -> list[dict[str, Any]]:
    """Train rung by rung; the records of all cells, those that came furthest first."""
    alive, out = list(cells), []
    for number, epochs in enumerate(steps, 1):
        records = []
        for place, name in enumerate(alive, 1):
            where = f"rung {number} of {len(steps)} (epoch {epochs}), cell {place} of {len(alive)}"
            _log.info("%s: %s", where, name)
            cell, record = cells[name], known[name]
            if record is None or not _reached(record, epochs):
                record = _train(_placed(cell, folder), epochs, train)
                record = folder.write(name, folder.identity(cell.settings), record)
            known[name] = record
            records.append(record)
        ranked = best_first(records, epochs)
        going = [record for record in ranked if not record.get("failed")]
        if not going:
            raise RunFailed(f"none of {len(cells)} cells could be trained; the last said: {ranked[-1]['failed']}")
        if epochs < steps[-1]:
            # Cells that are as good as the last that goes on are not hopeless: while none has learned, all are alike.
            least = accuracy_at(going[: math.ceil(len(alive) / eta)][-1], epochs)
            going = [record for record in going if accuracy_at(record, epochs) >= least]
        alive = [record["cell"] for record in going]
        lost = [record for record in ranked if record["cell"] not in alive]
        folder.drop(*(cells[record["cell"]] for record in lost))
        out = lost + out
    folder.drop(*(cells[name] for name in alive[1:]))
    return going + out


def _reached(record: dict[str, Any], epochs: int) -> bool:
    """Whether a record's training came this far, or gave up before because its patience was over."""
    return not record.get("failed") and (record["epochs"] >= epochs or record["gave_up"])


def _train(cell: Arguments, epochs: int, train: Train) -> dict[str, Any]:
    """Train a cell up to an epoch of its schedule; a loss that is not finite, or no memory, is a record too."""
    # A whole training is not told where to stop, or it would count as another one.
    stop = epochs if epochs < cell.epochs else None
    try:
        record = train(replace(cell, stop_after_epoch=stop))
    except RunFailed as error:
        told = {"failed": str(error), "validation_accuracy": None, "epochs": 0, "params": cell.settings}
        return told | {"gave_up": True}
    return record | {"gave_up": record["epochs"] < epochs}


def _said(ranking: Sequence[dict[str, Any]], steps: Sequence[int], rows: data.TrainingData) -> dict[str, Any]:
    """What `sweep.json` holds."""
    best, n = ranking[0], len(rows.validation)
    low, high = wilson(round(best["validation_accuracy"] * n), n)
    kept = ("cell", "validation_accuracy", "epochs", "best_epoch", "seconds", "failed")
    table = [
        {name: record.get(name) for name in kept}
        | {name: record["params"][name] for name in ("learning_rate", "batch_size")}
        for record in ranking
    ]
    return {
        "kind": "sweep",
        "winner": best["cell"],
        "validation_accuracy": best["validation_accuracy"],
        "validation_rows": n,
        "low": low,
        "high": high,
        "rungs": list(steps),
        "ranking": table,
    }


def _show(done: dict[str, Any]) -> None:
    """The ranking in words."""
    _log.info("%4s  %-20s %6s  %10s", "rank", "cell", "epochs", "validation")
    for rank, one in enumerate(done["ranking"], 1):
        accuracy = one["validation_accuracy"]
        said = one["failed"] if accuracy is None else f"{100 * accuracy:10.1f}"
        _log.info("%4d  %-20s %6d  %s", rank, one["cell"], one["epochs"], said)
    rivals = sum((one["validation_accuracy"] or 0) >= done["low"] for one in done["ranking"]) - 1
    _log.info(
        "%s: %.1f [%.1f, %.1f] on %d validation rows; %d other cells lie in that interval",
        *(done["winner"], 100 * done["validation_accuracy"], 100 * done["low"], 100 * done["high"]),
        *(done["validation_rows"], rivals),
    )


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return command(Sweep, sweep, __doc__ or "", argv)


if __name__ == "__main__":
    sys.exit(main())
