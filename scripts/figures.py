"""The paper's figures from result files and journals: accuracy against the share of the data (5), drift with depth.

    python scripts/figures.py --results results --out figures
    python scripts/figures.py --runs all --out figures                                  # drift, by TF-IDF
    python scripts/figures.py --runs all --out figures --embedding-model sentence-transformers/all-MiniLM-L6-v2

PNG and SVG, as wide as a column of a paper, told apart without colour too. Needs `pip install "llm-created[train]"`,
and `[embed]` for the last.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rendering import SETS, place

from llm_created.embeddings import Similarity
from llm_created.errors import LLMCreatedError, UsageError
from llm_created.evaluation import results
from llm_created.runs.folders import all_runs, find
from llm_created.runs.kept import kept_rows
from llm_created.tasks.task import Row, Task
from llm_created.train.cells import HUMAN, Cell, cells
from llm_created.utils.console import out, say
from llm_created.utils.files import whole
from llm_created.utils.text import slug

INCHES = 3.3  # the width of a column
SAVED = {"png": {"dpi": 300}, "svg": {"metadata": {"Date": None}}}
STYLE = {
    "font.size": 7.5, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "0.9",
    "grid.linewidth": 0.5, "axes.linewidth": 0.6, "lines.linewidth": 1.1, "lines.markersize": 4,
    "legend.frameon": False, "svg.hashsalt": "llm-created", "axes.axisbelow": True,
}  # fmt: skip
# Colours of Okabe and Ito, which colour-blind people tell apart; marker and dashes say the same again.
LOOKS = {
    HUMAN: ("#000000", "o", "-"), "tree": ("#0072B2", "v", "-"), "random": ("#E69F00", "s", "--"),
    "contrastive": ("#D55E00", "^", "-."), "similar": ("#009E73", "D", ":"), "naive": ("#999999", "X", "--"),
}  # fmt: skip
OTHERS = [("#CC79A7", "P", "-"), ("#56B4E9", "*", "--"), ("#F0E442", "h", "-."), ("#666666", "<", ":")]
MOST_POINTS = 12  # depths beyond this are taken together
Z = 1.96


@dataclass(frozen=True)
class Series:
    """One line of a figure: its points from left to right, each with its interval."""

    name: str
    look: tuple[str, str, str]
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def look(name: str, others: list[str]) -> tuple[str, str, str]:
    """A strategy looks the same in every figure."""
    if name in LOOKS:
        return LOOKS[name]
    if name not in others:
        others.append(name)
    return OTHERS[others.index(name) % len(OTHERS)]


def draw(series: Sequence[Series], path: Path, labels: tuple[str, str], caption: str, **axes: Any) -> list[Path]:
    """One figure with its caption, as PNG and SVG.

    Args:
        series (`Sequence[Series]`): the lines.
        path (`Path`): without a suffix.
        labels (`tuple[str, str]`): of the two axes.
        caption (`str`): goes below, wrapped.
        **axes: of `_plot`: `xscale`, `ticks`, and `level`, a horizontal line and its name.
    """
    import matplotlib
    from matplotlib.figure import Figure

    lines = textwrap.wrap(caption, 70)
    columns = 1 if any(len(one.name) > 24 for one in series) else 2
    entries = len(series) + ("level" in axes)
    above, plot, below = 0.13 * -(-entries // columns) + 0.1, 1.85, 0.115 * len(lines) + 0.45
    high = above + plot + below
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(INCHES, high))
        ax = figure.add_axes((0.16, below / high, 0.81, plot / high), xlabel=labels[0], ylabel=labels[1])
        handles = _plot(ax, series, **axes)
        figure.legend(
            handles=handles, loc="upper center", ncols=columns, bbox_to_anchor=(0.53, 1.0), borderaxespad=0.2,
            handlelength=2.6, labelspacing=0.25, columnspacing=1.2,
        )  # fmt: skip
        figure.text(0.02, 0.06 / high, "\n".join(lines), fontsize=6.3, va="bottom", linespacing=1.25)
        return [_save(figure, path.with_name(f"{path.name}.{kind}"), **how) for kind, how in SAVED.items()]


def _plot(
    ax: Any, series: Sequence[Series], xscale: str = "linear", ticks: Sequence[float] = (), level: Any = None
) -> Any:
    """The lines with their error bars; what goes in the legend, in order."""
    handles = []
    for one in series:
        colour, marker, dashes = one.look
        errors = [
            [y - low for y, low in zip(one.y, one.low, strict=True)],
            [high - y for y, high in zip(one.y, one.high, strict=True)],
        ]
        style = {"color": colour, "marker": marker, "linestyle": dashes, "markeredgewidth": 0}
        handles.append(ax.errorbar(one.x, one.y, errors, label=one.name, elinewidth=0.6, **style))
    if level:
        style = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (1, 1.5)), "zorder": 1}
        handles.append(ax.axhline(level[0], label=level[1], **style))
    ax.set_xscale(xscale)
    ax.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    return handles


def _save(figure: Any, path: Path, **how: Any) -> Path:
    with whole(path) as part:
        figure.savefig(part, format=path.suffix[1:], **how)
    return path


def accuracy_figures(found: Sequence[Cell], out: Path) -> list[Path]:
    """Accuracy against the share of the training rows: a figure for each task, test set and model with two shares."""
    grouped: dict[tuple[str, str, int, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in found:
        if not cell.probe:
            grouped[cell.task, cell.test, cell.n, cell.model][cell.train_set].append(cell)
    written: list[Path] = []
    others: list[str] = []
    for (task, test, n, model), sets in sorted(grouped.items()):
        if all(len(line) < 2 for line in sets.values()):
            continue
        names = sorted(sets, key=lambda name: place(name, SETS))
        series = [share_series(name, sets[name], at - (len(names) - 1) / 2, others) for at, name in enumerate(names)]
        every = [cell for line in sets.values() for cell in line]
        sizes = {max(cell.train_rows for cell in line) for line in sets.values()}
        few, most = min(len(cell.ones) for cell in every), max(len(cell.ones) for cell in every)
        caption = (
            f"{model} trained on {task}, tested on {test} (n = {n:,}). Bars: Wilson 95% intervals over the test rows; "
            f"models a point: {few if few == most else f'{few} to {most}'}; in brackets: rows at 100%. "
            "Points of one share stand side by side."
        )
        if len(sizes) > 1:
            caption += " The sets differ in size: the same share is not the same number of rows."
        level = 100 * every[0].majority, f"majority class ({100 * every[0].majority:.1f})"
        where = out / f"accuracy-{slug(f'{task}-{test}-{model}')}"
        ticks = list(range(0, 101, 20))
        labels = "share of the training rows, %", "accuracy, %"
        written += draw(series, where, labels, caption, level=level, ticks=ticks)
    return written


def share_series(name: str, line: Sequence[Cell], aside: float, others: list[str]) -> Series:
    """One training set's points; `aside` keeps the bars of different sets from hiding each other."""
    most = max(cell.train_rows for cell in line)
    by_share = any(cell.fraction < 1 for cell in line)
    shares = ((cell.fraction if by_share else cell.train_rows / most, cell) for cell in line)
    points = sorted(shares, key=lambda one: one[0])
    return Series(
        f"{name} ({most:,})",
        look(name, others),
        [100 * share + 1.4 * aside for share, _ in points],
        [100 * cell.accuracy for _, cell in points],
        [100 * cell.interval[0] for _, cell in points],
        [100 * cell.interval[1] for _, cell in points],
    )


