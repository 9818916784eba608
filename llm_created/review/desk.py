"""What lies before a person who looks at rows: which row, what of it may be seen, and what they said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import Any

from ..analysis.audited import blind, drawn, looked
from ..errors import UsageError
from ..runs import human
from ..runs.human import LABEL, UNSURE, WRONG, Said
from ..runs.journal import Journal
from ..runs.kept import Place, at_place, places, rows_in
from ..tasks.task import Row, Task
from ..utils.text import shorten

# Values that a filter offers at most, and letters of one.
_CHOICES, _LETTERS = 60, 40
_MAX_SEARCH = 1_000


class Desk:
    """The rows of a run for one person.

    It holds where rows stand, and reads one when it is asked for. What other processes make of the run meanwhile
    changes nothing here: replies stay where they are.

    Args:
        journal (`Journal`): the run's journal, open to be read.
        task (`Task`): its task.
        person (`str`): who looks at them.
        blind (`bool`): labels are not shown.
        sample (`int`): rows of an audit, 0 for all rows in their order.

    Raises:
        UsageError: there is no row to look at.
    """

    def __init__(self, journal: Journal, task: Task, person: str, *, blind: bool, sample: int = 0) -> None:
        self.journal, self.task, self.person = journal, task, person
        self.blind, self.sample = blind or sample > 0, sample
        self._lock = Lock()
        self._requests = journal.places()
        self._places = drawn(places(journal))[:sample] if sample else places(journal)
        if not self._places:
            raise UsageError(
                f"the run {journal.folder.name[:8]} has no rows to look at yet: `llm-created create` makes them"
            )
        self._judged = _checks(journal) if not self.blind else {}
        self._values: list[str] = []
        self._texts: list[str] = []
        self._drawn = [self._drawn_for(place) for place in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def about(self) -> dict[str, Any]:
        """What the page is told once."""
        with self._lock:
            own = self._own()
            identity = self.journal.get("identity")
            return {
                "title": f"{self.task.name} · {identity['strategy']} · {identity['model']}",
                "run": self.journal.folder.name[:8],
                "person": self.person,
                "blind": self.blind,
                "sample": self.sample,
                "rows": len(self._places),
                "answered": sum(place.row_id in own for place in self._places),
                "first": next((at for at, place in enumerate(self._places) if place.row_id not in own), 0),
                "labels": self.task.labels,
                "answer": self.task.answer,
                "filters": [] if self.sample else [one for one in self._filters() if len(one["values"]) > 1],
            }

    def _own(self) -> dict[str, Said]:
        """What this person said last of each row, in the way that this page asks."""
        said = self.journal.said()
        return blind(said, self.person) if self.blind else {one.row: one for one in said if one.by == self.person}

    def _filters(self) -> Iterator[dict[str, Any]]:
        """What rows can be chosen by, where there is a choice: name, and values with how many rows have each."""
        if not self.blind and self.task.labels is not None:
            answers = Counter(place.answer for place in self._places)
            named = ((str(at), shorten(label, _LETTERS), answers[at]) for at, label in enumerate(self.task.labels))
            yield _filter("answer", "Answer", named)
        depths = Counter(place.turn.depth for place in self._places)
        yield _filter("depth", "Depth", ((str(depth), str(depth), depths[depth]) for depth in sorted(depths)))
        values = Counter(pair for pairs in self._drawn for pair in pairs).most_common(_CHOICES)
        self._values = [pair for pair, _ in values]
        yield _filter("drawn", "Drawn", ((str(at), shorten(pair, _LETTERS), n) for at, (pair, n) in enumerate(values)))
        checks = Counter(self._judged.get(place.row_id, "") for place in self._places)
        yield _filter("check", "Label check", ((name, name, n) for name, n in checks.items() if name))
        by = {"nobody": "by nobody yet", "me": "by me", "others": "by others"}
        by |= {} if self.blind else {"otherwise": "not held right"}
        yield {"name": "looked", "label": "Looked at", "values": [[name, said, None] for name, said in by.items()]}

    def _drawn_for(self, place: Place) -> list[str]:
        """What was drawn for a row; what differs from label to label would tell the label."""
        drawn_for = place.turn.drawn.items()
        return [f"{name}: {value}" for name, value in drawn_for if isinstance(value, str | int | float)]

    def find(self, wanted: Mapping[str, Any]) -> list[int]:
        """The numbers of the rows that fit all filters, from 0."""
        with self._lock:
            said = human.latest(self.journal.said())
            search = str(wanted.get("text") or "")[:_MAX_SEARCH].casefold().split()
            found = [at for at, place in enumerate(self._places) if self._fits(at, place, wanted, said)]
            if not search:
                return found
            texts = self._all_texts()
            return [at for at in found if all(word in texts[at] for word in search)]

    def _fits(self, at: int, place: Place, wanted: Mapping[str, Any], said: Mapping[str, Mapping[str, Said]]) -> bool:
        by = said.get(place.row_id, {})
        looked_at = {
            "nobody": not by,
            "me": self.person in by,
            "others": bool(by.keys() - {self.person}),
            # Whether anybody holds the label wrong would tell it to whoever may not see it.
            "otherwise": not self.blind and any(_against(one, place, self.task) for one in by.values()),
        }
        has = {
            "answer": set() if self.blind else {str(place.answer)},
            "depth": {str(place.turn.depth)},
            "drawn": {str(number) for number, pair in enumerate(self._values) if pair in self._drawn[at]},
            "check": {self._judged.get(place.row_id, "")},
            "looked": {name for name, fits in looked_at.items() if fits},
        }
        return all(wanted[name] in values for name, values in has.items() if wanted.get(name))

    def _all_texts(self) -> list[str]:
        """The texts of all rows, folded, read once; each reply is, whose rows mostly follow each other."""
        if not self._texts:
            of, rows = -1, dict[str, Row]()
            for place in self._places:
                if place.turn.position != of:
                    of, reply = place.turn.position, self._reply(place)
                    rows = rows_in(self.task, reply) if reply is not None else {}
                row = rows.get(place.row_id)
                words = () if row is None else (*row.inputs, *(row.options if self.task.variable else ()))
                self._texts.append("\n".join((place.row_id, *words)).casefold())
        return self._texts

    def _reply(self, place: Place) -> str | None:
        request = self._requests.get(place.turn.position)
        reply = self.journal.reply(request) if request else None
        return reply.text if reply else None

    def _read(self, place: Place) -> Row | None:
        reply = self._reply(place)
        return None if reply is None else at_place(self.task, place, reply)

    def row(self, at: int) -> dict[str, Any]:
        """What of a row may be seen, and what this person said of it before.

        Raises:
            UsageError: there is no such row, or its reply has been set aside since.
        """
        with self._lock:
            place, row = self._at(at)
            own = self._own_on(place.row_id)
            seen: dict[str, Any] = {
                "at": at,
                "id": place.row_id,
                "fields": [list(pair) for pair in zip(self.task.inputs, row.inputs, strict=True)],
                "options": list(row.options),
                "own": None if own is None else {"verdict": own.verdict, "label": _number_of(row, own.label)},
            }
            if not self.blind:
                seen |= {"given": place.answer, "check": self._judged.get(place.row_id, "")}
            return seen

    def _at(self, at: int) -> tuple[Place, Row]:
        if not 0 <= at < len(self._places):
            raise UsageError(f"there is no row {at}: there are {len(self._places)}")
        row = self._read(self._places[at])
        if row is None:
            raise UsageError("the reply of this row has been set aside since the page was opened: open it again")
        return self._places[at], row

    def _own_on(self, row_id: str) -> Said | None:
        said = (one for one in self.journal.said_of(row_id, self.person) if one.blind or not self.blind)
        return next(iter([*said][-1:]), None)

    def say(self, at: int, verdict: str, label: int | None) -> None:
        """Keep what the person says of a row; it is in the journal when this returns.

        Args:
            at (`int`): the row's number.
            verdict (`str`): `"label"`, `"wrong"` or `"unsure"`.
            label (`int`, *optional*): the number of the label that they hold right, from 0.

        Raises:
            UsageError: it is no verdict, or no label of this row.
            RunFailed: it could not be kept.
        """
        with self._lock:
            place, row = self._at(at)
            if verdict not in (LABEL, WRONG, UNSURE):
                raise UsageError(f"a verdict is label, wrong or unsure, not {verdict!r}")
            chosen = row.options[label] if label is not None and 0 <= label < len(row.options) else None
            if verdict == LABEL and chosen is None:
                raise UsageError(f"there is no label {label} of this row: it has {len(row.options)}")
            # Wrong is the label that was seen; blind, no label fits.
            wrong = None if self.blind else row.options[place.answer]
            about = {LABEL: chosen, WRONG: wrong, UNSURE: None}[verdict]
            said = Said(place.row_id, self.person, verdict, about, self.blind, self.sample)
            human.add(self.journal.path, said)

    def result(self) -> list[str]:
        """What is known by now, in lines."""
        with self._lock:
            found = looked(self.journal, self.task)
            own = [one for one in found.audits if one.by == self.person] if found and self.sample else []
            if found and own:
                return [own[0].said(self.person), *found.agreement()]
            answered = self._own()
            rows = sum(place.row_id in answered for place in self._places)
            return [f"{self.person} has looked at {rows:,} of {len(self._places):,} rows"]


def _number_of(row: Row, label: str | None) -> int | None:
    return row.options.index(label) if label in row.options else None


def _filter(name: str, label: str, values: Iterable[tuple[str, str, int]]) -> dict[str, Any]:
    return {"name": name, "label": label, "values": [list(value) for value in values][:_CHOICES]}


def _against(said: Said, place: Place, task: Task) -> bool:
    """Whether somebody does not hold a row's label right; where each row has its own, whether they said so."""
    if said.verdict == LABEL and task.labels is not None:
        return said.label != task.labels[place.answer]
    return said.verdict == WRONG


def _checks(journal: Journal) -> dict[str, str]:
    """What judges made of each row, in the words of the report."""
    found: dict[str, str] = {}
    for one in journal.judgements():
        if one.kind != human.KIND:
            same = one.judged == one.given and found.get(one.row, "confirmed") == "confirmed"
            found[one.row] = "confirmed" if same else "judged otherwise"
    return found
