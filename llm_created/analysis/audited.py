"""What people found who looked at rows: how many labels are right, by a drawn sample, and how far people agree."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, takewhile
from typing import NamedTuple

from ..runs import human
from ..runs.human import LABEL, UNSURE, WRONG, Said, latest
from ..runs.journal import Journal
from ..runs.kept import Place, at_place, places
from ..tasks.task import Row, Task
from .agreement import OTHER, JudgedTable
from .intervals import share

KIND = "audit"
_NONE_FITS, _UNSURE = "none fits", "unsure"
# Pairs of people whose agreement is told.
_PAIRS = 6


class Audit(NamedTuple):
    """What one person found in the sample that was drawn for them.

    Attributes:
        by (`str`): who it is.
        sample (`int`): rows of the sample.
        seen (`int`): how many of them they have looked at, in the order of the draw.
        right, wrong, unsure (`int`): of these, by what they said of the label.
        of (`int`): rows that there are.
        pairs (`list[tuple[int, str]]`): for each row that was looked at, the label given and what was said.
    """

    by: str
    sample: int
    seen: int
    right: int
    wrong: int
    unsure: int
    of: int
    pairs: list[tuple[int, str]]

    @property
    def sure(self) -> int:
        """Rows of which they were sure."""
        return self.right + self.wrong

    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of right labels among all rows."""
        return share(self.right, self.sure, self.of - self.unsure)

    def said(self, who: str = "one person") -> str:
        """What they found, in one line."""
        of = f"{self.seen:,} of {self.of:,} rows, drawn by hash and judged blind by {who}"
        unsure = f"; {self.unsure:,} of them unsure, which count for nothing" if self.unsure else ""
        rest = f"; {self.sample - self.seen:,} of the sample are still to be looked at" * (self.seen < self.sample)
        if not self.sure:
            return f"nothing is known of the labels yet ({of}{unsure}{rest})"
        low, high = self.interval()
        found = f"labels are right in {100 * self.right / self.sure:.3g} %"
        return f"{found}, 95 % interval {100 * low:.3g}-{100 * high:.3g} ({of}{unsure}{rest})"


class Pair(NamedTuple):
    """How far two people agree on the rows that both judged blind and were sure of.

    Attributes:
        one, two (`str`): who they are.
        n (`int`): rows.
        same (`int`): rows of which they said the same.
        kappa (`float`, *optional*): Cohen's; `None` where each said the same of every row.
    """

    one: str
    two: str
    n: int
    same: int
    kappa: float | None

    def said(self, one: str, two: str) -> str:
        """It in one line."""
        if not self.n:
            return f"{one} and {two} have no row in common of which both were sure"
        kappa = "Cohen's kappa is not defined: no answer varies" if self.kappa is None else f"kappa {self.kappa:.2f}"
        return f"{one} and {two} agree on {100 * self.same / self.n:.3g} % of {self.n:,} rows ({kappa})"


class Looked(NamedTuple):
    """What people said of the rows of a run.

    Attributes:
        people (`list[str]`): who said something, in the order of their names.
        rows (`int`): rows that somebody looked at.
        audits (`list[Audit]`): what each found whose sample was drawn.
        pairs (`list[Pair]`): how far they agree, two by two.
    """

    people: list[str]
    rows: int
    audits: list[Audit]
    pairs: list[Pair]

    def who(self, name: str) -> str:
        """A person as others are told of them: by number."""
        return "one person" if len(self.people) == 1 else f"person {self.people.index(name) + 1}"

    def said(self, applied: bool) -> list[str]:
        """How many rows were looked at, and how far people agree."""
        whose = "one person" if len(self.people) == 1 else f"{len(self.people)} people"
        rest = "audits are of the labels before that counted" if applied else "the check `reviewed` makes use of it"
        return [f"{whose} looked at {self.rows:,} rows; {rest}", *self.agreement()]

    def agreement(self) -> list[str]:
        """How far people agree, a line for each two."""
        return [one.said(self.who(one.one), self.who(one.two)) for one in self.pairs[:_PAIRS]]


def drawn(all_places: Sequence[Place]) -> list[Place]:
    """The rows of a run in the order in which audits draw them: by a hash of their ids, so that any beginning of it is
    a sample, a larger one begins with a smaller, and nobody chooses."""
    return sorted(all_places, key=lambda place: hashlib.blake2b(f"audit/{place.row_id}".encode()).digest())


def blind(said: Sequence[Said], by: str) -> dict[str, Said]:
    """What a person said last of each row without seeing its label, by row."""
    return {one.row: one for one in said if one.blind and one.by == by}


