"""What a report says, as plain data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..analysis import measures
from ..analysis.agreement import Verdicts, judged_tables
from ..analysis.funnel import Funnel, balance, bounds_said, cost, funnel, leaks_said, lost_said, times
from ..prompts import examples as prompt
from ..runs.journal import KEPT, UNJUDGED, Journal
from ..runs.kept import rows_of
from ..tasks.task import Row, Task
from ..utils.text import clean
from ..utils.version import __version__
from .describe import attributes_said, checks_said

_STAGES = ("asked", "parsed", "valid", "unique", "kept")
# A reply that has run away is shown up to here.
_LONGEST_REPLY = 20_000
_EVERY = 200
# More rows than a browser can hold and search at ease; the figures are over all of them all the same.
_MOST = 100_000


@dataclass
class Reading:
    """A run read again from its replies.

    Attributes:
        turns (`list[tuple[int, str, int, dict]]`): position, id of the example that was shown, depth of its rows, what
            was drawn for it.
        replies (`list[str]`): the reply of each turn.
        rows (`list[tuple[int, Row]]`): the kept rows, each with the index of its turn.
        rejected (`list[tuple[int, str, str, str, str]]`): the index of the turn, reason, detail, text, row id or `""`.
        by_id (`dict[str, Row]`): every well-formed row, kept or not, by the id that it was written with.
        verdicts (`dict[str, list[list]]`): what judges said of a row, by the id that it was written with.
        cosines (`dict[str, float]`): journaled similarity of a row to the example that was shown.
    """

    turns: list[tuple[int, str, int, Mapping[str, Any]]] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    rows: list[tuple[int, Row]] = field(default_factory=list)
    rejected: list[tuple[int, str, str, str, str]] = field(default_factory=list)
    by_id: dict[str, Row] = field(default_factory=dict)
    verdicts: dict[str, list[list[Any]]] = field(default_factory=dict)
    cosines: dict[str, float] = field(default_factory=dict)


def read(journal: Journal, task: Task, progress: Callable[[int], None] = lambda turns: None) -> Reading:
    """Read every reply of a run once.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
        progress (`Callable[[int], None]`, *optional*): told now and then how many turns were read.
    """
    reading, target, order = Reading(), journal.get("target", 0), journal.order()
    embeds = "embedding_model" in journal.get("identity")
    judges = Verdicts(journal)
    numbered: list[tuple[int, tuple[int, Row]]] = []
    for at, turn in enumerate(journal.turns()):
        position, example, depth, verdicts, _, drawn = turn
        text = journal.text_of(position)
        pieces = prompt.parse(task, text) if verdicts else []
        if len(pieces) != len(verdicts):  # a refusal, or what another version of the library read
            pieces = pieces if any(code == KEPT for code, _, _ in verdicts) else []
        kept = dict(rows_of(turn, task, text))
        found = {row.id: row for row in map(task.read, pieces) if isinstance(row, Row)}
        for row_id in found.keys() & judges.rows:
            reading.verdicts[row_id] = [[*said, _shown(why)] for *said, why in judges.of(found[row_id])]
        found = {
            row_id: kept.get(row_id, row._replace(parent_id=example, depth=depth)) for row_id, row in found.items()
        }
        reading.turns.append((position, example, depth, drawn))
        reading.replies.append(_shown(text))
        for number, (code, row_id, detail) in enumerate(verdicts):
            if code not in (KEPT, UNJUDGED):
                same = len(pieces) == len(verdicts) and isinstance(pieces[number], Mapping)
                shown = clean(json.dumps(pieces[number], ensure_ascii=False)) if same else ""
                reading.rejected.append((at, code, clean(detail), _shown(shown), row_id))
        numbered += ((order.get(row_id, len(numbered)), (at, row)) for row_id, row in kept.items())
        reading.by_id.update((row_id, row) for row_id, row in found.items() if row_id not in reading.by_id)
        if embeds:
            known = journal.similarities(example)
            reading.cosines.update((row.id, known[row_id]) for row_id, row in found.items() if row_id in known)
        if at % _EVERY == _EVERY - 1:
            progress(at + 1)
    reading.rows = [one for number, one in sorted(numbered) if number < target]
    return reading


def _shown(text: str) -> str:
    text = clean(text)
    if len(text) <= _LONGEST_REPLY:
        return text
    return f"{text[:_LONGEST_REPLY]}… ({len(text):,} characters in all)"


def data(journal: Journal, task: Task, reading: Reading, scores: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Everything that the report shows but the replies, as plain JSON.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
        reading (`Reading`): what `read` gave.
        scores (`Sequence[Mapping[str, Any]]`, *optional*): what `score_lines` gave.
    """
    identity, count = journal.get("identity"), funnel(journal)
    example = task.seed_row(identity["example"]) if identity["example"] else None
    rows = [row for _, row in reading.rows]
    drift = measures.likeness(example, rows, reading.by_id, reading.cosines) if example else []
    return {
        "run": journal.folder.name,
        "name": journal.get("name"),
        "library": f"llm-created {__version__}",
        "task": task.to_json() | {"columns": list(task.columns)},
        "identity": {name: value for name, value in identity.items() if name not in ("task", "example")},
        "seed": _seed(example),
        "checks": checks_said(journal.get("emission") or {}),
        "attributes": attributes_said(identity.get("attributes") or {}),
        "judged": [one.plain() for one in judged_tables(journal, task)],
        "target": journal.get("target", 0),
        "funnel": [[stage, getattr(count, stage)] for stage in _STAGES],
        "spare": count.spare,
        "leakage": leaks_said(journal, count),
        "reasons": count.reasons.most_common(),
        "balance": list(balance(task, count).items()) if count.kept else [],
        "longest": measures.longest(rows) if task.variable and rows else None,
        "depths": sorted(count.depths.items()),
        "lengths": [one._asdict() for one in measures.lengths(task, rows)],
        "drift": [one._asdict() for one in drift],
        "cost": _cost(journal, count),
        "time": times(journal),
        "scores": list(scores),
    } | _pieces(journal, task, reading)


