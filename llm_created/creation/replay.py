"""A run's replies as JSON lines, and its rows made again from them without a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from ..checks.chosen import Prepared, emission, named, prepare, reading
from ..checks.people import People
from ..clients.base import Reply, Request
from ..embeddings import Similarity
from ..errors import RunFailed, StoppedShort
from ..prompts.examples import Message
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from ..tasks.task import Row
from .loop import create


def export(journal: Journal) -> bytes:
    """Every reply of a run, and the similarities that its choices rest on, as JSON lines."""
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in journal.exported()).encode()


class _Nobody:
    """Answers nothing: all that is asked was asked before."""

    async def complete(self, request: Request) -> Reply:
        raise RunFailed("nobody is there to be asked")


class _NoModel(Similarity):
    """Loads no embedding model: what is not in the journal is not known."""

    def require(self) -> None:
        """Nothing is needed."""

    async def compare(self, example: Row, rows: Sequence[Row]) -> Mapping[str, float]:  # type: ignore[override]
        raise StoppedShort(f"the similarities of the rows that the example {example.id} led to")


async def again(
    identity: Identity,
    settings: Settings,
    journal: Journal,
    num_rows: int,
    prepared: Prepared | None = None,
    name: str | None = None,
) -> tuple[list[Row], str]:
    """The first rows of a run that its journal gives without a request and without an embedding model of its own.

    Returns:
        `tuple[list[Row], str]`: `num_rows` rows at most, and what the journal lacks where they are fewer.
    """
    checks = emission(settings, identity, prepared or prepare(settings, identity))
    people = People.of(settings, journal)

    def nothing_is_bought(calls: int, messages: Sequence[Message]) -> None:
        votes = messages[0]["content"] in {judge.instruction for judge in checks["judges"]}
        raise StoppedShort("the votes on some rows" if votes else "the replies to some requests")

    rows: list[Row] = []
    journal.begin(reading(settings, identity, people), num_rows, {"emission": named(settings, identity)}, name)
    # However many turns in a row gave nothing: they are there already.
    made = create(
        identity,
        _Nobody(),
        journal,
        num_rows,
        patience=2**31,
        **checks,
        people=people,
        before_buying=nothing_is_bought,
        similarity=_NoModel(""),
    )
    lacking = ""
    try:
        async with aclosing(made):
            async for row in made:
                rows.append(row)
    except StoppedShort as stopped:
        lacking = str(stopped)
    journal.flush()
    journal.tell(rows=len(rows))
    return rows, lacking
