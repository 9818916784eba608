"""What an accuracy must never be without: how many rows, its interval, the majority class, a paired test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from ..errors import UsageError

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Score:
    """How well one model did on one test set.

    Attributes:
        correct (`int`): right answers.
        n (`int`): rows of the test set.
        accuracy (`float`): correct / n, from 0 to 1.
        macro_f1 (`float`): mean F1 over the labels that occur in the answers or the predictions. Where each row has
            its own options these are positions, and the figure says only whether one position is favoured.
        low, high (`float`): the 95 % interval of the accuracy (Wilson).
        majority (`float`): accuracy of always giving the commonest answer of this test set.
        constant (`bool`): whether all predictions are the same.
    """

    correct: int
    n: int
    accuracy: float
    macro_f1: float
    low: float
    high: float
    majority: float
    constant: bool

    def to_json(self) -> dict[str, Any]:
        """The score as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Score:
        """The score that `to_json` wrote; other keys are left alone.

        Raises:
            UsageError: a figure is missing or is no number.
        """
        given = {field.name: value.get(field.name) for field in fields(cls)}
        wrong = [name for name, figure in given.items() if not isinstance(figure, (int, float))]
        if wrong:
            raise UsageError(f"this is not a score: {wrong[0]!r} is {given[wrong[0]]!r}")
        return cls(**given)  # type: ignore[arg-type]


class McNemar(NamedTuple):
    """Two models on the rows of one test set: where only one of them is right, and how likely that is by chance."""

    only_first: int
    only_second: int
    p: float


def score(predictions: Sequence[int], answers: Sequence[int]) -> Score:
    """Score predictions.

    Args:
        predictions (`Sequence[int]`): for each row an index into its options or labels.
        answers (`Sequence[int]`): the right ones, in the same order.

    Raises:
        UsageError: there is no row, or there is not one prediction a row.
    """
    n = len(answers)
    if len(predictions) != n or not n:
        raise UsageError(f"{len(predictions)} predictions for {n} answers cannot be scored")
    correct = sum(predicted == answer for predicted, answer in zip(predictions, answers, strict=True))
    low, high = wilson(correct, n)
    return Score(
        correct=correct,
        n=n,
        accuracy=correct / n,
        macro_f1=_macro_f1(predictions, answers),
        low=low,
        high=high,
        majority=max(Counter(answers).values()) / n,
        constant=len(set(predictions)) == 1,
    )


def _macro_f1(predictions: Sequence[int], answers: Sequence[int]) -> float:
    given, wanted = Counter(predictions), Counter(answers)
    right = Counter(answer for predicted, answer in zip(predictions, answers, strict=True) if predicted == answer)
    labels = given.keys() | wanted.keys()
    return sum(2 * right[label] / (given[label] + wanted[label]) for label in sorted(labels)) / len(labels)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, 1927, https://doi.org/10.2307/2276774).

    Args:
        correct (`int`): successes, from 0 to `n`.
        n (`int`): trials, at least 1.

    Raises:
        UsageError: `correct` is not from 0 to `n`, or `n` is 0.
    """
    if not 0 <= correct <= n or not n:
        raise UsageError(f"no interval for {correct} right answers of {n}")
    share, z2 = correct / n, _Z * _Z / n
    centre, half = share + z2 / 2, _Z * sqrt(share * (1 - share) / n + z2 / (4 * n))
    # At the ends the bound is exact, where floating point leaves a trace.
    low = 0.0 if correct == 0 else (centre - half) / (1 + z2)
    high = 1.0 if correct == n else (centre + half) / (1 + z2)
    return low, high


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """The exact two-sided test of two models on the same rows (McNemar, 1947, https://doi.org/10.1007/BF02295996).

    Args:
        first (`Sequence[bool]`): for each row, whether the first model is right.
        second (`Sequence[bool]`): the same of the second model, in the same order.

    Returns:
        `McNemar`: the rows that only the first or only the second has right, and the p of the binomial test on them;
        1.0 where they never differ.

    Raises:
        UsageError: the two are not of the same length.
    """
    if len(first) != len(second):
        raise UsageError(f"a paired test needs the same rows, not {len(first)} and {len(second)}")
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n, fewer = only_first + only_second, min(only_first, only_second)
    # Whole numbers until the last division: 2^-n is 0.0 as a float from n = 1075 on.
    tail, ways = 0, 1
    for k in range(fewer + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**n))


def difference(first: Sequence[bool], second: Sequence[bool]) -> tuple[float, float, float]:
    """How much higher the first of two models scores on the same rows, from 0 to 1, and the 95 % interval of that.

    The interval is the adjusted one of Agresti and Min (2005, https://doi.org/10.1002/sim.1781): half a row more in
    each of the four cells.

    Args:
        first (`Sequence[bool]`): for each row, whether the first model is right.
        second (`Sequence[bool]`): the same of the second model, in the same order.

    Raises:
        UsageError: the two are not of the same length, or there is no row.
    """
    test = mcnemar(first, second)
    if not first:
        raise UsageError("no interval for a difference on no row")
    b, c, n = test.only_first + 0.5, test.only_second + 0.5, len(first) + 2
    middle, half = (b - c) / n, _Z * sqrt(max(b + c - (b - c) ** 2 / n, 0)) / n
    return (test.only_first - test.only_second) / len(first), max(middle - half, -1.0), min(middle + half, 1.0)


def is_majority(score: Score) -> bool:
    """Whether a score is that of a constant classifier: constant predictions, or exactly the majority class."""
    return score.constant or score.accuracy == score.majority
