"""docs/results.md from the result files that real_figures.py left: no figure in it is typed by hand.

    python scripts/results_doc.py ../real/results docs/results.md

The rows of SST-2 and RTE are described from the folder `converted` beside the results, where it is there.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import real_figures
from rendering import pipes, place, point, text, write

from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation import results
from llm_created.train.cells import HUMAN, Cell, cells, spread
from llm_created.train.compare import human_of, p_text, pair
from llm_created.utils.console import out, say

TASKS = [*real_figures.PLANS, *real_figures.WRITTEN_PLANS]
COMMANDS = [
    "```bash",
    "export DATA=../shared/data HUMAN_DATA=../shared/data/human OUT=../real",
    "python scripts/real_figures.py",
    'python scripts/results_doc.py "$OUT/results" docs/results.md',
    "```",
]
HEAD = ["model", "data", "rows", "seeds", "accuracy", "", "±", "95 %", "n", "majority", "macro F1"]
ABOUT = (
    "Accuracy in per cent: the mean over the training seeds; `±` is the standard deviation over them (nothing where "
    "there is one). 95 % is the Wilson interval over the n test rows, which leaves the seeds out. `majority` is what "
    "always giving the commonest answer of that test set gets. `rows` is what was trained on; for the encoder a tenth "
    "was cut off before that, to choose the epoch. The linear model has no seed and no validation rows."
)
MARKS = {
    "=": "`=` as a constant classifier: always the same answer, or exactly the majority class (`=2/3`: 2 of 3 seeds).",
    "~": "`~` the interval holds the majority class: not shown to be better or worse than it.",
    "L": "`L` test rows were found in the training rows (`L5`: five).",
}


def name_of(test: str) -> str:
    """`csqa:validation` as `csqa`, and `sst2-dev.jsonl` as `sst2`."""
    return test.partition(":")[0].removesuffix("-dev.jsonl")


def marks(cell: Cell) -> str:
    """What stands behind an accuracy."""
    low, high = cell.interval
    constant = "=" * bool(cell.constant)
    if 0 < cell.constant < len(cell.ones):
        constant = f"={cell.constant}/{len(cell.ones)}"
    unclear = "~" * (not constant and low <= cell.majority <= high)
    return constant + unclear + (f"L{cell.leaked}" if cell.leaked else "")


def row(cell: Cell) -> list[str]:
    """One cell of a table: the columns of `HEAD`."""
    over = spread(cell).training
    macro = sum(one.score.macro_f1 for one in cell.ones) / len(cell.ones)
    return [
        cell.model, cell.train_set, f"{cell.train_rows:,}", "-" if cell.model.startswith("linear") else
        str(len(cell.ones)), f"{100 * cell.accuracy:.1f}", marks(cell), "" if over is None else f"{100 * over:.1f}",
        "{:.1f}-{:.1f}".format(*(100 * x for x in cell.interval)), f"{cell.n:,}", f"{100 * cell.majority:.1f}",
        f"{100 * macro:.1f}",
    ]  # fmt: skip


def ordered(found: Sequence[Cell]) -> list[Cell]:
    """By task, test set, model, data."""

    def key(cell: Cell) -> tuple[Any, ...]:
        where = place(cell.task, TASKS), place(name_of(cell.test), TASKS)
        return *where, cell.model == real_figures.MODEL_NAME, cell.train_set, cell.train_rows

    return sorted(found, key=key)


def scores(title: str, found: Sequence[Cell], elsewhere: bool = False) -> list[str]:
    """A table of cells; with `elsewhere` it says what was trained on and what was tested on."""
    first = ["trained on", "tested on"] if elsewhere else ["task"]
    rows, last = [], ""
    for cell in ordered(found):
        where = [cell.task, name_of(cell.test)] if elsewhere else [cell.task]
        rows.append([*(where if str(where) != last else ["" for _ in where]), *row(cell)])
        last = str(where)
    shown = HEAD if any(cell.train_set != HUMAN for cell in found) else [x for x in HEAD if x != "data"]
    if len(shown) < len(HEAD):
        at = len(first) + HEAD.index("data")
        rows = [one[:at] + one[at + 1 :] for one in rows]
    return [f"## {title}", "", *pipes([*first, *shown], rows, left=len(first) + (2 if shown is HEAD else 1)), ""]


def rows_table(folder: Path) -> list[str]:
    """What the rows of SST-2 and RTE are like, where they are here: their length alone tells some apart."""
    rows = []
    for name in real_figures.WRITTEN_PLANS:
        for part, said in (("train", HUMAN), ("written", "written"), (f"{name}-dev", "test rows")):
            path = folder / name / f"{part}.jsonl"
            if not path.is_file():
                return []
            lines = path.read_text("utf-8").splitlines()
            texts = [" ".join(value for key, value in json.loads(line).items() if key != "answer") for line in lines]
            escaped = sum("&#" in one or "&amp;" in one or "&quot;" in one for one in texts)
            words = median(len(one.split()) for one in texts)
            rows.append([name, said, f"{len(texts):,}", f"{len(set(texts)):,}", f"{words:g}", f"{escaped:,}"])
    return [*pipes(["task", "data", "rows", "different", "words (median)", "with HTML escapes"], rows, left=2), ""]


def pairs(found: Sequence[Cell]) -> list[str]:
    """The paired tests of written against human rows."""
    rows = []
    for cell in ordered([one for one in found if one.train_set != HUMAN]):
        human = human_of(cell, found)
        test = pair(cell, human) if human else None
        if test is None or human is None:
            continue
        alone = ", ".join(f"{one.only_first}:{one.only_second}" for one in test.tests)
        rows.append(
            [
                cell.task, cell.model, f"{cell.train_rows:,}", f"{human.train_rows:,}", f"{test.points:+.1f}", alone,
                p_text(test.p),
            ]
        )  # fmt: skip
    head = ["task", "model", "written rows", "human rows", "points", "right alone", "p"]
    about = (
        "Written less human, in points, by models that share their seed, on the same test rows. `right alone`: test "
        "rows that only the model of written rows, and only that of human rows, got right, one pair for each seed. p "
        "is that of the exact two-sided McNemar test; with several seeds one p that is valid however they depend on "
        "each other (K/k times the k-th smallest, k just above half of K)."
    )
    return [*pipes(head, rows, left=2), "", *text(about)] if rows else []


def command(result: dict[str, Any], root: Path) -> str:
    """The command of a result, without a path of the machine that it ran on."""
    program, *words = shlex.split(result["environment"]["command"])
    known = {str(root): "$OUT", str(root.absolute()): "$OUT"}
    before, made = "", []
    for word in words:
        for path, said in known.items():
            word = word.replace(path, said)
        word = {"--model": "$MODEL", "--human-data": word if "$OUT" in word else "$HUMAN_DATA"}.get(before, word)
        before = word
        made.append(word)
    said = "python -m llm_created.train.finetune" if program == "finetune.py" else program
    return f"{said} " + " ".join(word if word.startswith("$") else shlex.quote(word).strip("'") for word in made)


def missing(found: Sequence[dict[str, Any]], root: Path) -> list[str]:
    """What real_figures.py would run, and has no result here."""
    there = {Path(one["path"]).relative_to(root).as_posix(): set(one["scores"]) for one in found}
    lines = []
    for job in real_figures.jobs():
        path = job.result.relative_to(real_figures.OUT / "results").as_posix()
        if not set(job.tests) <= there.get(path, set()):
            lines.append(f"- {path.removesuffix('.json')}")
    return lines


def trainings(found: Sequence[dict[str, Any]]) -> list[str]:
    """How long each training was: planned and kept epochs, updates, seconds."""
    rows = []
    kept = [one for one in found if one["kind"] == "encoder"]
    for one in sorted(kept, key=lambda one: (place(one["task"], TASKS), one["train_path"], one["seed"])):
        about = one["train"]
        rows.append(
            [
                one["task"], one.get("train_path") or one["train_set"], str(one["seed"]), f"{about['train_rows']:,}",
                f"{about['validation_rows']:,}", f"{one['best_epoch']} of {one['epochs']}", f"{one['steps']:,}",
                f"{100 * one['validation_accuracy']:.1f}", f"{one['seconds']:,.0f}",
            ]
        )  # fmt: skip
    head = ["task", "data", "seed", "rows", "validation", "epoch kept", "updates", "its accuracy", "seconds"]
    return pipes(head, rows, left=2)


def document(found: list[dict[str, Any]], root: Path) -> str:
    """All of docs/results.md."""
    every = cells(found)
    own = [cell for cell in every if cell.task in real_figures.PLANS]
    written = [cell for cell in every if cell.task in real_figures.WRITTEN_PLANS]
    used = {mark for cell in every for mark in MARKS if mark in marks(cell)}
    encoders = [one for one in found if one["kind"] == "encoder"]
    same = {name: value for name, value in encoders[0]["params"].items() if not isinstance(value, dict)}
    for one in encoders[1:]:
        same = {name: value for name, value in same.items() if one["params"].get(name) == value}
    versions = sorted({f"{name} {value}" for one in found for name, value in one["environment"]["versions"].items()})
    days = sorted({one["environment"]["started"][:10] for one in found})
    commits = sorted({one["environment"]["commit"][:12] + ("-dirty" * one["environment"]["commit"].endswith("-dirty"))
                      for one in found})  # fmt: skip
    first = [one for one in found if one["seed"] == 0]
    left = missing(found, root)
    out = ["# Real figures", "", "<!-- Written by scripts/results_doc.py: change that, and run it again. -->", ""]
    out += text(
        "Trained on real rows and scored on real rows, on a CPU: a linear model on TF-IDF, and MiniLM "
        f"({real_figures.MODEL_NAME}, 22 million parameters). All tasks have the same settings but for the number of "
        "epochs, and nothing was tuned; these are small models, so read the tables for what differs, not for how well "
        "a task can be solved. The test rows are the `dev` files of the human data, which are read as `validation`; "
        "nothing was chosen on them."
    )
    out += [*text(ABOUT), *[line for mark in MARKS if mark in used for line in point(MARKS[mark])], ""]
    out += scores("In distribution", [cell for cell in own if cell.distribution == "in"])
    out += text("Trained on human rows, tested on the same task.")
    out += scores("Out of distribution", [cell for cell in own if cell.distribution == "out"], elsewhere=True)
    out += text("Trained on human rows, tested on the other tasks of the family.")
    out += scores("Machine-written against human", written)
    out += text(
        f"SST-2 and RTE. `written`: {real_figures.WRITTEN_ROWS:,} rows that the language model CTRL wrote (SuperGen, "
        "https://arxiv.org/abs/2202.04538), as they are, HTML escapes too; for RTE also the first "
        f"{real_figures.RTE_ROWS:,} of them, as many as there are human ones. `human`: the first "
        f"{real_figures.WRITTEN_ROWS:,} training rows of SST-2, and all of RTE's. All are scored on human rows."
    )
    out += rows_table(root.parent / "converted")
    out += pairs(written)
    out += ["## How it was made", "", *COMMANDS, ""]
    out += text("Every training of MiniLM: " + ", ".join(f"{name} {value}" for name, value in same.items()) + ".")
    out += text(f"Run on {', '.join(days)} at {', '.join(commits) or 'no commit'}, with {', '.join(versions)}.")
    if left:
        out += ["Not run, though real_figures.py would:", "", *left, ""]
    out += ["### Each training of MiniLM", "", *trainings(found), ""]
    out += text("Seconds are of a machine of two cores that had other work as well.")
    out += ["### The commands", "", *text("Of the first seed; the others differ in `--seed` and `--output-dir`."),
            "```bash", *dict.fromkeys(command(one, root.parent) for one in first), "```"]  # fmt: skip
    return "\n".join(out).rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of result files")
    parser.add_argument("out", type=Path, nargs="?", help="the file to write (default: print)")
    args = parser.parse_args(argv)
    try:
        found = results.read_all(args.results)
        if not any(one["kind"] == "encoder" for one in found):
            raise UsageError(f"{str(args.results)!r} holds no training of an encoder yet: run real_figures.py first")
        made = document(found, args.results)
        if args.out:
            # What real_writer.py put there is not of these results, and stays.
            old = args.out.read_text("utf-8") if args.out.exists() else ""
            write(args.out, made + "".join(re.findall(r"\n<!-- real_writer: .*?<!-- /real_writer -->\n", old, re.S)))
        else:
            out(*made.removesuffix("\n").split("\n"))
    except LLMCreatedError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
