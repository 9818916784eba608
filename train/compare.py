"""Compare scored models: a paired test, the spread over seeds, probes that show shortcuts.

    python -m llm_created.train.compare a.jsonl b.jsonl           # two prediction files of one test set: exact McNemar
    python -m llm_created.train.compare results                   # a folder of results: mean, spread, probes, pairs
    python -m llm_created.train.compare results --on creak:test --model roberta-large

A paired test says whether two *models* differ on these rows; the spread over training seeds and over creation seeds
(runs from other formatting examples) says how much of that another seed would change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation import results
from llm_created.evaluation.scores import McNemar, mcnemar
from llm_created.train.cells import HUMAN, TENTH, Cell, cells, formatting_examples, spread
from llm_created.utils.console import Parser, out, say, until_nobody_reads


def paired(first: str | Path, second: str | Path) -> McNemar:
    """Exact McNemar on two prediction files.

    Raises:
        UsageError: they are not of the same test rows, in the same order; names the first that differs.
    """
    one, two = results.read_predictions(first), results.read_predictions(second)
    for number, (a, b) in enumerate(zip(one, two, strict=False), 1):
        if (a["id"], a["answer"]) != (b["id"], b["answer"]):
            raise UsageError(
                f"{first} and {second} are of different test rows: line {number} is {a['id']} (answer {a['answer']}) "
                f"in one and {b['id']} (answer {b['answer']}) in the other"
            )
    if len(one) != len(two):
        raise UsageError(
            f"{first} and {second} are of different test rows: they have {len(one)} and {len(two)}, the first that "
            f"only one has is line {min(len(one), len(two)) + 1}"
        )
    return mcnemar(*([line["prediction"] == line["answer"] for line in lines] for lines in (one, two)))


@dataclass(frozen=True)
class Pair:
    """Two cells of one test set, model by model.

    Attributes:
        points (`float`): first minus second, in percentage points, over the pairs.
        p (`float`): see `combined`.
        tests (`tuple[McNemar, ...]`): one for each pair of models.
        rows (`tuple[int, int]`): what each was trained on; where they differ, the difference is not the data's alone.
    """

    points: float
    p: float
    tests: tuple[McNemar, ...]
    rows: tuple[int, int]


def _predictions(cell: Cell) -> list[tuple[tuple[str, int], Path]]:
    """The predictions that are there, with the seeds they are of."""
    found = [((one.creation_seed, one.seed), one.predictions) for one in cell.ones]
    return [(seeds, path) for seeds, path in found if path and path.exists()]


def pair(first: Cell, second: Cell) -> Pair | None:
    """The paired tests of models that share their training seed; `None` where predictions are missing.

    Raises:
        UsageError: the cells are of different test rows.
    """
    human = HUMAN in (first.train_set, second.train_set)
    tests = [
        paired(mine, other)
        for (creation, seed), mine in _predictions(first)
        for (other_creation, other_seed), other in _predictions(second)
        # Human rows have no creation seed.
        if seed == other_seed and (human or creation == other_creation)
    ]
    if not tests:
        return None
    points = 100 * fmean(test.only_first - test.only_second for test in tests) / first.n
    p = combined([test.p for test in tests])
    return Pair(points, p, tuple(tests), (first.train_rows, second.train_rows))


def human_of(cell: Cell, found: Sequence[Cell]) -> Cell | None:
    """The cell trained on human rows that a cell is held against: with as many rows, else with the same fraction."""
    same = ("task", "model", "test", "n", "probe")
    there = [
        one
        for one in found
        if one.train_set == HUMAN != cell.train_set and all(getattr(one, x) == getattr(cell, x) for x in same)
    ]
    fits = [one for one in there if one.train_rows == cell.train_rows] or [
        one for one in there if one.fraction == cell.fraction
    ]
    return min(
        fits,
        key=lambda one: (one.validation != cell.validation, abs(one.train_rows - cell.train_rows)),
        default=None,
    )


def combined(values: Sequence[float]) -> float:
    """One p of several that depend on each other in unknown ways, as tests on the same rows do.

    K/k times the k-th smallest of K, with k just above K/2, is a valid p whatever the dependence (Rueger, 1978,
    https://doi.org/10.1007/BF01895326).
    """
    k = len(values) // 2 + 1
    return min(1.0, len(values) / k * sorted(values)[k - 1])


@dataclass(frozen=True)
class Probe:
    """A score without the question or the options, beside the full one.

    Attributes:
        full, probe (`Cell`): the two cells.
        kept (`float`, *optional*): share of the full score's lead over the majority class that is kept; `None` where
            there is no lead.
        shortcut (`bool`): the full score leads the majority class, and the probe lies in its interval or above: what
            was blanked was not needed.
    """

    full: Cell
    probe: Cell
    kept: float | None
    shortcut: bool


def _by_same_models(whole: Cell, probe: Cell) -> Cell | None:
    """A full score by the models that were probed, or `None` where one of them lacks."""
    probed = {(one.creation_seed, one.seed) for one in probe.ones}
    same = tuple(one for one in whole.ones if (one.creation_seed, one.seed) in probed)
    return replace(whole, ones=same) if len(same) == len(probed) else None


def probes(found: Sequence[Cell]) -> list[Probe]:
    """Every probe beside its full score, by the same models."""
    full = {_without_probe(cell): cell for cell in found if not cell.probe}
    made = []
    for cell in found:
        whole = full.get(_without_probe(cell)) if cell.probe else None
        whole = _by_same_models(whole, cell) if whole else None
        if whole is None:
            continue
        lead, low = whole.accuracy - whole.majority, whole.interval[0]
        kept = (cell.accuracy - whole.majority) / lead if lead > 0 else None
        made.append(Probe(whole, cell, kept, low > whole.majority and cell.accuracy >= low))
    return made


def _without_probe(cell: Cell) -> tuple[Any, ...]:
    return tuple(value for name, value in vars(cell).items() if name not in ("probe", "ones"))


def _test_lines(test: str, n: int, model: str, here: Sequence[Cell]) -> list[str]:
    """The cells of one test set, and their pairs with human data."""
    lines = ["", f"{test} · n = {n:,} · {model} · majority class {100 * here[0].majority:.1f}"]
    rows = sorted({cell.train_rows for cell in here})
    if len(rows) > 1:
        lines.append(f"  ! trained on different numbers of rows: {', '.join(f'{one:,}' for one in rows)}")
    lines += [f"  {line}" for cell in here for line in _cell_lines(cell)]
    return lines + [f"  {line}" for line in _pair_lines(here)]


def report(found: Sequence[Cell]) -> list[str]:
    """Cells, probes and pairs with human data in words, one test set after the other."""
    lines: list[str] = []
    tests = sorted({(cell.test, cell.n, cell.model) for cell in found})
    for test in tests:
        here = [cell for cell in found if (cell.test, cell.n, cell.model) == test and not cell.probe]
        here.sort(key=lambda cell: (cell.task, cell.train_set, cell.train_rows))
        lines += _test_lines(*test, here) if here else []
    for one in probes(found):
        lines += ["", *_probe_lines(one)]
    return lines[1:]


def _cell_lines(cell: Cell) -> list[str]:
    low, high = cell.interval
    marks = [f"= constant classifier in {cell.constant} of {len(cell.ones)}"] * bool(cell.constant)
    marks += [f"validated on {cell.validation}"] * (cell.validation not in ("", TENTH))
    marks += [f"{cell.leaked} test rows are in the training rows"] * bool(cell.leaked)
    over = spread(cell)
    line = f"{cell.task} {cell.train_set}, {cell.train_rows:,} rows: {100 * cell.accuracy:.1f} "
    lines = [f"{line}[{100 * low:.1f}, {100 * high:.1f}] {over}".rstrip() + "".join(f"; {mark}" for mark in marks)]
    if over.creation is not None:
        number = formatting_examples(cell)
        if number is None:
            lines.append("  formatting examples of these creation seeds: not known here (no journal)")
        elif number < over.num_creation:
            lines.append(f"  ! {over.num_creation} creation seeds share {number} formatting examples: too small a ±")
    return lines


def _pair_lines(here: Sequence[Cell]) -> list[str]:
    lines = []
    for cell in here:
        human = human_of(cell, here)
        test = pair(cell, human) if human else None
        if test:
            lines.append(f"{cell.task} {cell.train_set} ({cell.train_rows:,} rows) - human: {pair_text(test)}")
    return lines


def pair_text(test: Pair) -> str:
    """`+4.2 points, McNemar p = 0.031 (48 to 31 rows); 2,000 and 8,500 training rows`."""
    first = test.tests[0]
    over = f", {len(test.tests)} pairs of seeds" if len(test.tests) > 1 else f" ({first[0]} to {first[1]} rows)"
    said = f"{test.points:+.1f} points, McNemar p = {p_text(test.p)}{over}"
    return said if test.rows[0] == test.rows[1] else f"{said}; ! {test.rows[0]:,} and {test.rows[1]:,} training rows"


def p_text(p: float) -> str:
    """Two significant digits; never `0`."""
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def _probe_lines(one: Probe) -> list[str]:
    full, probe, majority = (100 * x for x in (one.full.accuracy, one.probe.accuracy, one.full.majority))
    kept = f"keeps {one.kept:.0%} of the lead" if one.kept is not None else "there is no lead to lose"
    return [
        f"{one.probe.probe}: {one.full.task} {one.full.train_set} on {one.full.test}",
        f"  {probe:.1f}, in full {full:.1f}, majority class {majority:.1f}: {kept}",
        *["  ! a shortcut: what is blanked was not needed"] * one.shortcut,
    ]


@until_nobody_reads()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit codes as `llm-created`."""
    parser = Parser(
        prog="python -m llm_created.train.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", help="two prediction files (.jsonl), or folders of results")
    parser.add_argument("--on", nargs="+", metavar="TEST", help="only these test sets")
    parser.add_argument("--model", help="only this model")
    args = parser.parse_args(argv)
    try:
        out(*_main(args.paths, args.on, args.model))
    except LLMCreatedError as error:
        say(f"error: {parser.spoken(str(error))}")
        return error.exit_code
    return 0


def _of_two(paths: Sequence[str]) -> list[str]:
    """Two prediction files of one test set."""
    if len(paths) != 2 or not all(path.endswith(".jsonl") for path in paths):
        raise UsageError(f"a paired test takes two prediction files, not {len(paths)} paths")
    first, second = paths
    test, n = paired(first, second), len(results.read_predictions(first))
    points = 100 * (test.only_first - test.only_second) / n
    return [
        f"first right alone: {test.only_first}, second right alone: {test.only_second}, of {n:,} rows",
        f"first - second: {points:+.1f} points, exact McNemar p = {p_text(test.p)}",
    ]


def _is_wanted(cell: Cell, on: Sequence[str] | None, model: str | None) -> bool:
    return (not on or cell.test in on) and model in (None, cell.model)


def _main(paths: Sequence[str], on: Sequence[str] | None, model: str | None) -> list[str]:
    if any(path.endswith(".jsonl") for path in paths):
        return _of_two(paths)
    found = [cell for path in paths for cell in cells(results.read_all(path))]
    kept = [cell for cell in found if _is_wanted(cell, on, model)]
    if not kept:
        known = ", ".join(sorted({f"{cell.test} ({cell.model})" for cell in found}))
        raise UsageError(f"no result fits; there are: {known or 'none with a score'}")
    return report(kept)


if __name__ == "__main__":
    sys.exit(main())