@dataclass(frozen=True)
class Made:
    """One run: who wrote it how, the formatting example, and its rows."""

    strategy: str
    writer: str
    example: Row
    rows: list[Row]


def drift_figures(runs: Sequence[str], embedding_model: str | None, out: Path) -> list[Path]:
    """Similarity to the formatting example against depth: a figure for each task."""
    tasks: dict[str, list[Made]] = defaultdict(list)
    for run in runs:
        with find(run).open() as journal:
            identity = journal.get("identity")
            task = Task.from_json(journal.get("task"))
            rows = list(kept_rows(journal, task))
            if rows and identity["example"]:
                made = Made(identity["strategy"], identity["model"], task.seed_row(identity["example"]), rows)
                tasks[task.name].append(made)
    return [path for name, made in sorted(tasks.items()) for path in _drift(name, made, embedding_model, out)]


def _drift(task: str, made: Sequence[Made], embedding_model: str | None, out: Path) -> list[Path]:
    lines: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for one, alike in zip(made, similarities(made, embedding_model), strict=True):
        lines[one.strategy, one.writer] += [(row.depth, x) for row, x in zip(one.rows, alike, strict=True)]
    writers, others = {writer for _, writer in lines}, []
    series = []
    for name, writer in sorted(lines, key=lambda key: (place(key[0], SETS), key[1])):
        points = lines[name, writer]
        named = name if len(writers) == 1 else f"{name} {writer}"
        line = drift_series(f"{named} (n = {len(points):,})", look(named, others), points)
        # On a logarithmic axis a step aside is a factor.
        series.append(replace(line, x=[x * 1.025 ** len(series) for x in line.x]))
    how = "TF-IDF of words, which sees shared words and not meaning"
    if embedding_model:
        how = f"embeddings of {Path(embedding_model).name}"
    runs = f"{len(made)} runs, one line a strategy. " if len(made) > len(lines) else ""
    caption = (
        f"{task}: similarity of created rows to the formatting example of their run, by {how}. {runs}Points: means; "
        "bars: 95% intervals of the mean; n: rows."
    )
    deepest = max(max(one.x) for one in series)
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if tick <= deepest * 1.2]
    kind = "cosine similarity" if embedding_model else "TF-IDF cosine similarity"
    labels = "depth (calls away from the formatting example)", kind
    return draw(series, out / f"drift-{slug(task)}", labels, caption, xscale="log", ticks=ticks)


