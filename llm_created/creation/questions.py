"""Calls that belong to no run's turns: journaled in a folder of their own, under the same caps, never made twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..clients.base import Reply
from ..errors import StoppedShort
from ..prompts.examples import Message
from ..runs.folders import cache_folder
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from . import connect
from .calls import Call, Calls
from .progress import Tally


class Question(NamedTuple):
    """One call: its messages, the `response_format`, its name in the journal, how often it was asked before, and for
    likelihoods the choices and the question with nothing in its inputs."""

    messages: list[Message]
    schema: Any
    key: str
    occurrence: int = 0
    choices: tuple[str, ...] = ()
    empty: Sequence[Message] = ()


def folder(kind: str, identity: Identity) -> Path:
    """Where the calls of this kind are journaled."""
    return cache_folder() / kind / identity.digest


def journal(kind: str, identity: Identity) -> Journal:
    """The journal of the calls of this kind."""
    return Journal(folder(kind, identity), identity.as_json)


async def ask_all(
    identity: Identity,
    settings: Settings,
    opened: Journal,
    questions: Iterable[Question],
    tally: Tally,
    before_buying: Callable[[], None] = lambda: None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[tuple[int, Reply]]:
    """The reply to each question with its number, in the order in which they arrive; what is journaled comes first.

    Args:
        identity (`Identity`): names the model and how it is sampled.
        settings (`Settings`): server, concurrency and caps.
        opened (`Journal`): the journal, open for writing.
        questions (`Iterable[Question]`): what is asked.
        tally (`Tally`): filled while it goes on.
        before_buying (`Callable[[], None]`, *optional*): told once, before the first call.
        stop (`asyncio.Event`, *optional*): when set, nothing more is asked; what is in flight is still taken in.

    Raises:
        StoppedShort: a cap was reached, or `stop` was set; what came is journaled.
        RunFailed: a question got no reply, or none can.
    """
    arrived: list[tuple[int, Reply]] = []
    async with AsyncExitStack() as stack:
        budget = connect.budget(settings, opened)
        tally.budget = budget
        client = await connect.client(settings, identity, opened, stack)
        calls = Calls(identity.digest, client, opened, budget, settings.concurrency, tally)
        stack.push_async_callback(calls.drain)
        stop = stop or asyncio.Event()
        stack.callback(asyncio.create_task(_wake(stop, calls)).cancel)
        left, told = [], False
        for number, one in enumerate(questions):
            request = calls.request(one.messages, one.schema, 0, one.key, one.occurrence)
            request = replace(request, choices=one.choices, empty=one.empty)
            reply = opened.reply(request)
            if reply is None:
                left.append((number, request))
                continue
            tally.replayed += 1
            yield number, reply
        missing = len(left)
        left.reverse()
        while missing:
            started: list[Call] = []
            while left and not stop.is_set() and calls.room(len(started)):
                number, request = left[-1]
                if not told:
                    before_buying()
                    told = True
                call = calls.reserve(request, 1, lambda reply, number=number: arrived.append((number, reply)))  # type: ignore[misc]
                if call is None:
                    break
                started.append(call)
                left.pop()
            calls.send(started)
            if not calls.in_flight:
                _end_or_retry(calls, len(left), missing, stop.is_set())
            await calls.receive()
            while arrived:
                missing -= 1
                yield arrived.pop(0)


async def _wake(stop: asyncio.Event, calls: Calls) -> None:
    await stop.wait()
    calls.ending = True
    calls.wake()


def _end_or_retry(calls: Calls, left: int, missing: int, stopped: bool) -> None:
    if calls.fatal is not None:
        raise calls.fatal
    why = "interrupted" if stopped else calls.budget.stopped_by if left else ""
    why = why or calls.ask_again()
    if why:
        raise StoppedShort(f"stopped with {missing} calls to make: {why}")


def all_replies(
    identity: Identity, settings: Settings, kind: str, questions: list[Question], tally: Tally | None = None
) -> list[Reply]:
    """The replies to a few questions, in their order."""

    async def collect(opened: Journal) -> dict[int, Reply]:
        asked = ask_all(identity, settings, opened, questions, tally or Tally())
        async with aclosing(asked) as replies:  # type: ignore[type-var]
            return {number: reply async for number, reply in replies}

    with journal(kind, identity) as opened:
        found = asyncio.run(collect(opened))
        opened.flush()
    return [found[number] for number in range(len(questions))]
