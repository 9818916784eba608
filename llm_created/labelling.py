"""`llm-created label`: rows without labels get them from the model, by votes that do not see a given answer.

This is the labeler of section 2 of "Making Large Language Models Better Data Creators" (EMNLP 2023,
https://openreview.net/forum?id=2Rdfdri2oT): zero-shot, with demonstrations, or with an explanation before the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import asking, console, labelled, making, parts, tasks, unlabelled
from .client import Reply
from .errors import StoppedShort, UsageError
from .identity import Identity
from .journal import Journal
from .judge import Judge
from .labelled import Labelled
from .live import watch
from .settings import DEMO, Settings
from .sources import public_name
from .tally import Tally
from .task import Row
from .tasks import Source
from .unlabelled import Shots, blind

KIND = "labels"
_DEMO = " (the demo writer's word on rows is a plumbing check, and no label)"


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
) -> tuple[Labelling, Judge]:
    """Who labels, and how.

    Args:
        source (`Source`): the task; what its guide says, or `settings.description`, stands before the instruction.
        settings (`Settings`): the model, and how it is asked.
        name (`str`, defaults to `"rows"`): what the rows are called.
        votes (`int`, defaults to 1): calls for one row.
        shots (`Shots`, *optional*): demonstrations.
        chain_of_thought (`bool`, defaults to `False`): ask for an explanation before the answer.

    Raises:
        UsageError: there is no model, or something that it needs is missing or out of range.
    """
    settings.check()
    if not settings.model:
        raise UsageError("which model should label? Give --model NAME (--base-url URL for a server of your own)")
    if not 1 <= votes <= 100:
        raise UsageError(f"--votes takes the number of calls for each row, from 1 to 100, not {votes}")
    task, shots = source.task, shots or Shots()
    guide = parts.guide_of(settings, source, "label") if source.guide or settings.description is not None else None
    kind, about = "think" if chain_of_thought else "verify", guide.description.strip() if guide else ""
    judge = Judge(task, kind, votes, "keep", about, shots.rows, shots.explained)
    made = Labelling(
        task=task,
        example=None,
        model=settings.model,
        instruction=judge.instruction,
        strategy="simprompt",
        temperature=float(settings.get("temperature")),
        top_p=float(settings.get("top_p")),
        seed=settings.seed,
        name=name,
        shots=[(task.example(row), shots.explained.get(row.id)) for row in shots.rows],
    )
    parts.ready(settings, made)
    return made, judge


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
        StoppedShort: a cap was reached, or `stop` was set; what came is journaled.
        RunFailed: a question got no reply, or none can.
    """
    tally = tally if tally is not None else Tally()
    places: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault(blind(row).id, []).append(number)
    distinct = {name: blind(rows[numbers[0]]) for name, numbers in places.items()}
    wanted = [(name, vote) for name in distinct for vote in range(judge.votes)]
    came: dict[str, dict[int, Reply]] = {name: {} for name in distinct}
    tally.target, tally.expected_calls = len(rows), len(wanted)

    def ask(name: str, vote: int) -> asking.Question:
        messages, schema = judge.ask(distinct[name], vote)
        return asking.Question(messages, schema, judge.key(name, messages), vote)

    def begin() -> None:
        tally.started = time.monotonic()
        before_buying(len(wanted) - tally.replayed)

    questions = (ask(name, vote) for name, vote in wanted)
    replies = asking.ask_all(made, settings, journal, questions, tally, begin, stop)
    async with aclosing(replies):  # type: ignore[type-var]
        async for number, reply in replies:
            name, vote = wanted[number]
            came[name][vote] = reply
            tally.expected_calls -= 1
            if len(came[name]) == judge.votes:
                in_order = [reply for _, reply in sorted(came.pop(name).items())]
                for place in places[name]:
                    tally.kept += 1
                    yield place, labelled.of_replies(blind(rows[place]), in_order)


def label_rows(
    source: Source, rows: Sequence[Row], settings: Settings, *, watched: bool = False, **how: Any
) -> tuple[list[Labelled | None], StoppedShort | None]:
    """Label rows, journaled: the same call again buys nothing.

    Args:
        source (`Source`): the task.
        rows (`Sequence[Row]`): what is labelled; their answers are not shown.
        settings (`Settings`): the model, the server, the caps.
        watched (`bool`, defaults to `False`): show how it goes on, and take in what is paid for at Ctrl-C.
        **how: see `labelling`.

    Returns:
        The label of each row, `None` where not all votes came, and why it stopped short, if it did.
    """
    made, judge = labelling(source, settings, **how)
    with asking.journal(KIND, made) as journal:
        return _label_rows(made, judge, rows, settings, journal, watched)


def _label_rows(
    made: Labelling, judge: Judge, rows: Sequence[Row], settings: Settings, journal: Journal, watched: bool
) -> tuple[list[Labelled | None], StoppedShort | None]:
    found: list[Labelled | None] = [None] * len(rows)
    tally = Tally()

    def announce(calls: int) -> None:
        said = f"{tally.replayed} replies read from the journal, " if tally.replayed else ""
        if watched:
            console.say(f"{said}{calls} calls to buy")

    async def collect() -> None:
        stop = asyncio.Event()
        watcher = asyncio.create_task(watch(tally) if watched else asyncio.sleep(0))
        if watched:
            making.on_interrupt(stop, tally)
        try:
            asked = labels(made, judge, rows, settings, journal, tally, announce, stop)
            async with aclosing(asked):  # type: ignore[type-var]
                async for number, one in asked:
                    found[number] = one
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    journal.set("price", parts.price(settings))
    try:
        asyncio.run(collect())
    except StoppedShort as short:
        return found, short
    return found, None


def label(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created label FILE`: label its rows, go on with it, add votes."""
    settings, source, path = Settings.of(args), _source(args.task), Path(args.file).expanduser()
    out = Path(args.out).expanduser() if args.out else path.with_name(f"{path.stem}-labelled.jsonl")
    cases = unlabelled.read(source.task, path)
    places = [place for place, case in enumerate(cases) if case.row is not None]
    rows = [case.row for case in cases if case.row is not None]
    shots = unlabelled.shots_for(source, settings, args.shots, args.shots_from, rows)
    how: dict[str, Any] = {"votes": args.votes, "shots": shots, "chain_of_thought": args.chain_of_thought}
    made, judge = labelling(source, settings, name=public_name(args.file), **how)
    with asking.journal(KIND, made) as journal:
        labelled.refuse(journal, path, out)
        about = f"{made.digest[:8]} · {source.task.name} · {made.model} → {out}"
        console.say(f"labelling {about}{_DEMO * (made.model == DEMO)}")
        found, short = _label_rows(made, judge, rows, settings, journal, True)
        by_place: dict[int, Labelled | None] = dict(zip(places, found, strict=True))
        labelled.write(journal, path, out, labelled.text(source.task, cases, by_place, short))
        for line in labelled.report(source.task, cases, by_place, judge.votes, journal):
            console.out(line)
    console.out("", f"written: {out}")
    if short is not None:
        raise StoppedShort(f"{short}; to go on (after a cap, with a higher one): {shlex.join(['llm-created', *argv])}")
    return 0


def _source(name: str | None) -> Source:
    if not name or not name.endswith(".json"):
        return tasks.load(name or "")
    value = tasks.read_json(name)
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), list):
        raise UsageError(f"--task {name!r} is no task.json: give the one that stands in the folder of a run's rows")
    return tasks.from_example(name)