def similarities(made: Sequence[Made], embedding_model: str | None) -> list[list[float]]:
    """Cosine similarity of each run's rows to its formatting example.

    Args:
        made (`Sequence[Made]`): runs of one task.
        embedding_model (`str`, *optional*): of sentence-transformers; without one TF-IDF, fitted on all of the rows.
    """
    if embedding_model:
        return [asyncio.run(_embedded(Similarity(embedding_model), one)) for one in made]
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [["\n".join(row.inputs) for row in (one.example, *one.rows)] for one in made]
    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit([text for part in texts for text in part])
    found = []
    for part in texts:
        vectors = words.transform(part)
        found.append((vectors[1:] @ vectors[0].T).toarray().ravel().tolist())
    return found


async def _embedded(model: Similarity, one: Made) -> list[float]:
    alike: dict[str, float] = {}
    for at in range(0, len(one.rows), 1000):
        alike |= await model.compare(one.example, one.rows[at : at + 1000])
    return [alike[row.id] for row in one.rows]


def drift_series(name: str, looks: tuple[str, str, str], points: Sequence[tuple[int, float]]) -> Series:
    """Mean similarity by depth; depths that many are taken together, with about as many rows in each."""
    by_depth: dict[int, list[float]] = defaultdict(list)
    for depth, alike in points:
        by_depth[depth].append(alike)
    size = len(points) / MOST_POINTS if len(by_depth) > MOST_POINTS else 0
    bins: list[list[tuple[int, float]]] = [[]]
    for depth in sorted(by_depth):
        if bins[-1] and len(bins[-1]) >= size:
            bins.append([])
        bins[-1] += [(depth, alike) for alike in by_depth[depth]]
    means = [fmean(alike for _, alike in one) for one in bins]
    errors = [Z * stdev(alike for _, alike in one) / sqrt(len(one)) if len(one) > 1 else 0.0 for one in bins]
    return Series(
        name,
        looks,
        [fmean(depth for depth, _ in one) for one in bins],
        means,
        [mean - error for mean, error in zip(means, errors, strict=True)],
        [mean + error for mean, error in zip(means, errors, strict=True)],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", metavar="DIR", help="result files: accuracy against the share of the data")
    parser.add_argument("--model", help="only this trained model")
    parser.add_argument("--runs", nargs="+", metavar="RUN", help="drift: digests, names, folders, or `all`")
    parser.add_argument("--embedding-model", metavar="NAME", help="of sentence-transformers; without it TF-IDF")
    parser.add_argument("--out", metavar="DIR", default="figures", help="default: figures")
    args = parser.parse_args(argv)
    try:
        found = cells(results.read_all(args.results)) if args.results else []
        runs = [digest for digest, _, _ in all_runs()] if args.runs == ["all"] else args.runs or []
        written = accuracy_figures([cell for cell in found if args.model in (None, cell.model)], Path(args.out))
        written += drift_figures(runs, args.embedding_model, Path(args.out))
        if not written:
            raise UsageError("nothing to draw: results with two shares of the data (--results DIR), or --runs RUN ...")
        out(*map(str, written))
    except LLMCreatedError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
