"""The published figures of the EMNLP 2023 paper, as counts of right answers, and what they really are.

Nearly every accuracy in its tables 3 and 4 is k/n, cut (not rounded) to two decimals, for the n of that task's test
set. So the counts are the data; every percentage, interval, difference and mark is computed from them. Each model was
trained once, with one seed; no interval was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from llm_created.evaluation.scores import wilson

TRAINED_ON = ("human", "random", "contrastive", "similar", "tree")

# Per task: rows trained on, and how often each label is right in the test set where the labels are fixed or two.
TRAIN_ROWS = {
    "piqa": 14_113, "winogrande": 160, "csqa": 8_500, "riddle_sense": 3_510, "boolq_open": 9_427, "pubmedqa": 450,
    "bioasq": 670, "boolq": 9_427, "strategyqa": 2_061, "creak": 10_176,
}  # fmt: skip
TEST_ROWS = {
    "piqa": 2_000, "winogrande": 634, "csqa": 1_241, "riddle_sense": 1_202, "boolq_open": 1_635, "pubmedqa": 500,
    "bioasq": 140, "boolq": 1_635, "strategyqa": 115, "creak": 686,
}  # fmt: skip
# Right answers of each constant classifier (for five options: of the commonest place of the right one).
CONSTANT = {
    "piqa": (1_007, 993), "winogrande": (319, 315), "csqa": (269,), "riddle_sense": (269,), "boolq_open": (1_002, 633),
    "pubmedqa": (276, 224), "bioasq": (94, 46), "boolq": (1_002, 633), "strategyqa": (58, 57), "creak": (348, 338),
}  # fmt: skip

# Right answers on the test set, in the order of TRAINED_ON; a text is a printed value that no k/n gives.
_ID: dict[str, tuple[int | str, ...]] = {
    "piqa": (1619, 1324, 1323, 1343, 1367),
    "winogrande": (326, 325, 332, 330, "52.81"),
    "csqa": (846, 522, 516, 591, 602),
    "riddle_sense": (679, 455, 462, 506, 508),
    "boolq_open": (1400, 1128, 1090, 1138, 1139),
    "pubmedqa": (276, 299, 296, 303, 308),
    "bioasq": (122, 113, 94, 117, 120),
    "boolq": (1074, 854, 1002, 1002, 1002),
    "strategyqa": (57, 61, 57, 57, 65),
    "creak": (557, 466, 466, 475, 499),
}
_OOD: dict[tuple[str, str], tuple[int | str, ...]] = {
    ("piqa", "winogrande"): (330, 327, 319, 307, 319),
    ("winogrande", "piqa"): (893, 982, 990, 1045, 991),
    ("csqa", "riddle_sense"): (499, 463, 396, 522, 482),
    ("riddle_sense", "csqa"): (508, 513, "42.35", 529, 538),
    ("boolq_open", "pubmedqa"): (314, 295, 295, 323, 323),
    ("pubmedqa", "boolq_open"): (959, 912, 979, 1022, 1002),
    ("pubmedqa", "bioasq"): (94, 93, 105, 109, 114),
    ("bioasq", "pubmedqa"): (281, 297, 276, 315, 330),
    ("strategyqa", "creak"): (338, 338, 338, 338, 396),
    ("creak", "strategyqa"): (56, 56, 54, 59, 63),
}
# Columns 7 and 8 of table 4 carry each other's headers: all five values of column 7 are k/140 (BioASQ's test set) and
# four of them cannot be k/500; all five of column 8 are k/500 (PubMedQA's) and none is k/140.
SWAPPED = {("pubmedqa", "bioasq"): ("bioasq", "pubmedqa"), ("bioasq", "pubmedqa"): ("pubmedqa", "bioasq")}
HEADLINE = ("pubmedqa", "bioasq")

# Table 5: dollars per set, in the order of TRAINED_ON without human, at 0.002 dollars per thousand tokens.
DOLLARS = {
    "piqa": ("3.60", "2.82", "3.62", "3.97"),
    "winogrande": ("0.02", "0.02", "0.03", "0.02"),
    "csqa": ("2.73", "2.71", "2.77", "1.73"),
    "riddle_sense": ("0.95", "0.95", "1.00", "1.05"),
    "boolq_open": ("5.13", "2.24", "4.95", "4.2"),
    "pubmedqa": ("0.17", "0.15", "0.17", "0.17"),
    "bioasq": ("0.24", "0.23", "0.33", "0.22"),
    "boolq": ("3.13", "4.10", "3.22", "3.11"),
    "strategyqa": ("0.66", "0.70", "0.81", "0.66"),
    "creak": ("3.24", "3.20", "4.14", "3.50"),
}
DOLLARS_PER_TOKEN = Decimal("0.002") / 1000
# What the paper says that each set cost less than.
WELL_UNDER = 5


def cut(value: Decimal) -> Decimal:
    """Two decimals, the rest cut off: as the paper prints."""
    return value.quantize(Decimal("0.01"), ROUND_DOWN)


@dataclass(frozen=True)
class Published:
    """One cell of table 3 or 4.

    Attributes:
        train, test (`str`): the tasks trained on and tested on.
        trained_on (`str`): one of `TRAINED_ON`.
        correct (`int`): right answers; for a typo those of the k/n that is nearest to what is printed.
        n (`int`): rows of the test set.
        printed (`Decimal`): per cent as in the paper.
        typo (`bool`): no k/n gives what is printed.
        constant (`bool`): a classifier that always gives the same answer has exactly this score.
        swapped (`bool`): the column's header names another pair.
    """

    train: str
    test: str
    trained_on: str
    correct: int
    n: int
    printed: Decimal
    typo: bool
    constant: bool
    swapped: bool

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 %, as fractions."""
        return wilson(self.correct, self.n)


