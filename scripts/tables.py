"""The paper's tables from result files and journals: scores in (3) and out of distribution (4), cost (5), probes.

    python scripts/tables.py --results results                            # Markdown to the terminal
    python scripts/tables.py --results results --paper                    # the published figures beside ours
    python scripts/tables.py --results results --runs all --format csv --out tables

Nothing is typed in by hand: every figure comes from a result file, a journal or `paper.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import paper
from costs import cost_lines, cost_table
from rendering import SETS, TASKS, Line, as_csv, pipes, place, point, text, write

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation import results
from llm_created.train.cells import HUMAN, TENTH, Cell, cells, formatting_examples, spread
from llm_created.train.compare import human_of, pair, probes
from llm_created.utils.console import out, say, until_nobody_reads

LEGEND = {
    "=": "`=` as a constant classifier: always the same answer, or exactly the majority class; `=2/3`: 2 of 3 seeds.",
    "V": "`V` validated on human rows (or others that the result names), not on a tenth of its own.",
    "L": "`L` test rows were found in the training rows.",
    "E": "`E` some creation seeds share a formatting example: their `±` leaves its part out.",
    "≠": "`≠` trained on other numbers of rows (the second is the human set's): not the data's difference alone.",
    "?": "`?` no k/n gives the printed value.",
    "S": "`S` the paper prints this column under another header.",
    "T": "`T` other test rows than ours.",
}
OWN = (None, "", TENTH)
SEEDS = (
    "`±` standard deviation over so many training seeds, and over so many creation seeds: runs, which should begin at "
    "different formatting examples (checked where their journals are here)."
)
ABOUT = (
    "Accuracy in per cent, its Wilson 95% interval over the test rows, and their number n. `vs human`: points, and "
    "p of the exact McNemar test on the same rows (several seeds: one p that is valid however they depend)."
)
PAPER = "`P` published: roberta-large on rows of gpt-3.5-turbo; the accuracy as printed, the interval from k/n."


def kept(found: Sequence[Cell]) -> list[Cell]:
    """The cells with all of their data; the learning curve's other points belong in the figure."""
    most: dict[tuple[str, ...], float] = {}
    for cell in found:
        key = (cell.task, cell.train_set, cell.model, cell.test, cell.probe)
        most[key] = max(most.get(key, 0), cell.fraction)
    return [x for x in found if x.fraction == most[x.task, x.train_set, x.model, x.test, x.probe]]


def blocks(found: Sequence[Cell], distribution: str) -> list[tuple[tuple[Any, ...], list[Cell]]]:
    """The cells that may stand together: same task trained on, test rows and model."""
    made: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in found:
        if cell.distribution == distribution and not cell.probe:
            made.setdefault((cell.task, cell.test, cell.n, cell.model), []).append(cell)
    ordered = sorted(made, key=lambda key: (place(key[0], TASKS), place(task_of(key[1]), TASKS), str(key)))
    order = {key: sorted(made[key], key=lambda x: (place(x.train_set, SETS), x.train_rows)) for key in ordered}
    return list(order.items())


def task_of(test: str) -> str:
    """`csqa` of `csqa:test`."""
    return test.partition(":")[0]


def place_of(one: Line) -> str:
    """`csqa:test`, or `csqa → riddle_sense:test` for a model of another task."""
    return one["test"] if one["task"] == task_of(one["test"]) else f"{one['task']} → {one['test']}"


def ours(cell: Cell, human: Cell | None, best: bool, tested: int) -> Line:
    """One cell as a line."""
    low, high = cell.interval
    over, test = spread(cell), pair(cell, human) if human else None
    return {
        "source": "ours", "task": cell.task, "test": cell.test, "model": cell.model, "trained_on": cell.train_set,
        "rows": cell.train_rows, "human_rows": human.train_rows if human else None, "accuracy": 100 * cell.accuracy,
        "low": 100 * low, "high": 100 * high, "n": cell.n, "majority": 100 * cell.majority,
        "constant": cell.constant, "models": len(cell.ones),
        "sd_training": None if over.training is None else 100 * over.training, "n_training": over.num_training[0],
        "sd_creation": None if over.creation is None else 100 * over.creation, "n_creation": over.num_creation,
        "points": test.points if test else None, "p": test.p if test else None,
        "best_of": tested if best and tested > 1 else None, "validation": cell.validation, "leaked": cell.leaked,
        "marks": "E" * (over.num_creation > (formatting_examples(cell) or over.num_creation)),
    }  # fmt: skip


