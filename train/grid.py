"""The cells of a sweep, and what it leaves behind: a JSON for each cell and the ranking."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from llm_created.errors import UsageError
from llm_created.evaluation import results
from llm_created.train import data, score
from llm_created.train.arguments import Arguments, flag
from llm_created.utils import files
from llm_created.utils.text import digest, slug

# Section 4.3 of https://openreview.net/forum?id=2Rdfdri2oT
PAPER_LEARNING_RATES = (3e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 3e-6, 1e-6, 5e-7)
PAPER_BATCH_SIZES = (4, 8, 16)


@dataclass
class Sweep(Arguments):
    """One sweep; `sweep --help` says what each field is. `output_dir` holds a folder for each cell."""

    grid: Literal["paper"] | None = flag("`paper`: its 9 learning rates and 3 batch sizes")
    learning_rates: str | None = flag("as in 1e-5,2e-5; default: --learning-rate")
    batch_sizes: str | None = flag("as in 8,16; default: --batch-size")
    eta: int = flag("one in so many cells goes on from a rung to the next; 1: all are trained to the end", 3)

    @property
    def _base(self) -> Arguments:
        """What all cells share."""
        base = Arguments(**{one.name: getattr(self, one.name) for one in fields(Arguments)})
        return replace(base, on=None, results=None, overwrite=False)

    @property
    def cells(self) -> list[Arguments]:
        """The trainings of the grid, without a test set, in the order given.

        Raises:
            UsageError: a list cannot be read, or contradicts `--grid`.
        """
        if self.grid and (self.learning_rates or self.batch_sizes):
            raise UsageError("--grid paper brings its own learning rates and batch sizes: leave out the lists")
        rates = PAPER_LEARNING_RATES if self.grid else _numbers("--learning-rates", self.learning_rates, float)
        sizes = PAPER_BATCH_SIZES if self.grid else _numbers("--batch-sizes", self.batch_sizes, int)
        return [
            replace(self._base, learning_rate=rate, batch_size=size)
            for size in dict.fromkeys(sizes or [self.batch_size])
            for rate in dict.fromkeys(rates or [self.learning_rate])
        ]

    def check(self) -> None:
        """Say which value cannot be used."""
        if self.stop_after_epoch is not None:
            raise UsageError("--stop-after-epoch is set by the sweep itself: give --epochs and --eta")
        if self.eta < 1:
            raise UsageError(f"--eta must be at least 1, not {self.eta}")
        for cell in self.cells:
            cell.check()


def _numbers(name: str, text: str | None, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")] if text is not None else []
    except ValueError:
        raise UsageError(f"{name} takes numbers with commas between them, not {text!r}") from None


def rungs(num_cells: int, epochs: int, eta: int) -> list[int]:
    """Epochs after which cells are compared, the last of them all: `[1, 3, 10]` for 27 cells, 10 epochs and a third.

    Args:
        num_cells (`int`): cells at the beginning.
        epochs (`int`): of a whole training.
        eta (`int`): one in so many goes on; 1 gives one rung.
    """
    found = [epochs]
    while eta > 1 and num_cells > 1 and found[0] >= 2:
        found.insert(0, max(1, found[0] // eta))
        num_cells = math.ceil(num_cells / eta)
    return found


def name_of(cell: Arguments) -> str:
    """`lr1e-05-bs16`"""
    return f"lr{cell.learning_rate:g}-bs{cell.batch_size}"


def accuracy_at(record: dict[str, Any], epochs: int) -> float:
    """The best validation accuracy up to an epoch.

    What came after that epoch does not count: a sweep that is resumed decides as it did before.
    """
    return max((one["validation_accuracy"] for one in record.get("history", [])[:epochs]), default=0.0)


def best_first(records: Sequence[dict[str, Any]], epochs: int) -> list[dict[str, Any]]:
    """Records by `accuracy_at`; those alike by their training loss there; those that failed last."""

    def rank(record: dict[str, Any]) -> tuple[bool, float, float]:
        history = record.get("history", [])[:epochs]
        return bool(record.get("failed")), -accuracy_at(record, epochs), history[-1]["loss"] if history else math.inf

    return sorted(records, key=rank)


class Folder:
    """What a sweep leaves under the results: a JSON for each cell, and `sweep.json`.

    Args:
        args (`Sweep`): the sweep.
        rows (`data.TrainingData`): what it trains on.
    """

    def __init__(self, args: Sweep, rows: data.TrainingData) -> None:
        self.about = {
            "task": rows.task.name, "family": rows.family, "train_set": rows.name, "train_path": rows.path_name,
            "model": args.named, "creation_seed": rows.creation_seed, "seed": args.seed, "train": rows.about,
        }  # fmt: skip
        place = score.filed_at(args.results or "results", self.about)
        self.path = place.with_name(f"sweep-{place.stem}")
        name = "-".join(slug(part) for part in self.path.parts[-4:])
        self.models = Path(args.output_dir or Path("models", name))
        self._rows = [rows.about, results.fingerprint(rows.validation)]
        # Of the processes of a launch, which all come to the same decisions, one writes.
        self._writes = os.environ.get("RANK", "0") == "0"

    def identity(self, settings: Any) -> str:
        """What must be the same for a record to be used again."""
        return digest([settings, self._rows])

    def read(self, name: str, identity: str) -> dict[str, Any] | None:
        """A record, if it is of this sweep.

        Raises:
            UsageError: it is of another.
        """
        file = self.path / f"{name}.json"
        if not file.exists():
            return None
        record = files.read_json(str(file))
        if record.get("sweep_identity") != identity:
            raise UsageError(f"{file} is of a sweep with other settings: give another --results, or --overwrite")
        return dict(record)

    def write(self, name: str, identity: str, record: dict[str, Any]) -> dict[str, Any]:
        """Write a record. It is a result without scores: what reads results takes no notice of it."""
        record = self.about | record | {"sweep_identity": identity, "cell": name, "scores": {}}
        if self._writes:
            results.write(self.path / f"{name}.json", record)
        return record

    def drop(self, *cells: Arguments) -> None:
        """Remove the weights of cells that are out."""
        for cell in cells if self._writes else ():
            shutil.rmtree(self.models / name_of(cell), ignore_errors=True)

    def forget(self, *cells: Arguments) -> None:
        """Remove all that an earlier sweep left."""
        self.drop(*cells)
        if self._writes:
            shutil.rmtree(self.path, ignore_errors=True)
