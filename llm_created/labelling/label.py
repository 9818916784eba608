"""Rows without labels get them from the model, by votes that do not see a given answer.

This is the labeler of section 2 of "Making Large Language Models Better Data Creators" (EMNLP 2023,
https://openreview.net/forum?id=2Rdfdri2oT): zero-shot, with demonstrations, or with an explanation before the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..checks.judge import Judge
from ..checks.likelihood import Likelihood
from ..clients.base import Reply
from ..creation import connect, define
from ..creation import questions as asking
from ..creation.progress import Tally
from ..data import fields
from ..errors import StoppedShort, UsageError
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from ..tasks.builtin import Source
from ..tasks.task import Row
from .records import Shots
from .vain import Vain
from .votes import Labelled, of_replies

KIND = "labels"
# Runs beside the calls until it is cancelled; setting the event ends the asking, and what is in flight is taken in.
Watcher = Callable[[Tally, asyncio.Event], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Labelling(Identity):
    """What decides the labels of rows; how many rows and votes there are does not.

    Args:
        name (`str`): what the rows are called. Another name has a journal and caps of its own; a file that is moved,
            corrected or grown keeps what it has.
        shots (`Sequence[tuple[Mapping[str, Any], str | None]]`): the demonstrations, each with its explanation.
    """

    name: str = ""
    shots: Sequence[tuple[Mapping[str, Any], str | None]] = ()

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """The identity as plain JSON."""
        return super().as_json | {"rows": self.name, "shots": [list(shot) for shot in self.shots]}


def labelling(
    source: Source,
    settings: Settings,
    *,
    name: str = "rows",
    votes: int = 1,
    shots: Shots | None = None,
    chain_of_thought: bool = False,
    likelihood: bool = False,
) -> tuple[Labelling, Judge]:
    """Who labels, and how.

    Args:
        source (`Source`): the task; what its guide says, or `settings.description`, stands before the instruction.
        settings (`Settings`): the model, and how it is asked.
        name (`str`, defaults to `"rows"`): what the rows are called.
        votes (`int`, defaults to 1): calls for one row.
        shots (`Shots`, *optional*): demonstrations.
        chain_of_thought (`bool`, defaults to `False`): ask for an explanation before the answer.
        likelihood (`bool`, defaults to `False`): read how likely each answer is, instead of asking for one.

    Raises:
        UsageError: there is no model, or something that it needs is missing or out of range.
    """
    settings.check()
    if not settings.model:
        raise UsageError("which model should label? Give `model` NAME (`base_url` URL for a server of your own)")
    if not 1 <= votes <= 100:
        raise UsageError(f"`votes` takes the number of calls for each row, from 1 to 100, not {votes}")
    if likelihood:
        _alone(settings, votes, chain_of_thought)
    task, shots = source.task, shots or Shots()
    guide = define.guide_of(settings, source, "label") if source.guide or settings.description is not None else None
    about = guide.description.strip() if guide else ""
    if likelihood:
        judge: Judge = Likelihood(task, "keep", about, shots.rows)
    else:
        kind = "think" if chain_of_thought else "verify"
        judge = Judge(task, kind, votes, "keep", about, shots.rows, shots.explained)
    made = Labelling(
        task=task,
        example=None,
        model=settings.model_name or "",
        instruction=judge.instruction,
        strategy="",
        temperature=float(settings.get("temperature")),
        top_p=float(settings.get("top_p")),
        seed=settings.seed,
        name=name,
        shots=[(task.example(row), shots.explained.get(row.id)) for row in shots.rows],
    )
    connect.ready(settings, made)
    return made, judge


def _alone(settings: Settings, votes: int, chain_of_thought: bool) -> None:
    """Say what does not go with likelihoods."""
    if votes > 1:
        raise UsageError(
            f"`likelihood` takes one call for each row, and another would say the same: not {votes} `votes`"
        )
    if chain_of_thought:
        raise UsageError("`likelihood` has nothing written: leave it out, or `chain_of_thought`")
    settings.check_likelihood("`votes`")


async def labels(
    made: Labelling,
    judge: Judge,
    rows: Sequence[Row],
    settings: Settings,
    journal: Journal,
    tally: Tally | None = None,
    before_buying: Callable[[int], None] = lambda calls: None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[tuple[int, Labelled]]:
    """Each row's number with its label, once all votes on it are in. The answers of the rows are never shown.

    Rows that are the same are asked about once.

    Args:
        made, judge: see `labelling`.
        rows (`Sequence[Row]`): what is labelled.
        settings (`Settings`): server, concurrency and caps.
        journal (`Journal`): `asking.journal(KIND, made)`, open for writing.
        tally (`Tally`, *optional*): filled while it goes on.
        before_buying (`Callable[[int], None]`, *optional*): told once how many calls are left to buy.
        stop (`asyncio.Event`, *optional*): when set, nothing more is asked; what is in flight is still taken in.

    Raises:
        StoppedShort: a cap was reached, `stop` was set, or patience ran out; what came is journaled.
        RunFailed: a question got no reply, or none can.
    """
    tally = tally if tally is not None else Tally()
    places: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault(fields.blind(row).id, []).append(number)
    distinct = {name: fields.blind(rows[numbers[0]]) for name, numbers in places.items()}
    wanted = [(name, vote) for name in distinct for vote in range(judge.votes)]
    came: dict[str, dict[int, Reply]] = {name: {} for name in distinct}
    vain, stop = Vain(judge, settings.patience), stop or asyncio.Event()
    tally.target, tally.expected_calls = len(rows), len(wanted)

    def ask(name: str, vote: int) -> asking.Question:
        asked = judge.ask(distinct[name], vote)
        return asking.Question(asked.messages, asked.schema, judge.key(name, asked), vote, asked.choices, asked.empty)

    def begin() -> None:
        tally.started = time.monotonic()
        before_buying(len(wanted) - tally.replayed)

    questions = (ask(name, vote) for name, vote in wanted)
    replies = asking.ask_all(made, settings, journal, questions, tally, begin, stop)
    async with vain.told(tally), aclosing(replies):  # type: ignore[type-var]
        async for number, reply in replies:
            name, vote = wanted[number]
            came[name][vote] = reply
            tally.expected_calls -= 1
            # What was bought before does not count: the same command again goes on.
            if tally.started and vain.counts(distinct[name], reply):
                stop.set()
            if len(came[name]) == judge.votes:
                in_order = [reply for _, reply in sorted(came.pop(name).items())]
                for place in places[name]:
                    tally.kept += 1
                    yield place, of_replies(judge, fields.blind(rows[place]), in_order)


def label_into(
    made: Labelling,
    judge: Judge,
    rows: Sequence[Row],
    settings: Settings,
    journal: Journal,
    watcher: Watcher | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Labelled | None], StoppedShort | None]:
    """Label rows, journaled: the same call again buys nothing.

    Args:
        made, judge: see `labelling`.
        rows (`Sequence[Row]`): what is labelled; their answers are not shown.
        settings (`Settings`): the model, the server, the caps.
        journal (`Journal`): `asking.journal(KIND, made)`, open for writing.
        watcher (`Watcher`, *optional*): what runs beside the calls.
        say (`Callable[[str], None]`, *optional*): told what is about to be bought.

    Returns:
        The label of each row, `None` where not all votes came, and why it stopped short, if it did.
    """
    found: list[Labelled | None] = [None] * len(rows)
    tally = Tally()

    def announce(calls: int) -> None:
        said = f"{tally.replayed} replies read from the journal, " if tally.replayed else ""
        say(f"{said}{calls} calls to buy")

    async def collect() -> None:
        stop = asyncio.Event()
        beside = asyncio.create_task(watcher(tally, stop) if watcher else asyncio.sleep(0))
        try:
            asked = labels(made, judge, rows, settings, journal, tally, announce, stop)
            async with aclosing(asked):  # type: ignore[type-var]
                async for number, one in asked:
                    found[number] = one
        finally:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside

    journal.set("price", connect.price(settings))
    try:
        asyncio.run(collect())
    except StoppedShort as short:
        return found, short
    return found, None
