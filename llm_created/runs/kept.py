"""The kept rows of a run, read again from its replies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from ..prompts.examples import read
from ..tasks.task import Reason, Row, Task
from . import human
from .journal import KEPT, Journal, TurnRecord

# Labels take turns: rows that are emitted one after the other come from replies that lie near each other.
_TURNS = 64


def kept_rows(journal: Journal, task: Task) -> Iterator[Row]:
    """The rows of a run, read again from its replies, in order, up to the number that was wanted."""
    target, order = journal.get("target", 0), journal.order()
    if order:
        yield from _held_rows(journal, task, {row_id: at for row_id, at in order.items() if at < target})
        return
    made = (row for turn in journal.turns() for _, row in rows_of(turn, task, journal.text_of(turn.position)))
    yield from islice(made, target)


def _held_rows(journal: Journal, task: Task, order: Mapping[str, int]) -> Iterator[Row]:
    """Rows in an order that is not that of their turns: those of a few turns are in memory at a time."""
    where: list[tuple[int, str, TurnRecord]] = []
    for turn in journal.turns():
        of = turn._replace(pieces=[piece for piece in turn.pieces if piece[0] == KEPT and piece[1] in order])
        where += ((order[row_id], row_id, of) for _, row_id, _ in of.pieces)
    read: dict[int, dict[str, Row]] = {}
    for _, row_id, turn in sorted(where, key=itemgetter(0)):
        if turn.position not in read:
            read[turn.position] = dict(rows_of(turn, task, journal.text_of(turn.position)))
            if len(read) > _TURNS:
                del read[next(iter(read))]
        yield read[turn.position][row_id]


class Place(NamedTuple):
    """Where a row stands that came before people: one that is emitted, or that they left out.

    Attributes:
        row_id (`str`): the id that it was written with.
        given (`int`): the index of its answer before people had their say.
        answer (`int`): the index of its answer now.
        out (`bool`): people left it out.
        turn (`TurnRecord`): the turn that brought it.
    """

    row_id: str
    given: int
    answer: int
    out: bool
    turn: TurnRecord


def places(journal: Journal) -> list[Place]:
    """The rows of a run that came before people, in the order in which they are emitted, up to the number wanted;
    those that people left out stand behind them."""
    target, order = journal.get("target", 0), journal.order()
    before = {one.row: one.given for one in journal.judgements() if one.kind == human.KIND}
    kept: list[tuple[int, Place]] = []
    out: list[Place] = []
    for turn in journal.turns():
        for code, row_id, detail in turn.pieces:
            if code == KEPT:
                answer = int(detail)
                place = Place(row_id, before.get(row_id, answer), answer, False, turn)
                kept.append((order.get(row_id, len(kept)), place))
            elif code == human.KIND and row_id in before:
                out.append(Place(row_id, before[row_id], before[row_id], True, turn))
    kept.sort(key=itemgetter(0))
    return [*(place for number, place in kept if number < target), *out]


def at_place(task: Task, place: Place, text: str) -> Row | None:
    """The row at a place as it is now, read from the reply that it came in; `None` if that is not there any more."""
    row = rows_in(task, text).get(place.row_id)
    if row is None:
        return None
    return task.relabel(row._replace(parent_id=place.turn.example, depth=place.turn.depth), place.answer)


def rows_in(task: Task, text: str) -> dict[str, Row]:
    """The rows in a reply as they were written, by id."""
    return {piece.id: piece for piece in read(task, text) if isinstance(piece, Row)}


def rows_of(turn: TurnRecord, task: Task, text: str) -> Iterator[tuple[str, Row]]:
    """The kept rows of a turn, each with the id that it was written with: a judge may have changed its answer."""
    return placed(turn, task, read(task, text) if any(code == KEPT for code, _, _ in turn.pieces) else ())


def placed(turn: TurnRecord, task: Task, pieces: Iterable[Row | Reason]) -> Iterator[tuple[str, Row]]:
    """The kept rows among the pieces of a turn's reply, as they were emitted."""
    kept = {row_id: int(detail) for code, row_id, detail in turn.pieces if code == KEPT}
    for row in pieces:
        if isinstance(row, Row) and row.id in kept:
            answer = kept.pop(row.id)
            placed = row._replace(parent_id=turn.example, depth=turn.depth)
            # Options of a row's own stand otherwise under another answer, so that its index alone tells nothing.
            yield row.id, placed if answer == row.answer else task.relabel(placed, answer)


def gave_nothing(journal: Journal, task: Task) -> dict[tuple[int, str, int], str]:
    """The replies that gave nothing at all, each with its commonest reason; those, too, that no turn has read yet."""
    found = journal.unusable()
    # What another method asked for may be a list, and good.
    unread = journal.unread() if journal.get("identity")["method"] == "self-reference" else ()
    for key, text in unread:
        codes = Counter(piece.code if isinstance(piece, Reason) else KEPT for piece in read(task, text))
        if codes and KEPT not in codes:
            found[key] = codes.most_common(1)[0][0]
    return found
