"""One run from its settings to its rows: the sentence that the command line and the builder share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing

from ..checks.chosen import Prepared, emission, named, prepare, reading
from ..checks.people import People
from ..errors import UsageError
from ..prompts.examples import Message
from ..runs.folders import same_but_instruction
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from ..tasks.task import Row
from . import connect
from .loop import create
from .progress import Tally

# Told before anything is bought: the expected number of calls, whether the run has replies already, and what one
# thousand tokens cost if that is known. It may raise to keep them from being made.
Announce = Callable[["Plan"], None]
OTHER_SERVER = (
    "note: the server behind this model's name is another one than that of the replies so far, and they stay: after "
    "`llm-created rm` on the run it begins anew"
)


class Plan:
    """What a run is about to buy.

    Attributes:
        identity (`Identity`): the run.
        calls (`int`): calls that are expected.
        replayed (`int`): replies that were read from the journal before.
        dollars (`float`, *optional*): what those calls may cost, by the size of the prompts and replies so far.
        changed_from (`str`): digest of a run that differs in its instruction alone, or `""`.
        other_server (`bool`): the replies so far are of another server behind the same model's name.
        writer (`str`): what writes, of a model of this process, or `""`.
    """

    def __init__(
        self,
        identity: Identity,
        calls: int,
        replayed: int,
        dollars: float | None,
        changed_from: str,
        other_server: bool = False,
        writer: str = "",
    ) -> None:
        self.identity, self.calls, self.replayed = identity, calls, replayed
        self.dollars, self.changed_from, self.other_server = dollars, changed_from, other_server
        self.writer = writer


async def rows(
    identity: Identity,
    settings: Settings,
    journal: Journal,
    *,
    tally: Tally | None = None,
    before_buying: Announce | None = None,
    stop: asyncio.Event | None = None,
    prepared: Prepared | None = None,
    name: str | None = None,
) -> AsyncGenerator[Row, None]:
    """The rows that the settings ask for, in order; see `create` for what is raised."""
    tally = tally if tally is not None else Tally()
    prepared = prepared or prepare(settings, identity)
    checks, people = emission(settings, identity, prepared), People.of(settings, journal)
    about = {"emission": named(settings, identity)}
    journal.begin(reading(settings, identity, people), settings.num_rows, about, name)
    # What a card says of a run beside its identity.
    journal.set("task", identity.task.to_json())
    journal.set("provider", connect.provider(settings))
    if identity.seed_from is not None:
        journal.set("seed_from", identity.seed_from)
    async with AsyncExitStack() as stack:
        budget = connect.budget(settings, journal)
        tally.budget = budget
        if budget.price is not None:
            journal.set("price", budget.price)
        client = await connect.client(settings, identity, journal, stack)

        def plan(calls: int, messages: Sequence[Message]) -> None:
            changed = "" if journal.num_replies() else same_but_instruction(identity)
            one = budget.expect(messages, identity.rows_per_turn)
            dollars = calls * budget.price.of(one.prompt_tokens, one.completion_tokens) if budget.price else None
            other, about = _other_server(settings, journal), connect.about(client)
            bought = Plan(identity, calls, tally.replayed, dollars, changed, other, about)
            if before_buying is not None:
                before_buying(bought)
            confirm(bought, settings.yes)
            journal.set("servers", _servers(settings, journal))

        creation = create(
            identity,
            client,
            journal,
            settings.num_rows,
            concurrency=settings.concurrency,
            patience=settings.patience,
            **checks,
            people=people,
            budget=budget,
            tally=tally,
            before_buying=plan,
            stop=stop,
        )
        leaks: list[tuple[str, str]] = []
        stack.callback(lambda: journal.tell(rows=tally.kept, leaks=leaks))
        async for row in await stack.enter_async_context(aclosing(creation)):
            leaks += ((row.id, found.detail) for check in prepared.reported if (found := check(row)) is not None)
            yield row


def _servers(settings: Settings, journal: Journal) -> list[str]:
    """The servers that this run's replies are of, the last one last."""
    before, now = journal.get("servers", []), connect.server(settings)
    return [one for one in before if one != now] + ([now] if now else [])


def _other_server(settings: Settings, journal: Journal) -> bool:
    before = journal.get("servers", [])
    return bool(before) and journal.num_replies() > 0 and before[-1] != connect.server(settings)


def confirm(plan: Plan, yes: bool) -> None:
    """Refuse to buy a run anew because a text was edited, unless that was said to be meant.

    Raises:
        UsageError: the only thing that differs from an earlier run is the instruction.
    """
    if plan.changed_from and not yes:
        raise UsageError(
            f"the instruction differs from that of the run {plan.changed_from[:8]}, all else is the same: this is "
            f"another run, and about {plan.calls} calls would be bought anew. Add `yes=True` if that is meant"
        )
