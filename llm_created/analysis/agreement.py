"""What judges made of the labels that rows were given: the table of given against judged, and their agreement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..evaluation.scores import wilson
from ..runs import human
from ..runs.journal import Journal, Judgement
from ..tasks.task import Row, Task

NO_MAJORITY = "no majority"
OTHER = ("as given", "another option")
NAMES = {
    "self_correct": "self-correction",
    "verify": "verification",
    "likelihood": "likelihood",
    human.KIND: "people's review",
}


class JudgedTable(NamedTuple):
    """Given against judged labels, by one judge.

    Attributes:
        kind (`str`): `"verify"`, `"likelihood"` or `"self_correct"`; `"human"`, and of a drawn sample `"audit"`.
        given (`list[str]`): the labels that rows were given; one entry where each row has its own options.
        judged (`list[str]`): the labels that they were judged to have, the last for no majority.
        counts (`list[list[int]]`): rows, by given and judged.
        agreed (`int`): rows that were judged to have the answer they were given.
        n (`int`): rows on which a majority was for some answer.
        low, high (`float`): Wilson 95 % interval of `agreed / n`.
        unanimous (`int`): rows on which all votes agreed.
        undecided (`int`): rows without a majority.
        votes (`int`): votes in all.
        unread (`int`): votes that named no option.
        name (`str`): what it is called, where its kind does not say it.
        words (`str`): the agreement in one line, where it is not said as a judge's.
    """

    kind: str
    given: list[str]
    judged: list[str]
    counts: list[list[int]]
    agreed: int
    n: int
    low: float
    high: float
    unanimous: int
    undecided: int
    votes: int
    unread: int
    name: str = ""
    words: str = ""

    def plain(self) -> dict[str, Any]:
        """The table as plain JSON."""
        return self._asdict() | {"name": self.name or NAMES[self.kind], "said": self.said()}

    def said(self) -> str:
        """The agreement in one line, with n and interval."""
        if self.words or self.kind == human.KIND:
            return self.words or self._of_people()
        unread = f"; {self.unread:,} of {self.votes:,} votes named no option" if self.unread else ""
        if not self.n:
            return f"{NAMES[self.kind]} came to no majority on any of {self.undecided:,} rows{unread}"
        share = f"{self.agreed / self.n:.1%}, 95 % interval {100 * self.low:.1f}-{100 * self.high:.1f}"
        without = f"; {self.undecided:,} without a majority" if self.undecided else ""
        return f"{NAMES[self.kind]} agrees with {self.agreed:,} of {self.n:,} given labels ({share}){without}{unread}"

    def _of_people(self) -> str:
        """Which rows they looked at is their choice, and so no sample of the others."""
        total = self.n + self.undecided
        without = f"; on {self.undecided:,} they hold no label right" if self.undecided else ""
        return f"people looked at {total:,} rows, and hold the given label of {self.agreed:,} right{without}"

    def differing(self) -> list[tuple[str, str, int]]:
        """The cells where judged is not given, the most frequent first: label given, label judged, rows."""
        cells = [
            (self.given[row], self.judged[column], count)
            for row, counts in enumerate(self.counts)
            for column, count in enumerate(counts)
            if count and column != row
        ]
        return sorted(cells, key=lambda cell: -cell[2])


def judged_tables(journal: Journal, task: Task) -> list[JudgedTable]:
    """A table for each judge that the run has, over all rows that were judged, emitted or not."""
    kinds = {one.kind for one in journal.judgements()}
    return [
        table(kind, task, ((one.given, one.judged, one.votes) for one in journal.judgements() if one.kind == kind))
        for kind in NAMES
        if kind in kinds
    ]


class Verdicts:
    """What judges said of each row, in words.

    Args:
        journal (`Journal`): the run's journal, open.
    """

    def __init__(self, journal: Journal) -> None:
        checks = journal.get("emission") or {}
        self._rules = dict.fromkeys(NAMES, checks.get("verify_rule")) | {"self_correct": checks.get("self_correct")}
        self._rules[human.KIND] = checks.get("reviewed")
        self._journal, self._any = journal, next(journal.judgements(), None) is not None

    def of(self, row: Row) -> list[list[Any]]:
        """What they said of a row, as it was written.

        Returns:
            `list[list]`: for each judge, in the order in which they saw it: its name, the answer given, the answer
            judged or `None`, the votes (answers and how many), whether the row got another answer, the explanation.
        """
        said: list[list[Any]] = []
        for one in self._in_order(row.id):
            votes = Counter(None if vote is None else row.options[vote] for vote in json.loads(one.votes))
            judged = None if one.judged is None else row.options[one.judged]
            given, counts = row.options[one.given], list(map(list, votes.most_common()))
            changed = judged not in (None, given) and self._rules[one.kind] == "relabel"
            said.append([NAMES[one.kind], given, judged, counts, changed, one.detail])
        return said

    def _in_order(self, row_id: str) -> list[Judgement]:
        # Without judges there is nothing to look for, row after row.
        found = {one.kind: one for one in self._journal.judgements_of(row_id)} if self._any else {}
        return [found[kind] for kind in NAMES if kind in found]


def table(kind: str, task: Task, judged: Iterable[tuple[int, int | None, str]]) -> JudgedTable:
    """The table of one judge.

    Args:
        kind (`str`): the judge's.
        task (`Task`): names the labels; where each row has its own options, rows count as judged as given or not.
        judged (`Iterable[tuple[int, int | None, str]]`): for each row the index given, the index judged, the votes.
    """
    labels = list(task.labels or OTHER)
    cells: Counter[tuple[int, int]] = Counter()
    agreed = unanimous = total = unread = 0
    for given, answer, told in judged:
        same, votes = answer == given, json.loads(told)
        agreed += same
        unanimous += len(set(votes)) == 1
        total += len(votes)
        unread += votes.count(None)
        column = len(labels) if answer is None else answer if task.labels else int(not same)
        cells[given if task.labels else 0, column] += 1
    names = list(task.labels or OTHER[:1])
    counts = [[cells[row, column] for column in range(len(labels) + 1)] for row in range(len(names))]
    undecided = sum(row[-1] for row in counts)
    n = cells.total() - undecided
    low, high = wilson(agreed, n) if n else (0.0, 1.0)
    shown = (names, [*labels, NO_MAJORITY], counts)
    return JudgedTable(kind, *shown, agreed, n, low, high, unanimous, undecided, total, unread)