def sample_of(said: Sequence[Said], by: str) -> int:
    """The rows of the largest sample that a person has begun."""
    return max((one.sample for one in said if one.by == by), default=0)


def looked(journal: Journal, task: Task) -> Looked | None:
    """What people said of the rows of a run, `None` where nobody has looked at any."""
    said = journal.said()
    all_places = places(journal) if said else []
    known = {place.row_id for place in all_places}
    said = [one for one in said if one.row in known]
    if not said:
        return None
    people, order = human.people(said), drawn(all_places)
    rows = _Rows(journal, task)
    audits = [_audit(by, said, order, rows) for by in people if sample_of(said, by)]
    at = {place.row_id: place for place in all_places}
    pairs = [_pair(one, two, said, at, rows) for one, two in combinations(people, 2)]
    return Looked(people, len(latest(said)), audits, [pair for pair in pairs if pair.n])


class _Rows:
    """Rows as they were before people had their say, read when they are wanted."""

    def __init__(self, journal: Journal, task: Task) -> None:
        self._journal, self._task = journal, task
        self._read: dict[str, Row | None] = {}

    def at(self, place: Place) -> Row | None:
        if place.row_id not in self._read:
            before = place._replace(answer=place.given)
            self._read[place.row_id] = at_place(self._task, before, self._journal.text_of(place.turn.position))
        return self._read[place.row_id]

    def answer(self, place: Place, said: Said) -> str | None:
        """What a person said of a row: a label, or in words where each row has its own; `None` for unsure."""
        row = self.at(place)
        if row is None or said.verdict == UNSURE:
            return None
        if said.verdict == WRONG or said.label not in row.options:
            return _NONE_FITS
        if self._task.labels is not None:
            return said.label
        return OTHER[row.options.index(said.label) != place.given]


def _audit(by: str, said: Sequence[Said], order: Sequence[Place], rows: _Rows) -> Audit:
    own, sample = blind(said, by), min(sample_of(said, by), len(order))
    seen = list(takewhile(lambda place: place.row_id in own, order[:sample]))
    pairs: list[tuple[int, str]] = []
    counts: Counter[str] = Counter()
    for place in seen:
        row, answer = rows.at(place), rows.answer(place, own[place.row_id])
        given = None if row is None else _named(row, place, rows)
        counts["unsure" if answer is None else "right" if answer == given else "wrong"] += 1
        pairs.append((place.given, answer or _UNSURE))
    return Audit(by, sample, len(seen), counts["right"], counts["wrong"], counts["unsure"], len(order), pairs)


def _named(row: Row, place: Place, rows: _Rows) -> str | None:
    """The label that a row was given, as a person's answer that holds it right is called."""
    return rows.answer(place, Said(row.id, "", LABEL, row.options[place.given]))


def _pair(one: str, two: str, said: Sequence[Said], at: Mapping[str, Place], rows: _Rows) -> Pair:
    first, second = blind(said, one), blind(said, two)
    answers = ((rows.answer(at[row], first[row]), rows.answer(at[row], second[row])) for row in first if row in second)
    both = [(a, b) for a, b in answers if a is not None and b is not None]
    same = sum(a == b for a, b in both)
    return Pair(one, two, len(both), same, kappa(both))


def kappa(answers: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's answers; `None` where chance alone would have them agree on everything.

    Args:
        answers (`Sequence[tuple[str, str]]`): what the two said of each row.
    """
    n = len(answers)
    if not n:
        return None
    ones, twos = Counter(one for one, _ in answers), Counter(two for _, two in answers)
    chance = sum(ones[name] * twos[name] for name in ones) / n**2
    if chance == 1:
        return None
    return (sum(one == two for one, two in answers) / n - chance) / (1 - chance)


def audit_tables(found: Looked | None, task: Task) -> Iterator[JudgedTable]:
    """Given against said, a table for each audit that was begun."""
    for audit in found.audits if found else ():
        given = list(task.labels or OTHER[:1])
        labels = list(task.labels or OTHER)
        # What every row's options lack takes a column only where somebody said it.
        fits_none = any(answer == _NONE_FITS for _, answer in audit.pairs)
        said = [*labels, *[_NONE_FITS] * fits_none, _UNSURE]
        cells = Counter((row if task.labels else 0, answer) for row, answer in audit.pairs)
        counts = [[cells[row, answer] for answer in said] for row in range(len(given))]
        who = found.who(audit.by) if found else ""
        interval = audit.interval() if audit.sure else (0.0, 1.0)
        figures = (audit.right, audit.sure, *interval, audit.seen, audit.unsure, audit.seen, audit.unsure)
        yield JudgedTable(KIND, given, said, counts, *figures, f"audit by {who}", audit.said(who))