def cell(train: str, test: str, trained_on: str) -> Published:
    """The published cell; `train == test` is table 3."""
    counts = _ID[train] if train == test else _OOD[train, test]
    value, n = counts[TRAINED_ON.index(trained_on)], TEST_ROWS[test]
    typo = isinstance(value, str)
    correct = round(Decimal(value) * n / 100) if isinstance(value, str) else value
    printed = Decimal(value) if isinstance(value, str) else cut(Decimal(100 * correct) / n)
    constant = not typo and correct in CONSTANT[test]
    return Published(train, test, trained_on, correct, n, printed, typo, constant, (train, test) in SWAPPED)


def cells(table: int | None = None) -> Iterator[Published]:
    """All cells of table 3 or 4, or of both, column by column."""
    pairs = [(task, task) for task in _ID] * (table != 4) + list(_OOD) * (table != 3)
    return (cell(train, test, name) for train, test in pairs for name in TRAINED_ON)


def has(train: str, test: str) -> bool:
    """Whether the paper has a column for this pair."""
    return train in _ID if train == test else (train, test) in _OOD


@dataclass(frozen=True)
class Difference:
    """The last row of the paper's tables for one column: the best created set against human data.

    Attributes:
        best, human (`Published`): the two cells.
        of_best (`Decimal`): per cent of the best created value, which is what the paper prints.
        of_human (`Decimal`): per cent of the human value, which is what "better by up to" suggests.
        points (`Decimal`): percentage points.
        items (`int`): rows of the test set.
    """

    best: Published
    human: Published
    of_best: Decimal
    of_human: Decimal
    points: Decimal
    items: int


def difference(train: str, test: str) -> Difference:
    """The column's difference; `of_best` as the paper computed it: from the printed values, and cut."""
    human = cell(train, test, "human")
    best = max((cell(train, test, name) for name in TRAINED_ON[1:]), key=lambda one: one.printed)
    points = abs(best.printed - human.printed)
    return Difference(
        best, human, cut(100 * points / best.printed), round(100 * points / human.printed, 2), points,
        abs(best.correct - human.correct),
    )  # fmt: skip


def dollars(task: str, strategy: str) -> Decimal:
    """Table 5's cost of one set."""
    return Decimal(DOLLARS[task][TRAINED_ON.index(strategy) - 1])


def tokens(task: str, strategy: str) -> int:
    """The tokens that table 5's dollars stand for (prompt and reply together)."""
    return int(dollars(task, strategy) / DOLLARS_PER_TOKEN)


def notes() -> list[str]:
    """What a reader of tables 3 and 4 has to know, computed from the cells."""
    everything = list(cells())
    constant, typos = [x for x in everything if x.constant], [x for x in everything if x.typo]
    head = difference(*HEADLINE)
    low, high = ([round(100 * bound, 1) for bound in one.interval] for one in (head.human, head.best))
    return [
        f"{len(constant)} of {len(everything)} published cells equal a constant classifier (marked `=`): "
        + "; ".join(_named(x) for x in constant) + ".",
        f"The headline \"17.5 %\" is {head.points} points of {head.best.printed}, relative to the best created value; "
        f"relative to the human value it is {head.of_human} %. It is {head.points} points = {head.items} of "
        f"{head.human.n} test rows ({head.human.train} to {head.human.test}).",
        f"Its human side, {head.human.correct}/{head.human.n} = {head.human.printed} %, is the constant \"True\" "
        f"classifier. Their 95% intervals: human {low[0]}-{low[1]}, {head.best.trained_on} {high[0]}-{high[1]}.",
        "Columns 7 and 8 of table 4 carry each other's headers: column 7, printed as bioasq to pubmedqa, holds "
        "k/140, pubmedqa to bioasq; column 8 the reverse (marked `S`; here under what they are).",
        "No k/n gives these values, probably typos (marked `?`; the interval is that of the nearest k/n): "
        + "; ".join(f"{_named(x)} {x.printed}, nearest {x.correct}/{x.n}" for x in typos) + ".",
        "One training seed, one formatting example; intervals are recomputed here from k/n (Wilson, 95%).",
    ]  # fmt: skip


def _named(one: Published) -> str:
    where = one.train if one.train == one.test else f"{one.train} to {one.test}"
    return f"{where} {one.trained_on}"
