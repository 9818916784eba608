"""Results as the cells of a table: the models that differ in nothing but their seeds, on one test set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation.scores import Score, is_majority, wilson

HUMAN = "human"
# What a result says where validation rows were cut from the training rows.
TENTH = "tenth of train"


@dataclass(frozen=True)
class One:
    """One trained model on one test set: its seeds, its score, and where its predictions are."""

    creation_seed: str
    seed: int
    score: Score
    predictions: Path | None
    leaked: int
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: the models that differ in nothing but their seeds, on one test set.

    Attributes:
        task, family, train_set, model (`str`): what was trained, on what.
        test (`str`): the test set (`csqa:test`); `n` (`int`) its rows: two versions of a test set are two cells.
        distribution (`str`): `"in"` or `"out"`.
        probe (`str`): `""`, `"no-question"` or `"no-options"`.
        train_rows (`int`): rows trained on, without those held out for validation.
        fraction (`float`): of the training rows, where less than all were asked for.
        validation (`str`): `TENTH`, or the rows that chose the best epoch: `"human"` or another name.
        ones (`tuple[One, ...]`): by creation seed and seed.
    """

    task: str
    family: str
    train_set: str
    model: str
    test: str
    n: int
    distribution: str
    probe: str
    train_rows: int
    fraction: float
    validation: str
    ones: tuple[One, ...] = ()

    @property
    def accuracy(self) -> float:
        """The mean over creation seeds of the means over training seeds."""
        return spread(self).mean

    @property
    def correct(self) -> float:
        """Right answers: a mean where there are several seeds."""
        return self.accuracy * self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % of the mean accuracy: the chance of the test rows alone, not that of the seeds."""
        return wilson(round(self.correct), self.n)

    @property
    def majority(self) -> float:
        """Of the test set."""
        return self.ones[0].score.majority

    @property
    def constant(self) -> int:
        """How many of the models score as a constant classifier does."""
        return sum(is_majority(one.score) for one in self.ones)

    @property
    def leaked(self) -> int:
        """The most test rows that were found in the training rows of one of them."""
        return max(one.leaked for one in self.ones)


def cells(found: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """The cells of results as `results.read_all` gives them; results without a score have none.

    Raises:
        UsageError: two results are of the same cell and seeds.
    """
    grouped: dict[Cell, dict[tuple[str, int], One]] = defaultdict(dict)
    for result in found:
        seeds = result["creation_seed"], result["seed"]
        for test in result["scores"]:
            cell = _cell(result, test)
            if seeds in grouped[cell]:
                raise UsageError(
                    f"{result['path']}: another result has this task, training set, rows, model and seeds {seeds}; "
                    "compare folders one by one"
                )
            grouped[cell][seeds] = _one(result, test)
    return [Cell(**vars(cell) | {"ones": tuple(ones[at] for at in sorted(ones))}) for cell, ones in grouped.items()]


def _cell(result: Mapping[str, Any], test: str) -> Cell:
    """The cell of a score, without its ones."""
    train, value = result["train"], result["scores"][test]
    probe = value.get("probe") or ""
    return Cell(
        task=result["task"],
        family=result.get("family") or "",
        train_set=result["train_set"],
        model=result["model"],
        test=test.removesuffix(probe).rstrip("#/+ ") if probe else test,
        n=Score.from_json(value).n,
        distribution=value.get("distribution") or "in",
        probe=probe,
        train_rows=value.get("train_rows") or train.get("train_rows") or train.get("rows") or 0,
        fraction=train.get("fraction") or 1.0,
        validation=train.get("validation") or "",
    )


def _one(result: Mapping[str, Any], test: str) -> One:
    value = result["scores"][test]
    where = Path(result["path"]).parent / value["predictions"] if value.get("predictions") else None
    runs = tuple(source["run"] for source in result["train"].get("sources", ()) if source.get("run"))
    seeds = result["creation_seed"], result["seed"]
    return One(*seeds, Score.from_json(value), where, value.get("leaked") or 0, runs)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviations of a cell, training seeds and creation seeds apart.

    Attributes:
        mean (`float`): of the creation seeds' means.
        training (`float`, *optional*): standard deviation over training seeds within a creation seed, pooled; `None`
            with one.
        num_training (`tuple[int, int]`): fewest and most training seeds of a creation seed.
        creation (`float`, *optional*): standard deviation of the creation seeds' means; `None` with one. It holds what
            is left of the training seeds' spread after averaging.
        num_creation (`int`): creation seeds.
    """

    mean: float
    training: float | None
    num_training: tuple[int, int]
    creation: float | None
    num_creation: int

    def __str__(self) -> str:
        """`±1.2 (3 training) ±2.4 (2 creation)`, in points."""
        low, high = self.num_training
        said = []
        if self.training is not None:
            said.append(f"±{100 * self.training:.1f} ({low if low == high else f'{low}-{high}'} training)")
        if self.creation is not None:
            said.append(f"±{100 * self.creation:.1f} ({self.num_creation} creation)")
        return " ".join(said)


def spread(cell: Cell) -> Spread:
    """Mean and spread of a cell's accuracies."""
    groups: dict[str, list[float]] = defaultdict(list)
    for one in cell.ones:
        groups[one.creation_seed].append(one.score.accuracy)
    means, sizes = [fmean(group) for group in groups.values()], [len(group) for group in groups.values()]
    free = sum(sizes) - len(sizes)
    squares = sum((x - mean) ** 2 for mean, group in zip(means, groups.values(), strict=True) for x in group)
    return Spread(
        mean=fmean(means),
        training=sqrt(squares / free) if free else None,
        num_training=(min(sizes), max(sizes)),
        creation=stdev(means) if len(means) > 1 else None,
        num_creation=len(means),
    )


def formatting_examples(cell: Cell) -> int | None:
    """How many formatting examples the runs of a cell began at; `None` if a journal is not here.

    Another seed with the same formatting example measures less than another example does.
    """
    from llm_created.runs.folders import find
    from llm_created.utils.text import digest

    seen = set()
    for run in {run for one in cell.ones for run in one.runs}:
        try:
            with find(run).open() as journal:
                identity = journal.get("identity")
                # Without an example, another seed draws other contexts and attributes.
                seen.add(digest(identity["example"] or identity["seed"]))
        except LLMCreatedError:
            return None
    return len(seen) or None
