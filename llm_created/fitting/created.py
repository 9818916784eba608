"""The rows that a run creates for a fit, with somebody watching and a way to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, NamedTuple

from ..creation.connect import ready as connected
from ..creation.progress import Tally
from ..creation.run import Plan as Bought
from ..creation.run import rows
from ..errors import StoppedShort
from ..runs.folders import run_folder
from ..runs.journal import Journal
from ..tasks.task import Row
from .plan import Ready, Tell

Watcher = Callable[[Tally, asyncio.Event], Coroutine[Any, Any, None]]


class Created(NamedTuple):
    """What was created.

    Attributes:
        rows (`list[Row]`): in their order; none repeats a row to learn from.
        leaked (`int`): how many were left out, because they repeat a held-out row.
        short (`str`): why they are fewer than were asked for, or `""`.
    """

    rows: list[Row]
    leaked: int
    short: str


def create(ready: Ready, watcher: Watcher, tell: Tell) -> Created:
    """Create rows, or read those that were bought before.

    Raises:
        StoppedShort: a person stopped it, or there is not one row.
        RunFailed: the run could not go on.
        UsageError: the model cannot be asked.
    """
    prepared = connected(ready.settings, ready.made)
    tally, stop = Tally(target=ready.settings.num_rows), asyncio.Event()

    def bought(plan: Bought) -> None:
        told = f"about {plan.calls} calls" + (f", about ${plan.dollars:.4f}" if plan.dollars else "")
        tell(f"{plan.replayed} replies read from the journal, {told} to make" if plan.replayed else f"{told} to make")

    async def all_rows() -> list[Row]:
        found: list[Row] = []
        beside = asyncio.create_task(watcher(tally, stop))
        try:
            how: dict[str, Any] = {"prepared": prepared, "before_buying": bought}
            made = rows(ready.made, ready.settings, journal, tally=tally, stop=stop, **how)
            async with aclosing(made):
                async for row in made:
                    found.append(row)
        except StoppedShort as stopped:
            short.append(stopped)
        finally:
            beside.cancel()
            with suppress(asyncio.CancelledError, OSError):  # a terminal that has gone
                await beside
        return found

    short: list[StoppedShort] = []
    with Journal(run_folder(ready.made.digest), ready.made.as_json) as journal:
        found = asyncio.run(all_rows())
    # A cap is what a person wanted; who stops it by hand wants to go on.
    if short and (stop.is_set() or not found):
        raise short[0]
    known = {row.key for row in ready.split.mine}
    kept = [row for row in found if row.key not in known]
    return Created(kept, tally.reasons["leaked"], str(short[0]).partition("\n")[0] if short else "")
