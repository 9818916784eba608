"""What a report says, as plain data and as the JSON that stands on the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..analysis import measures
from ..analysis.agreement import judged_tables
from ..analysis.audited import audit_tables, looked
from ..analysis.funnel import (
    Funnel,
    balance,
    bounds_said,
    compute_said,
    cost,
    leaks_said,
    lost_said,
    outputs_said,
    servers_said,
    spent_on_rows,
    times,
)
from ..runs.journal import Journal
from ..tasks.task import Row, Task
from ..utils.text import shorten
from ..utils.version import __version__
from . import html_read
from .describe import attributes_said, checks_said
from .html_read import Reading, commonest, reply, script
from .sample import Entry, divide, level, within

_STAGES = ("asked", "parsed", "valid", "unique", "kept")
# Of an identity, what the page says in words of its own.
_ELSEWHERE = ("task", "example", "more_examples")


class Doubted(NamedTuple):
    """Rows whose labels a model of the other rows doubts.

    Attributes:
        rather (`Mapping[str, tuple[str, float, float]]`): by the id of a row what it rather says, how likely it holds
            the label that the row has, and how likely the other.
        number (`int`): how many rows are doubted.
        of (`int`): how many there are.
        about (`str`): what the model sees.
    """

    rather: Mapping[str, tuple[str, float, float]]
    number: int
    of: int
    about: str

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        rather = {row: [said, round(given, 3), round(other, 3)] for row, (said, given, other) in self.rather.items()}
        return {"rather": rather, "number": self.number, "of": self.of, "about": self.about}


def blocks(
    journal: Journal,
    task: Task,
    reading: Reading,
    count: Funnel,
    scores: Sequence[Mapping[str, Any]] = (),
    doubted: Doubted | None = None,
) -> tuple[Iterator[str], Iterator[str]]:
    """The JSON of the page, in parts: everything but the replies, and the replies.

    Args:
        journal (`Journal`): the run's journal, open until the last part was taken.
        task (`Task`): its task.
        reading (`Reading`): what `html_read.read` gave.
        count (`Funnel`): its funnel.
        scores (`Sequence[Mapping[str, Any]]`, *optional*): what `score_lines` gave.
        doubted (`Doubted`, *optional*): rows whose labels are likely wrong.
    """
    samples, cut = divide([reading.rows, reading.rejected], html_read.ROOM)
    rows, rejected = (sample.entries for sample in samples)
    turns = {one.turn: one.about for one in (*rows, *rejected)}
    places = {position: at for at, position in enumerate(sorted(turns))}
    plain = _figures(journal, task, reading, count) | {
        "scores": list(scores),
        "doubted": doubted.plain() if doubted else None,
        "all": [reading.rows.seen, reading.rejected.seen],
        "cut": html_read.CUT if cut else None,
        "numbers": None if samples[0].whole else [one.place[0] for one in rows],
        "sizes": [one.size for one in rows] if cut else None,
    }
    return _data(plain, rows, rejected, turns, places), _replies(journal, {at: reading.replies[at] for at in places})


def _data(
    plain: Mapping[str, Any],
    rows: Sequence[Entry],
    rejected: Sequence[Entry],
    turns: Mapping[int, str],
    places: Mapping[int, int],
) -> Iterator[str]:
    yield script(plain)[:-1]
    yield from _list("turns", (turns[position] for position in places))
    yield from _list("rows", (f"[{places[one.turn]},{one.own}" for one in rows))
    yield from _list("rejected", (f"[{places[one.turn]},{one.own}" for one in rejected))
    # A row may be there twice, as what was rejected too.
    yield from _list("verdicts", {one.verdicts: 0 for one in (*rows, *rejected) if one.verdicts}, "{}")
    yield from _list("leaks", (one.leak for one in rows if one.leak), "{}")
    yield "}"


def _list(name: str, parts: Iterable[str], around: str = "[]") -> Iterator[str]:
    yield f',"{name}":{around[0]}'
    for at, part in enumerate(parts):
        yield f",{part}" if at else part
    yield around[1]


def _replies(journal: Journal, sizes: Mapping[int, int]) -> Iterator[str]:
    """The replies of these turns; the longest are cut, if not all find room."""
    most = level(list(sizes.values()), html_read.ROOM_OF_REPLIES)
    yield "["
    for at, (position, size) in enumerate(sizes.items()):
        text = reply(journal.text_of(position))
        yield "," * bool(at) + (script(text) if size <= most else within(text, most, script))
    yield "]"


def _figures(journal: Journal, task: Task, reading: Reading, count: Funnel) -> dict[str, Any]:
    """What is said of the whole run, as plain JSON."""
    identity = journal.get("identity")
    seeds = _seeds(identity, task)
    return {
        "run": journal.folder.name,
        "name": journal.get("name"),
        "library": f"llm-created {__version__}",
        "task": task.to_json() | {"columns": list(task.columns)},
        "identity": {name: value for name, value in identity.items() if name not in _ELSEWHERE},
        **_seeds_said(seeds),
        "checks": checks_said(journal.get("emission") or {}),
        "attributes": attributes_said(identity.get("attributes") or {}),
        **_judged(journal, task),
        "target": journal.get("target", 0),
        "funnel": [[stage, getattr(count, stage)] for stage in _STAGES],
        "spare": count.spare,
        "leakage": leaks_said(journal, count),
        "reasons": count.reasons.most_common(),
        "balance": list(balance(task, count).items()) if count.kept else [],
        "longest": _longest(reading, task),
        "depths": sorted(count.depths.items()),
        "lengths": [one._asdict() for one in reading.spread.lengths()],
        "drift": _drift(seeds, reading),
        "cost": _cost(journal, count),
        "time": times(journal),
        "drawn": commonest(reading.drawn),
        "compared": html_read.COMPARED if reading.rows.seen > html_read.COMPARED else None,
        "beginning": measures.BEGINNING,
    }


def _seeds(identity: Mapping[str, Any], task: Task) -> list[Row]:
    shown = [identity["example"], *identity.get("more_examples", ())] if identity["example"] else []
    return [task.seed_row(one) for one in shown]


def _seeds_said(seeds: Sequence[Row]) -> dict[str, Any]:
    """The first formatting example; of several, the beginning of each."""
    said: dict[str, Any] = {"seed": _seed(seeds[0]) if seeds else None}
    if len(seeds) > 1:
        said["seeds"] = {seed.id: shorten(" ".join(seed.inputs), 160) for seed in seeds}
    return said


def _judged(journal: Journal, task: Task) -> dict[str, Any]:
    """What judges and people said of labels."""
    people = looked(journal, task)
    tables = [one.plain() for one in (*judged_tables(journal, task), *audit_tables(people, task))]
    return {"judged": tables, "agreement": people.agreement() if people else []}


def _longest(reading: Reading, task: Task) -> Any:
    return reading.spread.longest() if task.variable and reading.rows.seen else None


def _drift(seeds: Sequence[Row], reading: Reading) -> list[dict[str, Any]]:
    if not seeds:
        return []
    return [one._asdict() for one in measures.likeness(seeds, reading.compared, reading.parents, reading.cosines)]


def _seed(example: Row) -> dict[str, Any]:
    return {"id": example.id, "inputs": example.inputs, "options": example.options, "answer": example.answer}


def _cost(journal: Journal, count: Funnel) -> dict[str, Any]:
    """What the run used over its whole life, retries and lost requests too."""
    spent, own, price = journal.spent(), spent_on_rows(journal), journal.get("price")
    said = [
        compute_said(journal),
        lost_said(spent, price),
        outputs_said(journal),
        bounds_said(journal),
        servers_said(journal),
    ]
    return spent._asdict() | {
        "dollars": cost(spent, price),
        "price": price,
        "kept": count.kept,
        "of_rows": {
            "calls": own.calls,
            "tokens": own.prompt_tokens + own.completion_tokens,
            "dollars": cost(own, price),
        },
        "said": [*filter(None, said)],
    }
