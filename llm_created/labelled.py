"""What became of rows that a model labelled: labels by majority, a file with them, and how far the votes agree."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from . import judged
from .answers import read_answer
from .client import Reply
from .console import columns, fit, left, wrap
from .errors import StoppedShort, UsageError
from .journal import Journal
from .judge import majority
from .results import write_text
from .show import cost_lines
from .task import Row, Task
from .text import clean, digest, fold
from .unlabelled import Case

WIDTH = 80


class Labelled(NamedTuple):
    """A row, and what the votes say of it.

    Attributes:
        row (`Row`): its answer says nothing.
        label (`int`, *optional*): what more than half of the votes are for, as an index into the row's options.
        votes (`tuple[int | None, ...]`): the same for each vote, `None` where it names no option, or several.
        explanation (`str`): that of the first vote for the label, where one was asked for.
        unread (`tuple[str, ...]`): why the votes that are `None` name no option.
    """

    row: Row
    label: int | None
    votes: tuple[int | None, ...]
    explanation: str = ""
    unread: tuple[str, ...] = ()


class Steadiness(NamedTuple):
    """How far the votes on a row agree with each other, over rows: how steady a model is, not how right.

    Attributes:
        n (`int`): rows.
        unanimous (`int`): those on which all votes are the same.
        pairwise (`float`): the share of the pairs of votes on a row that agree, averaged over rows.
        kappa (`float`, *optional*): Fleiss' kappa; `None` where each row has its own options, or all votes are for
            one label.
    """

    n: int
    unanimous: int
    pairwise: float
    kappa: float | None


def of_replies(row: Row, replies: Sequence[Reply]) -> Labelled:
    """What the replies say of a row."""
    read = [read_answer(reply, row.options) for reply in replies]
    votes = tuple(vote for vote, _ in read)
    label = majority(votes)
    said = next((said for vote, said in read if said and vote == label), "") if label is not None else ""
    unread = (reply.reason or "unclear" for reply, vote in zip(replies, votes, strict=True) if vote is None)
    return Labelled(row, label, votes, clean(said), tuple(unread))


def steadiness(counts: Sequence[Sequence[int]], same_labels: bool = True) -> Steadiness | None:
    """Agreement among votes, from the table that has a line for each row and a column for each label.

    With n votes on each of N rows, n_ij of them on row i for label j, the pairwise agreement is the mean over rows of
    sum_j n_ij (n_ij - 1) / (n (n - 1)). Kappa is (P - E) / (1 - E), where P is that mean and E = sum_j p_j^2 what is
    expected by chance, p_j being the share of all votes that are for label j (Fleiss, 1971,
    https://doi.org/10.1037/h0031619).

    Args:
        counts (`Sequence[Sequence[int]]`): the table; all its lines have the same sum, two or more.
        same_labels (`bool`, defaults to `True`): whether a column means the same in every row; without, no kappa.

    Returns:
        `Steadiness`: the figures, or `None` where there is no row.
    """
    if not counts:
        return None
    n, rows = sum(counts[0]), len(counts)
    pairs = sum(count * (count - 1) for line in counts for count in line)
    pairwise = pairs / (n * (n - 1) * rows)
    unanimous = sum(max(line) == n for line in counts)
    if not same_labels:
        return Steadiness(rows, unanimous, pairwise, None)
    chance = sum((sum(column) / (n * rows)) ** 2 for column in zip(*counts, strict=True))
    return Steadiness(rows, unanimous, pairwise, (pairwise - chance) / (1 - chance) if chance < 1 else None)


def text(
    task: Task, cases: Sequence[Case], found: Mapping[int, Labelled | None], short: StoppedShort | None = None
) -> str:
    """The file: every record in its order and as it was, with the task's answer field as the votes say.

    An answer that a record came with is kept as `given`. A record without a label has null there, and a `reason`; a
    line that is no object is kept as `unread`. Where a record has a field of one of these names, ours begins with
    `llm_`.
    """
    lines = (_record(task, case, found.get(place), short) for place, case in enumerate(cases))
    return "".join(f"{_line(one)}\n" for one in lines)


def _line(record: Mapping[str, Any]) -> str:
    line = json.dumps(record, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON carries as an escape alone
        return json.dumps(record, default=str)
    return line


def _record(task: Task, case: Case, one: Labelled | None, short: StoppedShort | None) -> dict[str, Any]:
    if not isinstance(case.record, Mapping):
        assert case.reason is not None
        return {"unread": case.record, "reason": f"{case.reason.code}: {case.reason.detail}"}
    record: dict[str, Any] = dict(case.record)
    given = [record.pop(name) for name in list(record) if isinstance(name, str) and fold(name) == fold(task.answer)]
    taken = {fold(name) for name in record if isinstance(name, str)}

    def add(name: str, value: Any) -> None:
        while fold(name) in taken:
            name = f"llm_{name}"
        record[name] = value

    record[task.answer] = None
    if given and given[-1] not in (None, ""):
        add("given", given[-1])
    if one is not None:
        options, votes = one.row.options, Counter(vote for vote in one.votes if vote is not None)
        record[task.answer] = None if one.label is None else options[one.label]
        add("votes", {options[vote]: votes[vote] for vote in sorted(votes)})
        add("agreement", None if one.label is None else round(votes[one.label] / len(one.votes), 4))
        if one.explanation:
            add("explanation", one.explanation)
    if record[task.answer] is None:
        add("reason", _why(case, one, short))
    return record


def _why(case: Case, one: Labelled | None, short: StoppedShort | None) -> str:
    if case.reason is not None:
        return f"{case.reason.code}: {case.reason.detail}"
    return f"not labelled yet: {short}" if one is None else f"no majority of {len(one.votes)} votes"


def report(
    task: Task, cases: Sequence[Case], found: Mapping[int, Labelled | None], votes: int, journal: Journal
) -> Iterator[str]:
    """What a person is told at the end, in lines of at most 80 characters."""
    done = [(cases[place], one) for place, one in found.items() if one is not None]
    labelled = sum(one.label is not None for _, one in done)
    stages = [f"{len(cases):,} rows read", f"{labelled:,} labelled", f"{len(done) - labelled:,} without a majority"]
    stages.append(f"{len(cases) - len(found):,} not readable")
    if len(found) > len(done):
        stages.append(f"{len(found) - len(done):,} not labelled yet")
    yield from wrap(" · ".join(stages), WIDTH, then="  ")
    yield from _reasons(cases, [one for _, one in done])
    yield from _distribution(task, [one for _, one in done])
    if votes > 1:
        yield from _steady(task, [one for _, one in done])
    given = [(case.given, one.label, json.dumps(one.votes)) for case, one in done if case.given is not None]
    if given:
        first, *table = judged.lines(judged.table("verify", task, given))
        yield from ("", *wrap(first, WIDTH, then="  "), *(line[:WIDTH] for line in table))
    stray = [case for case in cases if case.stray]
    if stray:
        said = f"{len(stray):,} given answers are none of the options, e.g. {stray[0].stray!r} in record"
        yield from wrap(f"{said} {stray[0].number}", WIDTH, then="  ")
    yield from cost_lines(journal, labelled, WIDTH)


def _reasons(cases: Sequence[Case], done: Sequence[Labelled]) -> Iterator[str]:
    unreadable = [case for case in cases if case.reason is not None]
    for code, count in Counter(case.reason.code for case in unreadable if case.reason).most_common():
        first = next(case for case in unreadable if case.reason and case.reason.code == code)
        assert first.reason is not None
        yield fit(f"{count:,} {code}, e.g. record {first.number}: {first.reason.detail}", WIDTH - 2).join(("  ", ""))
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
    wide = max(columns(fit(name, 20)) for name in names)
    yield from ("", "labels" if task.labels else "positions of the labels among the options")
    for place in places:
        share = counts[place] / counts.total()
        yield f"  {left(fit(names[place], 20), wide)} {counts[place]:>6,} {share:>6.1%} {'█' * round(20 * share)}"


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


def refuse(journal: Journal, path: Path, out: Path) -> None:
    """Leave a file alone that is not as this labelling wrote it: it is another's, or somebody has worked on it."""
    if not out.exists():
        return
    known = journal.get("written", {}).get(_of(out), {})
    if known.get("of") == _of(path) and out.is_file() and _content(out.read_bytes()) in known["contents"]:
        return
    raise UsageError(f"{str(out)!r} is there already, and not as this labelling wrote it: give another --out FILE")


def write(journal: Journal, path: Path, out: Path, text: str) -> None:
    """Write the file, and note down what it holds."""
    before = [_content(out.read_bytes())] if out.exists() else []
    # Noted down before the file is there: a process that dies in between leaves one of the two.
    now = {"of": _of(path), "contents": [*before, _content(text.encode())]}
    journal.set("written", journal.get("written", {}) | {_of(out): now})
    write_text(out, text)


def _of(path: Path) -> str:
    return digest(str(path.resolve()))


def _content(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