def published(train: str, test: str, name: str, elsewhere: bool) -> Line:
    """One published cell as a line."""
    cell = paper.cell(train, test, name)
    low, high = cell.interval
    marks = "?" * cell.typo + "S" * cell.swapped + "T" * elsewhere
    return {
        "source": "paper", "task": train, "test": f"{test}:test", "model": "roberta-large", "trained_on": name,
        "rows": paper.TRAIN_ROWS[train], "human_rows": paper.TRAIN_ROWS[train], "accuracy": cell.printed,
        "low": 100 * low, "high": 100 * high, "n": cell.n, "majority": 100 * max(paper.CONSTANT[test]) / cell.n,
        "constant": int(cell.constant), "models": 1, "n_training": 1, "n_creation": 1, "marks": marks,
    }  # fmt: skip


def lines(found: Sequence[Cell], distribution: str, with_paper: bool) -> list[list[Line]]:
    """The lines of table 3 (`"in"`) or 4 (`"out"`), block by block, with the published ones after ours."""
    made, seen = [], set()
    for (task, test, n, _), here in blocks(found, distribution):
        created = [cell for cell in here if cell.train_set != HUMAN]
        best = max(created, key=lambda cell: cell.accuracy, default=None)
        block = [ours(cell, human_of(cell, here), cell is best, len(created)) for cell in here]
        where = task, task_of(test)
        if with_paper and paper.has(*where):
            seen.add(where)
            elsewhere = not test.endswith(":test") or n != paper.TEST_ROWS[where[1]]
            block += [published(*where, name, elsewhere) for name in paper.TRAINED_ON]
        made.append(block)
    if with_paper:
        table = 3 if distribution == "in" else 4
        pairs = dict.fromkeys((cell.train, cell.test) for cell in paper.cells(table))
        made += [[published(*one, x, False) for x in paper.TRAINED_ON] for one in pairs if one not in seen]
    return sorted(made, key=lambda block: (place(block[0]["task"], TASKS), place(task_of(block[0]["test"]), TASKS)))


def score_marks(one: Line) -> str:
    """What stands behind an accuracy."""
    constant = "=" * bool(one["constant"])
    if one["models"] > 1 and 0 < one["constant"] < one["models"]:
        constant = f"={one['constant']}/{one['models']}"
    return constant + "V" * (one.get("validation") not in OWN) + "L" * bool(one.get("leaked")) + one["marks"]


def small(p: float) -> str:
    """`.042`"""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def score_row(one: Line) -> list[str]:
    """A line as a row of Markdown."""
    name = one["trained_on"] if one["source"] == "ours" else f"P {one['trained_on']}"
    other = one["human_rows"] not in (None, one["rows"])
    against = "" if one.get("points") is None else f"{one['points']:+.1f} {small(one['p'])}"
    value = one["accuracy"] if one["source"] == "paper" else f"{one['accuracy']:.1f}"
    deviations = [
        "" if one.get(f"sd_{kind}") is None else f"±{one[f'sd_{kind}']:.1f} ({one[f'n_{kind}']})"
        for kind in ("training", "creation")
    ]
    return [
        f"**{name}**" if one.get("best_of") else name,
        f"{one['rows']:,}" + (f"≠{one['human_rows']:,}" if other else ""),
        f"{value} {score_marks(one)}".strip(), *deviations, f"{one['low']:.1f}-{one['high']:.1f}", f"{one['n']:,}",
        against,
    ]  # fmt: skip


def score_table(title: str, made: Sequence[Sequence[Line]], with_paper: bool) -> list[str]:
    """Table 3 or 4 in Markdown, one small table for each test set."""
    out = [f"## {title}", "", *text(ABOUT)]
    marks: set[str] = set()
    for block in made:
        first = block[0]
        out += [f"**{place_of(first)}** · {first['model']} · majority class {first['majority']:.1f}", ""]
        rows = [score_row(one) for one in block]
        marks |= {mark for row in rows for mark in LEGEND if mark in row[1] + row[2].partition(" ")[2]}
        marks |= {"±"} if any("±" in value for row in rows for value in row) else set()
        out += [*pipes(["data", "rows", "accuracy", "training", "creation", "95 %", "n", "vs human"], rows), ""]
        out += block_notes(block)
    said = [LEGEND[mark] for mark in LEGEND if mark in marks] + [SEEDS] * ("±" in marks) + [PAPER] * with_paper
    return out + [line for one in said for line in point(one)]


