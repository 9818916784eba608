"""A labelling in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ..analysis import agreement
from ..checks.judge import Judge
from ..labelling.file import column
from ..labelling.records import Case
from ..labelling.votes import Labelled, steadiness
from ..runs.journal import Journal
from ..tasks.task import Task
from ..utils.console import fit, wrap
from . import terminal
from .outputs import cost_lines
from .table import bars

WIDTH = 80


def report(
    task: Task, cases: Sequence[Case], found: Mapping[int, Labelled | None], judge: Judge, journal: Journal
) -> Iterator[str]:
    """What a person is told at the end, in lines of at most 80 characters."""
    done = [(cases[place], one) for place, one in found.items() if one is not None]
    labelled = sum(one.label is not None for _, one in done)
    without = "a label" if judge.kind == "likelihood" else "a majority"
    stages = [f"{len(cases):,} rows read", f"{labelled:,} labelled", f"{len(done) - labelled:,} without {without}"]
    stages.append(f"{len(cases) - len(found):,} not readable")
    if len(found) > len(done):
        stages.append(f"{len(found) - len(done):,} not labelled yet")
    yield from wrap(" · ".join(stages), WIDTH, then="  ")
    yield from _reasons(cases, [one for _, one in done])
    yield from _distribution(task, [one for _, one in done])
    if judge.votes > 1:
        yield from _steady(task, [one for _, one in done])
    yield from _beside_given(task, cases, done, judge)
    yield from cost_lines(journal, labelled, WIDTH)


def _beside_given(
    task: Task, cases: Sequence[Case], done: Sequence[tuple[Case, Labelled]], judge: Judge
) -> Iterator[str]:
    """Labels that the file has: how the model's agree with them, and where those are."""
    given = [(case.given, one.label, json.dumps(one.votes)) for case, one in done if case.given is not None]
    if given:
        kind = "likelihood" if judge.kind == "likelihood" else "verify"
        first, *table = terminal.judged_lines(agreement.table(kind, task, given))
        yield from ("", *wrap(first, WIDTH, then="  "), *(line[:WIDTH] for line in table))
    stray = [case for case in cases if case.stray]
    if given or stray:
        said = f"{len(given) + len(stray):,} labels of the file stay as they are: the model's are in the column"
        yield from wrap(f"{said} {column(task, cases)!r}", WIDTH, then="  ")
    if stray:
        said = f"{len(stray):,} given answers are none of the options, e.g. {stray[0].stray!r} in record"
        yield from wrap(f"{said} {stray[0].number}", WIDTH, then="  ")


def _reasons(cases: Sequence[Case], done: Sequence[Labelled]) -> Iterator[str]:
    unreadable = [(case.number, case.reason) for case in cases if case.reason is not None]
    for code, count in Counter(reason.code for _, reason in unreadable).most_common():
        number, first = next(one for one in unreadable if one[1].code == code)
        yield fit(f"{count:,} {code}, e.g. record {number}: {first.detail}", WIDTH - 2).join(("  ", ""))
    yield from _unread(done)


def _unread(done: Sequence[Labelled]) -> Iterator[str]:
    unread = Counter(chain.from_iterable(one.unread for one in done))
    if unread:
        whole = sum(len(one.votes) for one in done)
        by_reason = ", ".join(f"{reason} {count:,}" for reason, count in unread.most_common())
        said = f"{unread.total():,} of {whole:,} votes name no option: {by_reason}"
        yield from wrap(said, WIDTH, then="  ")


def _distribution(task: Task, done: Sequence[Labelled]) -> Iterator[str]:
    counts = Counter(one.label for one in done if one.label is not None)
    if not counts:
        return
    places = range(len(task.labels) if task.labels else max(counts) + 1)
    names = task.labels or [f"option {place + 1}" for place in places]
    yield from ("", "labels" if task.labels else "positions of the labels among the options")
    yield from bars({names[place]: counts[place] for place in places}, counts.total())


def _steady(task: Task, done: Sequence[Labelled]) -> Iterator[str]:
    read = [one for one in done if not one.unread]
    counts = [[one.votes.count(option) for option in range(len(one.row.options))] for one in read]
    figures = steadiness(counts, task.labels is not None)
    if figures is None:
        return
    kappa = "" if figures.kappa is None else f" · Fleiss' kappa {figures.kappa:.2f}"
    share = f"{figures.unanimous:,} of {figures.n:,} rows ({figures.unanimous / figures.n:.1%})"
    said = f"{len(read[0].votes)} votes a row agree on {share} · pairs of votes {figures.pairwise:.1%}{kappa}"
    yield from ("", *wrap(said, WIDTH, then="  "))
