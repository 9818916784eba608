"""A run read again for its page, reply by reply: figures over all of it, and the rows and pieces that fit."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..analysis import measures
from ..analysis.agreement import Verdicts
from ..prompts import examples as prompt
from ..runs.journal import JUDGES, KEPT, SURPLUS, UNJUDGED, Journal, TurnRecord
from ..runs.kept import placed
from ..tasks.task import Reason, Row, Task
from ..utils.text import clean
from .sample import Entry, Pieces, rank, shown

# Bytes of a page for rows and rejected pieces with all that is known of them, and for replies.
ROOM, ROOM_OF_REPLIES = 10_000_000, 5_000_000
# A reply that has run away is shown up to here; texts are cut to the other where not all find room as they are.
LONGEST, CUT = 20_000, 1_000
# Rows that are compared with the formatting example.
COMPARED = 5_000
_EVERY = 100
_JUDGED = {*JUDGES, SURPLUS}
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
Progress = Callable[[int], None]


@dataclass
class Reading:
    """What is known of a run when all its replies were read.

    Attributes:
        spread (`Spread`): lengths of the kept rows.
        rows, rejected (`Pieces`): the kept rows and the rejected pieces that may find room.
        replies (`dict[int, int]`): by position of a turn, the bytes that its reply takes on the page.
        drawn (`dict[str, Counter[str]]`): by name of what is drawn, the kept rows with each value.
        compared (`list[Row]`): the rows whose likeness is measured, texts cut to what of them is compared.
        parents (`dict[str, Row]`): the rows that these were made from, in the same way.
        cosines (`dict[str, float]`): journaled similarity of a row to the example that was shown.
    """

    spread: measures.Spread
    rows: Pieces
    rejected: Pieces
    replies: dict[int, int] = field(default_factory=dict)
    drawn: dict[str, Counter[str]] = field(default_factory=dict)
    compared: list[Row] = field(default_factory=list)
    parents: dict[str, Row] = field(default_factory=dict)
    cosines: dict[str, float] = field(default_factory=dict)


def read(journal: Journal, task: Task, progress: Progress = lambda turns: None) -> Reading:
    """Read every reply of a run once; memory holds no more of them than the page does.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
        progress (`Callable[[int], None]`, *optional*): told now and then how many turns were read.
    """
    one = _Reader(journal, task)
    for at, turn in enumerate(journal.turns(), 1):
        one.take(turn)
        if at % _EVERY == 0:
            progress(at)
    return one.reading


class _Reader:
    """Takes turn after turn.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
    """

    def __init__(self, journal: Journal, task: Task) -> None:
        self._journal, self._task = journal, task
        self.reading = Reading(measures.Spread(task), Pieces(ROOM, LONGEST, CUT), Pieces(ROOM, LONGEST, CUT))
        self._target, self._order, self._kept = journal.get("target", 0), journal.order(), 0
        self._judges, self._leaks = Verdicts(journal), dict(journal.get("leaks", []))
        identity = journal.get("identity")
        self._embeds = "embedding_model" in identity
        chosen = list(self._choose()) if identity["example"] else []
        self._compared, self._parents = {row for row, _ in chosen}, {example for _, example in chosen}

    def _choose(self) -> Iterator[tuple[str, str]]:
        """The kept rows that are compared, each with the example that was shown, drawn by hash."""
        kept = (
            (rank(row_id), row_id, turn.example)
            for turn in self._journal.turns()
            for code, row_id, _ in turn.pieces
            if code == KEPT and self._order.get(row_id, 0) < self._target
        )
        yield from (chosen for _, *chosen in heapq.nsmallest(COMPARED, kept))  # type: ignore[misc]

    def take(self, turn: TurnRecord) -> None:
        """One more turn."""
        text = self._journal.text_of(turn.position)
        pieces = prompt.parse(self._task, text) if turn.pieces else []
        read = [piece if isinstance(piece, Reason) else self._task.read(piece) for piece in pieces]
        found = {row.id: row for row in read if isinstance(row, Row)}
        kept = {row_id: row for row_id, row in placed(turn, self._task, read) if self._is_wanted(row_id)}
        about = script([turn.position, turn.example, turn.depth, turn.drawn])
        inside = False
        for row_id, row in kept.items():
            self._count(turn, found[row_id], row)
            inside |= self._row(turn, about, found[row_id], row)
        for number, piece in enumerate(turn.pieces):
            if piece[0] not in (KEPT, UNJUDGED):
                # What another version of the library read tells nothing of what came.
                came = pieces[number] if len(pieces) == len(turn.pieces) else None
                inside |= self._rejected(turn, about, number, came, found.get(piece[1]))
        if inside:
            self.reading.replies[turn.position] = len(script(reply(text)).encode())
        self._compare(turn, kept, found)

    def _is_wanted(self, row_id: str) -> bool:
        """Whether a kept row is one of those that were wanted; the others wait for the run to grow."""
        number: int = self._order.get(row_id, self._kept)
        self._kept += 1
        return number < int(self._target)

    def _count(self, turn: TurnRecord, written: Row, row: Row) -> None:
        """The figures that are over all rows."""
        self.reading.spread.add(row)
        for name, value in turn.drawn.items():
            if isinstance(value, Mapping):
                value = value.get(written.options[written.answer], [])
            if isinstance(value, list):
                continue
            text = value if isinstance(value, str) else json.dumps(value)
            self.reading.drawn.setdefault(name, Counter())[shown(text, CUT)] += 1

    def _row(self, turn: TurnRecord, about: str, written: Row, row: Row) -> bool:
        place = (self._order.get(row.id, self.reading.rows.seen),)
        size = sum(map(len, (*row.inputs, *row.aside)))

        def entry(most: int) -> Entry:
            options = [[shown(option, most) for option in row.options]] if self._task.variable else []
            own = [row.id, row.answer, [shown(text, most) for text in row.inputs], *options]
            if self._task.aside:
                # Behind the options, which are nothing where they are the same in every row.
                own += [*([] if options else [None]), [shown(text, most) for text in row.aside]]
            leak = self._leaks.get(row.id)
            said = "" if leak is None else _pair(row.id, shown(clean(leak), most))
            return Entry(place, turn.position, about, script(own)[1:], self._said(written, most), said, size)

        return self.reading.rows.add(row.id, entry)

    def _rejected(self, turn: TurnRecord, about: str, number: int, came: Any, written: Row | None) -> bool:
        code, row_id, detail = turn.pieces[number]

        def entry(most: int) -> Entry:
            text = clean(json.dumps(came, ensure_ascii=False)) if isinstance(came, Mapping) else ""
            own = [code, shown(clean(detail), most), shown(text, most), row_id]
            said = self._said(written, most) if written and code in _JUDGED else ""
            return Entry((turn.position, number), turn.position, about, script(own)[1:], said, "", len(text))

        return self.reading.rejected.add(f"{turn.position}/{number}", entry)

    def _said(self, written: Row, most: int) -> str:
        """What judges said of a row."""
        said = [[*rest, shown(clean(why), most)] for *rest, why in self._judges.of(written)]
        return _pair(written.id, said) if said else ""

    def _compare(self, turn: TurnRecord, kept: Mapping[str, Row], found: Mapping[str, Row]) -> None:
        """Keep what likeness is measured on."""
        reading, compared = self.reading, [row for row_id, row in kept.items() if row_id in self._compared]
        reading.compared += map(_beginning, compared)
        for row_id in found.keys() & self._parents:
            reading.parents.setdefault(row_id, _beginning(kept.get(row_id, found[row_id])))
        if self._embeds and compared:
            known = self._journal.similarities(turn.example)
            reading.cosines.update((row.id, known[row.id]) for row in compared if row.id in known)


def script(value: Any) -> str:
    """JSON that can stand in a `<script>` element: no character in it means anything to an HTML parser."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _UNSAFE.items():
        text = text.replace(character, escaped)
    return text


def reply(text: str) -> str:
    """A reply as the page shows it."""
    return clean(shown(text, LONGEST))


def _pair(name: str, value: Any) -> str:
    return f"{script(name)}:{script(value)}"


def _beginning(row: Row) -> Row:
    """A row with no more of its texts than is compared."""
    return row._replace(inputs=(measures.beginning(row),), options=(), key=0)


def commonest(counts: Mapping[str, Counter[str]], most: int = 100) -> Sequence[list[Any]]:
    """For each name how many values there are, and the commonest with how often each is there."""
    return [[name, len(values), values.most_common(most)] for name, values in counts.items()]
