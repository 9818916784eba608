"""Rows on their way into a file: from a published run, from the loop, with somebody watching and a way to stop it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import threading
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from .console import say
from .errors import StoppedShort
from .identity import CHAINED, Identity
from .journal import Journal
from .live import watch
from .output import Output
from .parts import ready
from .run import Plan, rows
from .settings import Settings
from .tally import Tally

if TYPE_CHECKING:
    from .fetched import Published


def fill(
    made: Identity, settings: Settings, journal: Journal, output: Output, published: Published | None
) -> StoppedShort | None:
    """Write the rows; what a published run has is made again first. Returns why there are too few."""
    if published:
        from .published import agreed, as_here, made_again

        again, said, lacking = made_again(published, settings, journal)
        say(said)
        if len(again) == settings.num_rows or not published.grows:
            for row in again:
                output.add(row)
            return _short_of(lacking, len(again), settings.num_rows)
        agreed(published, settings, say)
        ready(settings, made)
        made = as_here(made, journal)
    try:
        asyncio.run(_write(made, settings, journal, output))
    except StoppedShort as stopped:
        return stopped
    return None


def _short_of(lacking: str, made: int, wanted: int) -> StoppedShort | None:
    """Why the published replies gave too few rows."""
    if made == wanted:
        return None
    why = f"its journal lacks {lacking}; nothing was bought, -n {wanted} asks for that"
    return StoppedShort(f"stopped at {made} of {wanted} rows: {why}", made, wanted)


async def _write(made: Identity, settings: Settings, journal: Journal, output: Output) -> None:
    """Run the loop with somebody watching, and a way to stop it."""
    tally, stop = Tally(target=settings.num_rows), asyncio.Event()
    on_interrupt(stop, tally)
    watcher = asyncio.create_task(watch(tally))
    try:
        made_rows = rows(made, settings, journal, tally=tally, before_buying=_announce, stop=stop)
        async with aclosing(made_rows):
            async for row in made_rows:
                output.add(row)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError, OSError):  # a terminal that has gone
            await watcher


def on_interrupt(stop: asyncio.Event, tally: Tally) -> None:
    """The first Ctrl-C takes in what is paid for, the second leaves."""

    def interrupted() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        say(f"taking in {tally.in_flight} requests that are paid for; Ctrl-C again leaves at once")

    def hung_up() -> None:
        # Nobody reads what is printed from here on, and writing it would be an error.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in terminals:
            os.dup2(nowhere, stream)
        if not stop.is_set():
            interrupted()

    # Once it has gone, a terminal is none.
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupted)
        # A dropped ssh session, where `nohup` does not say that it is to be ignored.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
            loop.add_signal_handler(hangup, hung_up)


def _announce(plan: Plan) -> None:
    """Say what is about to be bought, and load beside the first requests what the end will need."""
    replayed = f"{plan.replayed} replies read from the journal, " if plan.replayed else ""
    dollars = f", about ${plan.dollars:.4f}" if plan.dollars else ""
    chains = plan.identity.chains if plan.identity.strategy in CHAINED else 0
    flight = f" ({chains} chains: {chains} requests in flight; --chains N for more)" if 0 < chains < plan.calls else ""
    say(f"{replayed}about {plan.calls} calls to buy{dollars}{flight}")
    threading.Thread(target=importlib.import_module, args=("pyarrow.parquet",), daemon=True).start()
    # What is loaded by now stays: collecting it again and again takes a sixth of the CPU of a long run.
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
