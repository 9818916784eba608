"""`create `from``: a run that was pushed with its replies, checked and grown by anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from ..checks.chosen import Prepared
from ..creation.replay import again
from ..runs.human import of_reply
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from ..tasks.task import Row
from ..utils.text import shorten
from .fetched import Published


def made_again(
    found: Published,
    settings: Settings,
    journal: Journal,
    prepared: Prepared | None = None,
    name: str | None = None,
) -> tuple[list[Row], str, str]:
    """Take a published run's replies in, and make its rows again without a request.

    Returns:
        `tuple[list[Row], str, str]`: the rows, as many as were published or are wanted; whether they are the
        published ones, in words; and what the journal lacks, where they are fewer.
    """
    # A person may have changed their mind since: of a row, whoever has spoken here is not spoken for.
    known = {(one.row, one.by) for one in journal.said()}
    replies = [
        (request, reply)
        for request, reply in found.replies.replies
        if (of := of_reply(request, reply.text)) is None or (of.row, of.by) not in known
    ]
    added = journal.absorb(replies, found.replies.similarities)
    if journal.get("seed_from") is None:
        journal.set("seed_from", found.about["seed_from"])
    wanted = min(settings.num_rows, found.num_rows)
    rows, lacking = asyncio.run(again(found.identity, settings, journal, wanted, prepared, name))
    said = f"{found.name}: {added} replies taken over, {len(rows)} rows made again without a request"
    different = found.difference(rows, wanted)
    if different:
        said += f": they are NOT the published ones, {different}"
    else:
        said += f": they are {'all' if wanted == found.num_rows else 'the first'} {wanted} published ones"
    return rows, "\n".join([said, *_left_out(found, settings)]), lacking


def as_here(identity: Identity, journal: Journal) -> Identity:
    """The run under the name that its task has in the journal: neither that nor a citation is part of what it is."""
    task = replace(identity.task, name=journal.get("task")["name"])
    return replace(identity, task=task, seed_from=journal.get("seed_from"))


def _left_out(found: Published, settings: Settings) -> Iterator[str]:
    """The checks that the published rows have passed and these have not, a line each."""
    for name, why in (
        ("filter", "it is the publisher's code"),
        ("check_against", "it takes files"),
        ("near_duplicates", "no embedding model that a stranger names is loaded"),
    ):
        if found.checks.get(name) and not getattr(settings, name):
            value = found.checks[name]
            shown = shorten(" ".join(value) if isinstance(value, list) else str(value), 80)
            model = found.checks.get("embedding_model") if name == "near_duplicates" else None
            more = f" `embedding_model` {model}" if model else ""
            flag = f"`{name}` {shown}{more}"
            yield f"note: the published rows passed {flag}; {why}, so that is left out unless you give it"
