"""Labels that are likely wrong: what a model of the other rows would rather say, by confident learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import UsageError
from ..models.features import Features
from ..models.linear import Linear
from ..tasks.task import Row, Task
from ..utils.progress import Told
from ..utils.text import digest

FOLDS = 5
# Fewer rows teach a model too little to doubt anybody.
LEAST = 50


class Doubt(NamedTuple):
    """A label that is likely wrong.

    Attributes:
        number (`int`): of the row, as it was given.
        said (`int`): what the model says, as an index into the row's options.
        given (`float`): how likely it holds the label that the row has.
        rather (`float`): how likely it holds what it says.
    """

    number: int
    said: int
    given: float
    rather: float


def doubts(
    task: Task,
    rows: Mapping[int, Row],
    features: Features,
    name: str = "it",
    told: Told = lambda what, done, total: None,
) -> list[Doubt]:
    """The rows whose labels are likely wrong, the likeliest first.

    Confident learning (Northcutt, Jiang and Chuang, 2021, https://doi.org/10.1613/jair.1.12125): each row is judged by
    a linear model of the other four fifths of them. A label's threshold is how likely the model holds it, on average,
    in rows that have it. A row is doubted where another label than its own reaches that label's threshold, and is held
    to be likelier than its own.

    Args:
        task (`Task`): of the rows.
        rows (`Mapping[int, Row]`): the rows by their numbers.
        features (`Features`): what the model sees.
        name (`str`, defaults to `"it"`): what is said to have the rows.
        told (`Callable[[str, int, int], None]`, *optional*): told how far it is.

    Raises:
        UsageError: there are too few rows, or all have one label.
    """
    if len(rows) < LEAST or (not task.variable and len({row.answer for row in rows.values()}) < 2):
        raise UsageError(
            f"`label_errors` compares rows with each other, and {name} has {len(rows):,}: {LEAST} of two labels are "
            "the least"
        )
    numbers = _in_folds(task, rows)
    likely: dict[int, list[float]] = {}
    for fold in range(FOLDS):
        told("parts of the rows judged by a model of the others", fold, FOLDS)
        out = numbers[fold::FOLDS]
        rest = [rows[number] for at, number in enumerate(numbers) if at % FOLDS != fold]
        model = Linear(task, features).fit(rest)
        likely.update(zip(out, model.probabilities([rows[number] for number in out]), strict=True))
    thresholds = _thresholds(task, rows, likely)
    found = []
    for number, row in rows.items():
        shares, own = likely[number], likely[number][row.answer]
        reached = [at for at, share in enumerate(shares) if share >= thresholds.get(_class(task, at), 2.0)]
        best = max(reached, key=shares.__getitem__, default=row.answer)
        if best != row.answer and shares[best] > own:
            found.append(Doubt(number, best, own, shares[best]))
    return sorted(found, key=lambda one: (one.given - one.rather, one.number))


def _class(task: Task, at: int) -> int:
    """Where options vary, being right is the one class that there is."""
    return 0 if task.variable else at


def _in_folds(task: Task, rows: Mapping[int, Row]) -> list[int]:
    """The numbers in an order of which every fifth is a fifth of each label."""
    return sorted(rows, key=lambda n: (_class(task, rows[n].answer), digest(["doubt", rows[n].id]), n))


def _thresholds(task: Task, rows: Mapping[int, Row], likely: Mapping[int, Sequence[float]]) -> dict[int, float]:
    of_label: dict[int, list[float]] = {}
    for number, row in rows.items():
        of_label.setdefault(_class(task, row.answer), []).append(likely[number][row.answer])
    return {label: sum(shares) / len(shares) for label, shares in of_label.items()}