def block_notes(block: Sequence[Line]) -> list[str]:
    """What is to be said below one block."""
    said = []
    best = next((one for one in block if one.get("best_of")), None)
    if best and best["p"] is not None:
        times = f"its p, times {best['best_of']}, is {small(min(1.0, best['best_of'] * best['p']))}"
        said += text(f"{best['trained_on']} was picked on these rows out of {best['best_of']} created sets: {times}.")
    if any(one["source"] == "paper" for one in block):
        last = block[-1]
        gap = paper.difference(last["task"], task_of(last["test"]))
        said += text(
            f"Published difference {gap.of_best} %: {gap.points} points ({gap.items} of {gap.best.n} rows) "
            f"relative to {gap.best.trained_on}, the best created; relative to human {gap.of_human} %."
        )
    return said


def probe_lines(found: Sequence[Cell]) -> list[Line]:
    """Every probe beside its full score."""
    return [
        {
            "task": one.full.task, "test": one.full.test, "model": one.full.model, "trained_on": one.full.train_set,
            "rows": one.full.train_rows, "n": one.full.n, "majority": 100 * one.full.majority,
            "full": 100 * one.full.accuracy, "probe": one.probe.probe, "accuracy": 100 * one.probe.accuracy,
            "low": 100 * one.probe.interval[0], "high": 100 * one.probe.interval[1], "kept": one.kept,
            "shortcut": one.shortcut,
        }
        for one in probes(found)
    ]  # fmt: skip


def probe_table(made: Sequence[Line]) -> list[str]:
    """The probes in Markdown."""
    rows = [
        [
            one["trained_on"], place_of(one), one["probe"], f"{one['full']:.1f}",
            f"{one['accuracy']:.1f}", f"{one['low']:.1f}-{one['high']:.1f}", f"{one['n']:,}", f"{one['majority']:.1f}",
            "shortcut" if one["shortcut"] else "",
        ]
        for one in made
    ]  # fmt: skip
    head = ["data", "test rows", "blanked", "full", "probe", "95 %", "n", "majority", ""]
    about = "`shortcut`: the probe lies in the full score's interval, or above: what was blanked was not needed."
    return ["## Probes", "", *pipes(head, rows, left=3), "", *point(about)]


def tables(args: argparse.Namespace) -> dict[str, str]:
    """The tables that the arguments ask for, by name."""
    found = results.read_all(args.results) if args.results else []
    every = [cell for cell in cells(found) if args.model in (None, cell.model)]
    whole = kept(every)
    parts: dict[str, tuple[list[Line], Callable[[], list[str]]]] = {}
    for name, distribution, title in (
        ("id", "in", "In distribution (table 3)"),
        ("ood", "out", "Out of distribution (table 4): trained on one task, tested on another"),
    ):
        made = lines(whole, distribution, args.paper)
        if made:
            flat = [one for block in made for one in block]
            parts[name] = flat, lambda made=made, title=title: score_table(title, made, args.paper)
    probed = probe_lines(whole)
    if probed:
        parts["probes"] = probed, lambda: probe_table(probed)
    costs = cost_lines(runs_of(args.runs, found), args.paper)
    if costs:
        parts["cost"] = costs, lambda: cost_table(costs, args.paper)
    if args.paper and args.format == "md":
        about = [line for note in paper.notes() for line in point(note)]
        parts["paper"] = [], lambda: ["## What the published figures are", "", *about]
    return {
        name: as_csv(flat) if args.format == "csv" else "\n".join(shown()) + "\n"
        for name, (flat, shown) in parts.items()
    }


def runs_of(named: Sequence[str] | None, found: Iterable[dict[str, Any]]) -> list[str]:
    """The runs to count: those named, all in the cache, or those that the results were trained on, where here."""
    from llm_created.runs.folders import all_runs

    here = [digest for digest, _, _ in all_runs()]
    if named == ["all"]:
        return here
    if named:
        return list(named)
    used = {source.get("run") for result in found for source in result["train"].get("sources", ())}
    return [digest for digest in here if digest in used]


@until_nobody_reads()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", metavar="DIR", help="folder of result files (none: with --paper, the published)")
    parser.add_argument("--runs", nargs="+", metavar="RUN", help="for the cost: digests, names, folders, or `all`")
    parser.add_argument("--model", help="only this trained model")
    parser.add_argument("--paper", action="store_true", help="the published figures beside ours")
    parser.add_argument("--format", choices=("md", "csv"), default="md")
    parser.add_argument("--out", metavar="DIR", help="write id, ood, probes, cost there (default: print)")
    args = parser.parse_args(argv)
    try:
        made = tables(args)
        if not made:
            raise UsageError("no result, no run: give --results DIR, --runs or --paper")
        for name, written in made.items():
            if args.out:
                write(Path(args.out, f"{name}.{args.format}"), written)
            else:
                out(*written.split("\n"))
    except LLMCreatedError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
