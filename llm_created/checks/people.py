"""What people said of rows, as an emission check: it makes no calls, and leaves rows that nobody looked at alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..runs.human import KIND, LABEL, UNSURE, Said, latest
from ..runs.journal import FILE_NAME, Journal
from ..runs.settings import Settings
from ..tasks.task import Reason, Row
from ..utils.text import digest, shorten
from .judge import Verdict

# A vote against the label that a row has, and for none in particular.
_NOT_THIS = -1


class People:
    """Comes to a verdict on the rows that people looked at; what each said last counts.

    - `"drop"`: a row is emitted if more than half of those who were sure hold its label right.
    - `"relabel"`: a row gets the label that more than half of them hold right; without one it is left out.

    Args:
        rule (`str`): `"drop"` or `"relabel"`.
        said (`Iterable[Said]`): all that they said so far.

    Attributes:
        digest (`str`): of what they said: another answer, other rows.
    """

    def __init__(self, rule: str, said: Iterable[Said]) -> None:
        self.rule, self._by_row = rule, latest(said)
        told = ([one.row, one.by, one.verdict, one.label] for by in self._by_row.values() for one in by.values())
        self.digest = digest(sorted(told, key=str))

    @classmethod
    def of(cls, settings: Settings, journal: Journal) -> People | None:
        """The check that the settings ask for, if they do."""
        return None if settings.reviewed is None else cls(settings.reviewed, journal.said())

    @classmethod
    def so_far(cls, settings: Settings, folder: Path) -> People | None:
        """The same, of a run that may not have begun."""
        if settings.reviewed is None or not (folder / FILE_NAME).exists():
            return None if settings.reviewed is None else cls(settings.reviewed, ())
        with Journal(folder) as journal:
            return cls.of(settings, journal)

    def verdict(self, row: Row) -> Verdict | None:
        """What they make of the row, `None` where nobody was sure of anything."""
        votes = [vote_on(row, one) for one in self._by_row.get(row.id, {}).values()]
        sure = [vote for vote in votes if vote is not None]
        if not sure:
            return None
        judged = _most(sure)
        told = json.dumps([None if vote == _NOT_THIS else vote for vote in votes])
        if judged == row.answer:
            return Verdict(row, None, judged, told)
        if self.rule == "relabel" and judged is not None:
            return Verdict(row._replace(answer=judged), None, judged, told)
        return Verdict(row, Reason(KIND, _against(row, judged)), judged, told)


def _against(row: Row, judged: int | None) -> str:
    given = repr(shorten(row.options[row.answer], 40))
    if judged is None:
        return f"people do not hold {given} right"
    return f"given {given}, and people say {shorten(row.options[judged], 40)!r}"


def _most(votes: Sequence[int]) -> int | None:
    """The option that more than half of these are for."""
    answer, count = Counter(votes).most_common(1)[0]
    return answer if 2 * count > len(votes) and answer != _NOT_THIS else None


def vote_on(row: Row, said: Said) -> int | None:
    """The option that a person holds right for a row as it stands, a number below 0 if not the row's own, `None` if
    what they said tells nothing of it."""
    if said.verdict == UNSURE or (said.label is not None and said.label not in row.options):
        return None
    at = None if said.label is None else row.options.index(said.label)
    if said.verdict == LABEL:
        return at
    # Of another label than the row has now, that it is wrong says nothing.
    return _NOT_THIS if at in (None, row.answer) else None
