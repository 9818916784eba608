"""The kept rows of a run, read again from its replies."""

from __future__ import annotations

from collections.abc import Iterator

from ..prompts.examples import read
from ..tasks.task import Row, Task
from .journal import KEPT, Journal, TurnRecord


def kept_rows(journal: Journal, task: Task) -> Iterator[Row]:
    """The rows of a run, read again from its replies, in order, up to the number that was wanted."""
    target, order, number = journal.get("target", 0), journal.order(), 0
    held: list[tuple[int, Row]] = []
    for turn in journal.turns():
        for row_id, row in rows_of(turn, task, journal.text_of(turn.position)):
            if order:
                held.append((order[row_id], row))
            elif number < target:
                number += 1
                yield row
        if not order and number >= target:
            return
    yield from (row for number, row in sorted(held) if number < target)


def rows_of(turn: TurnRecord, task: Task, text: str) -> Iterator[tuple[str, Row]]:
    """The kept rows of a turn, each with the id that it was written with: a judge may have changed its answer."""
    kept = {row_id: int(detail) for code, row_id, detail in turn.pieces if code == KEPT}
    for row in read(task, text) if kept else ():
        if isinstance(row, Row) and row.id in kept:
            answer = kept.pop(row.id)
            placed = row._replace(parent_id=turn.example, depth=turn.depth)
            # Options of a row's own stand otherwise under another answer, so that its index alone tells nothing.
            yield row.id, placed if answer == row.answer else task.relabel(placed, answer)
