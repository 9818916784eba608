"""Mine alone, created alone, or both: linear models on the same features, scored on the same held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log2
from typing import Any, NamedTuple

from ..evaluation.scores import McNemar, Score, difference, mcnemar, score
from ..models.choose import choose
from ..models.features import Features
from ..models.linear import Linear
from ..models.tfidf import Tfidf
from ..tasks.task import Row, Task
from ..utils.text import digest

MINE, CREATED, BOTH = "mine", "created", "both"
FOLDS = 5
# A curve over fewer of a person's rows, and fewer draws of each size, tells nothing.
_LEAST, _DRAWS = 32, 5
Train = Callable[[Sequence[Row]], Callable[[Sequence[Row]], list[int]]]


class Gain(NamedTuple):
    """What one arm scores more than a person's rows alone, from 0 to 1, with its 95 % interval and the paired test."""

    points: float
    low: float
    high: float
    test: McNemar


@dataclass(frozen=True)
class Arm:
    """One model.

    Attributes:
        name (`str`): `"mine"`, `"created"` or `"both"`.
        mine, created (`int`): how many rows of each it learnt from.
        score (`Score`): on the held-out rows.
        predictions (`list[int]`): on those.
        gain (`Gain`, *optional*): over a person's rows alone.
    """

    name: str
    mine: int
    created: int
    score: Score
    predictions: list[int]
    gain: Gain | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the predictions."""
        gain = self.gain and {"points": self.gain.points, "low": self.gain.low, "high": self.gain.high}
        test = self.gain.test._asdict() if self.gain else None
        figures = {"name": self.name, "mine": self.mine, "created": self.created, "score": self.score.to_json()}
        return figures | {"gain": gain, "against_mine": test}


@dataclass(frozen=True)
class Compared:
    """What the models are worth.

    Attributes:
        arms (`list[Arm]`): mine, then created and both at each size; empty where nothing is held out.
        curve (`dict[int, float]`): mean accuracy by number of a person's rows; empty where they are few.
        folds (`dict[str, int]`): cross-validated right answers of each arm on a person's rows; empty where few.
        chosen (`str`): the arm that is kept.
        why (`str`): how it was chosen, in words.
    """

    arms: list[Arm]
    curve: dict[int, float] = field(default_factory=dict)
    folds: dict[str, int] = field(default_factory=dict)
    chosen: str = BOTH
    why: str = ""

    def arm(self, name: str) -> Arm | None:
        """The largest arm of a name."""
        return next((arm for arm in reversed(self.arms) if arm.name == name), None)


def linear(task: Task, seen: Features) -> Train:
    """How a linear model is trained; embeddings remember their texts, TF-IDF is learnt anew."""

    def train(rows: Sequence[Row]) -> Callable[[Sequence[Row]], list[int]]:
        return model(task, seen, rows).predict

    return train


def model(task: Task, seen: Features, rows: Sequence[Row]) -> Linear:
    """A linear model of these rows, in which labels weigh alike.

    Of a few rows an unweighted one learns little but which label is the commonest; and created rows are even over
    labels, so that a difference would be one of proportions, too.
    """
    return Linear(task, choose("tfidf") if isinstance(seen, Tfidf) else seen, evenly=True).fit(rows)


def sizes(number: int) -> list[int]:
    """Numbers of created rows that are compared: a quarter, half and all, ten at least."""
    return sorted({size for size in (number // 4, number // 2, number) if size >= min(10, max(number, 1))})


def arms(
    train: Train, mine: Sequence[Row], created: Sequence[Row], held: Sequence[Row], at: Sequence[int]
) -> list[Arm]:
    """Every arm, at each number of created rows."""
    if not held:
        return []
    answers = [row.answer for row in held]
    found: list[Arm] = []
    base: list[bool] = []
    for name, size in [(MINE, 0), *((name, size) for size in at for name in (CREATED, BOTH))]:
        own = [] if name == CREATED else mine
        said = train([*own, *created[:size]])(held)
        right = [one == answer for one, answer in zip(said, answers, strict=True)]
        base = base or right
        gain = Gain(*difference(right, base), mcnemar(right, base)) if name != MINE else None
        found.append(Arm(name, len(own), size, score(said, answers), said, gain))
    return found


def cross_validated(train: Train, task: Task, mine: Sequence[Row], created: Sequence[Row]) -> dict[str, int]:
    """Right answers of each arm on a person's rows, a fifth of which is left out at a time.

    Nothing of the held-out part is looked at. Created rows have seen all of a person's rows as examples, which favours
    them a little.
    """
    if len(mine) < 2 * FOLDS or not created:
        return {}
    ordered = sorted(mine, key=lambda row: (row.answer if task.labels else 0, digest(["fold", row.id])))
    right = dict.fromkeys((MINE, CREATED, BOTH), 0)
    alone = train(created)
    for fold in range(FOLDS):
        out = ordered[fold::FOLDS]
        rest = [row for at, row in enumerate(ordered) if at % FOLDS != fold]
        for name, rows in ((MINE, rest), (CREATED, []), (BOTH, [*rest, *created])):
            said = (alone if name == CREATED else train(rows))(out)
            right[name] += sum(one == row.answer for one, row in zip(said, out, strict=True))
    return right


def chosen(folds: Mapping[str, int], mine: int, created: int) -> tuple[str, str]:
    """Which arm is kept, and why, in words: a person's rows are always among what it learnt from."""
    if not created:
        return MINE, "there is no created row"
    if not folds:
        return BOTH, f"as a rule: {mine} rows of yours are too few to choose by"
    # Of two alike, the one with more rows behind it.
    best = BOTH if folds[BOTH] >= folds[MINE] else MINE
    shown = ", ".join(f"{name} {100 * folds[name] / mine:.1f} %" for name in (MINE, CREATED, BOTH))
    return best, f"by {FOLDS}-fold cross-validation on your {mine} rows ({shown}); held-out rows had no say"


def curve(train: Train, task: Task, mine: Sequence[Row], held: Sequence[Row]) -> dict[int, float]:
    """Accuracy by number of a person's rows: the mean over five draws of each."""
    if len(mine) < _LEAST or not held:
        return {}
    found = {}
    for size in (len(mine) // 4, len(mine) // 2, len(mine)):
        scores = []
        for draw in range(_DRAWS if size < len(mine) else 1):
            rows = sorted(mine, key=lambda row: digest(["curve", draw, row.id]))[:size]
            said = train(rows)(held)
            scores.append(sum(one == row.answer for one, row in zip(said, held, strict=True)) / len(held))
        found[size] = sum(scores) / len(scores)
    return found


def worth(curve: Mapping[int, float], points: float) -> tuple[float, int] | None:
    """What a doubling of a person's rows adds, and how many more would add so many points; `None` where it shows not.

    Only a curve that rises at every step says anything, and only as far as two doublings beyond its end.
    """
    steps = list(curve.items())
    if len(steps) < 3 or any(after <= before for (_, before), (_, after) in pairwise(steps)):
        return None
    (least, low), (most, high) = steps[0], steps[-1]
    slope = (high - low) / log2(most / least)
    if points <= 0 or points / slope > 2:
        return slope, 0
    return slope, round(most * (2 ** (points / slope) - 1))