def _pieces(journal: Journal, task: Task, reading: Reading) -> dict[str, Any]:
    """The rows and the rejected pieces, as many as the report holds, and what is known of each."""
    rows, rejected = reading.rows[:_MOST], reading.rejected[:_MOST]
    inside = {row.id for _, row in rows} | {piece[-1] for piece in rejected}
    return {
        "turns": reading.turns,
        "rows": [_row(task, at, row) for at, row in rows],
        "rejected": rejected,
        "all": [len(reading.rows), len(reading.rejected)],
        "verdicts": {row_id: said for row_id, said in reading.verdicts.items() if row_id in inside},
        "leaks": {row_id: clean(why) for row_id, why in journal.get("leaks", []) if row_id in inside},
    }


def replies(reading: Reading) -> list[str]:
    """The replies of the rows and rejected pieces that the report holds."""
    turns = [one[0] for part in (reading.rows, reading.rejected) for one in part[:_MOST]]
    return reading.replies[: max(turns, default=-1) + 1]


def _seed(example: Row | None) -> dict[str, Any] | None:
    if example is None:
        return None
    return {"id": example.id, "inputs": example.inputs, "options": example.options, "answer": example.answer}


def _row(task: Task, at: int, row: Row) -> list[Any]:
    return [at, row.id, row.answer, row.inputs, *([row.options] if task.variable else [])]


def _cost(journal: Journal, count: Funnel) -> dict[str, Any]:
    """What the run used over its whole life, retries and lost requests too."""
    spent, price = journal.spent(), journal.get("price")
    said = [line for line in (lost_said(spent, price), bounds_said(journal)) if line]
    return spent._asdict() | {"dollars": cost(spent, price), "price": price, "kept": count.kept, "said": said}
