"""Runs side by side at equal calls, tokens, dollars or rows: what each method gave for the same."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..analysis.ledger import Ledger
from ..errors import UsageError
from ..runs.settings import DEMO
from ..utils.console import columns, fit, left, right, wrap
from . import markdown

RESULTS = "results"
_WIDTH, _LABEL = 80, 24
_BESIDE = 5  # runs that are readable beside each other in 80 columns
_COSTS = (
    ("calls", "calls", "{:,.0f}"),
    ("· of them votes", "votes", "{:,.0f}"),
    ("tokens", "tokens", "{:,.0f}"),
    ("dollars", "dollars", "{:,.4f}"),
    ("rows asked", "asked", "{:,}"),
    ("kept rows", "kept", "{:,}"),
    ("kept per call", "kept_per_call", "{:.2f}"),
    ("tokens per kept row", "tokens_per_row", "{:,.0f}"),
)
_TEXTS = (
    ("words in a row", "mean_words", "{:.1f}"),
    ("vocabulary", "vocabulary", "{:,}"),
    ("distinct-2", "distinct_2", "{:.3f}"),
    ("distinct-3", "distinct_3", "{:.3f}"),
    ("INGF (3-grams)", "ingf", "{:.3f}"),
    ("APS", "aps_overall", "{:.3f}"),
    ("APS of one label", "aps_intra", "{:.3f}"),
    ("APS of two labels", "aps_inter", "{:.3f}"),
)
_Line = tuple[str, list[list[str]]]


def same_task(runs: Sequence[Ledger]) -> bool:
    """Whether all runs are of one task."""
    return all(run.identity.get("task") == runs[0].identity.get("task") for run in runs)


def equal_budget(runs: Sequence[Ledger], at: str, wanted: float | None) -> float:
    """What every run is cut to: what is wanted, or the smallest total."""
    if wanted is not None and not wanted > 0:
        raise UsageError(f"`budget` must be above 0, not {wanted:g}")
    smallest = min([_total(run, at, wanted) for run in runs])
    budget = smallest if wanted is None else wanted
    return max(int(budget), 1) if at == "rows" else budget


def _total(run: Ledger, at: str, wanted: float | None) -> float:
    """All that a run used, if that is known and enough."""
    total, name = run.total(at), f"the run {run.about['run']}"
    if math.isnan(total):
        raise UsageError(f"the price of {name} is not known (`price` of create): compare `at` tokens")
    if not total:
        raise UsageError(f"{name} {'was free' if at == 'dollars' else f'has no {at}'}: compare `at` calls")
    if wanted is not None and wanted > total:
        raise UsageError(f"`budget` {wanted:g}: {name} has {amount(at, total)}; give no more, or grow that run")
    return total


def amount(at: str, value: float) -> str:
    """So much of an axis, in words."""
    return f"${value:,.4f}" if at == "dollars" else f"{value:,.0f} {at}"


def told(runs: Sequence[Ledger], found: Sequence[dict[str, Any]], fewest: int) -> Iterator[str]:
    """What a reader must know before two cells are held against each other, one line each."""
    yield from _unlike(runs)
    for note, of in _by_run(found, fewest).items():
        yield f"{', '.join(of)}: {note}"
    if any(one["votes"] for one in found):
        yield "calls and tokens hold the votes on labels, in proportion to the rows that they were on"
    if not fewest:
        yield "the texts are not compared: a run has no rows at this budget"
    if any(one["scores"] for one in found):
        yield "accuracies are of models trained on as many rows as stand beside them, whatever `at` says"


def _unlike(runs: Sequence[Ledger]) -> Iterator[str]:
    """In what the runs are not alike."""
    if not same_task(runs):
        names = ", ".join(sorted({str(run.about["task"]) for run in runs}))
        yield f"the runs are of different tasks ({names}): labels and scores are left out, texts differ by nature"
    elif len({json.dumps(_shown(run.identity)) for run in runs if run.identity.get("example")}) > 1:
        yield "the runs began from different formatting examples"


def _shown(identity: Mapping[str, Any]) -> list[Any]:
    return [identity["example"], *identity.get("more_examples", ())]


def _by_run(found: Sequence[dict[str, Any]], fewest: int) -> dict[str, list[str]]:
    """What must be known of single runs, and of which."""
    notes: dict[str, list[str]] = {}
    for one in found:
        again = one["texts"]["rows"]
        told = {
            "by the demo writer, from small tables; its figures say nothing about a method": one["model"] == DEMO,
            "tokens are estimates, the server did not say how many it used": one["estimated"],
            f"{one['uncounted']} more calls are not counted (retries, lost, or read by no turn)": one["uncounted"],
            f"only {again} of {fewest} rows could be read again": again != fewest,
        }
        for note in filter(told.get, told):
            notes.setdefault(note, []).append(one["run"])
    return notes


def lines_of(found: Sequence[dict[str, Any]], same: bool, budget: str, fewest: int) -> Iterator[_Line]:
    """The table, line by line: what a line is, and for each run the parts of its cell; a heading has no cells."""

    yield "run", [[one["run"], *([f"({one['name']})"] if one["name"] else [])] for one in found]
    yield _figure(found, "task", "task", "{}")
    names = [dict.fromkeys(str(one[name]) for name in ("method", "strategy") if one.get(name)) for one in found]
    yield "method", [", ".join(of).split(" ") for of in names]
    yield _figure(found, "model", "model", "{}")
    yield f"at {budget} each", []
    yield from _cost_lines(found)
    if same:
        yield from _label_lines(found)
    if fewest:
        yield f"on the first {fewest:,} rows of each", []
        yield from _text_lines(found, same)
    yield from _score_lines(found)


def _figure(found: Sequence[dict[str, Any]], label: str, name: str, form: str, of: str = "") -> _Line:
    values = [(one[of] or {}).get(name) if of else one[name] for one in found]
    return label, [["-" if value is None else form.format(value)] for value in values]


def _cost_lines(found: Sequence[dict[str, Any]]) -> Iterator[_Line]:
    """What it took, what was kept, and why the rest was not."""
    votes = any(one["votes"] for one in found)
    yield from (_figure(found, *line) for line in _COSTS if votes or line[1] != "votes")
    yield "rejected", [[f"{sum(one['reasons'].values()):,}"] for one in found]
    reasons = sum((Counter(one["reasons"]) for one in found), Counter[str]())
    for code, _ in reasons.most_common():
        yield f"· {code}", [[f"{one['reasons'].get(code, 0):,}"] for one in found]


def _label_lines(found: Sequence[dict[str, Any]]) -> Iterator[_Line]:
    yield _figure(found, "commonest answer", "label", "{}", of="balance")
    yield _figure(found, "· its share", "largest", "{:.1%}", of="balance")
    yield _figure(found, "entropy of answers, 0–1", "entropy", "{:.3f}", of="balance")
    for kind in sorted({kind for one in found for kind in one["agreement"]}):
        yield f"agreement: {kind}", [_agreed(one["agreement"].get(kind)) for one in found]


def _text_lines(found: Sequence[dict[str, Any]], same: bool) -> Iterator[_Line]:
    for line in _TEXTS if same else [line for line in _TEXTS if line[1] not in ("aps_intra", "aps_inter")]:
        if any(one["texts"].get(line[1]) is not None for one in found):
            yield _figure(found, *line, of="texts")


def _agreed(entry: dict[str, Any] | None) -> list[str]:
    if not entry:
        return ["-"]
    undecided = [f"{entry['undecided']} undecided"] if entry["undecided"] else []
    return [*(_interval(entry, "share") if entry["n"] else ["-"]), *undecided]


def _interval(entry: dict[str, Any], name: str) -> list[str]:
    return [f"{entry[name]:.1%}", f"{100 * entry['low']:.1f}–{100 * entry['high']:.1f}", f"n {entry['n']:,}"]


def _score_lines(found: Sequence[dict[str, Any]]) -> Iterator[_Line]:
    """Accuracies, one line for each test set, model, seed and number of training rows: those alone stand together."""
    cells: dict[tuple[Any, ...], dict[int, list[str]]] = {}
    for at, one in enumerate(found):
        for score in one["scores"]:
            mixed = score["train_set"] if "+" in score["train_set"] else ""
            line = score["distribution"] != "in", score["test"], score["model"], score["train_rows"], mixed
            more = ["constant"] * score["constant"] + [f"{score['leaked']:,} leaked"] * bool(score["leaked"])
            cells.setdefault((*line, score["seed"]), {})[at] = [*_interval(score, "accuracy"), *more]
    if cells:
        yield "accuracy of models trained on the runs, with 95 % intervals", []
    for (ood, test, model, rows, mixed, seed), by_run in sorted(cells.items(), key=lambda cell: str(cell[0])):
        about = (
            f"{test} ({'OOD' if ood else 'ID'}), {model}, {rows or '?'} rows{mixed and f' of {mixed}'}, seed {seed}"
        )
        yield about, [by_run.get(at, ["-"]) for at in range(len(found))]


def as_text(lines: Sequence[_Line], notes: Sequence[str]) -> Iterator[str]:
    """For a terminal of 80 columns; more than five runs are more than one table."""
    runs = max(len(cells) for _, cells in lines)
    for start in range(0, runs, _BESIDE):
        wide = (_WIDTH - _LABEL) // min(runs, _BESIDE)
        for label, cells in lines:
            if not cells:
                yield from ("", fit(label, _WIDTH))
                continue
            columns = [_wrapped(parts, wide - 1) for parts in cells[start : start + _BESIDE]]
            columns.insert(0, wrap(label, _LABEL, then="  "))
            for first, *others in zip_longest(*columns, fillvalue=""):
                yield (left(first, _LABEL) + "".join(right(part, wide) for part in others)).rstrip()
        yield ""
    for note in notes:
        yield from wrap(fit(note, 400), _WIDTH, then="  ")


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """A cell in one line if it fits, else its parts below each other."""
    whole = fit(" ".join(parts), 400)
    if columns(whole) <= width:
        return [whole]
    return [line for part in parts for line in wrap(fit(part, 200), width)]


def as_markdown(lines: Sequence[_Line], notes: Sequence[str]) -> Iterator[str]:
    """A table and a list, for a README; every text in it is shown letter by letter."""
    runs = max(len(cells) for _, cells in lines)
    for at, (label, cells) in enumerate(lines):
        shown = [markdown.inline(" ".join(parts)) for parts in cells] or [""] * runs
        label = markdown.inline(label)
        yield f"| {label if cells else f'**{label}**'} | {' | '.join(shown)} |"
        if not at:
            yield "|---" + "|--:" * runs + "|"
    yield from ("", *(f"- {markdown.inline(note)}" for note in notes)) if notes else ()
