"""The line that a person watches while a run goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import TextIO

from ..creation.budget import Budget
from ..creation.progress import Tally
from ..utils.console import rewrite, say

_REFRESH = 0.2
_PLAIN_EVERY = 5.0


def describe(tally: Tally, now: float, width: int = 80) -> list[str]:
    """A run in one line or two: rows, calls, tokens, dollars so far and expected, time left; and rejects by reason."""
    parts = [f"{tally.kept}/{tally.target} rows", *_calls(tally)]
    parts += _spent(tally.budget, tally.expected_calls) if tally.budget is not None else []
    if tally.calls and tally.started and tally.kept < tally.target:
        parts.append(f"{_clock((now - tally.started) / tally.calls * tally.expected_calls)} left")
    lines = [" · ".join(parts)]
    if tally.reasons:
        by_reason = ", ".join(f"{code} {count}" for code, count in tally.reasons.most_common())
        lines.append(f"  {sum(tally.reasons.values())} rejected: {by_reason}")
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _calls(tally: Tally) -> list[str]:
    if tally.calls or tally.in_flight:
        return [f"{tally.calls} calls" + (f" +{tally.in_flight}" if tally.in_flight else "")]
    return [f"{tally.replayed} replies read"] if tally.replayed else []


def _spent(budget: Budget, expected_calls: int) -> list[str]:
    """Tokens, and dollars so far and expected where the price is known."""
    spent, dollars = budget.spent, budget.dollars
    parts = [f"{_short(spent.prompt_tokens + spent.completion_tokens)} tokens"]
    if dollars is not None and spent.calls and not (budget.price and budget.price.free):
        expected = dollars / spent.calls * (spent.calls + expected_calls)
        parts.append(f"{_dollars(dollars)} of ~{_dollars(expected)}")
    return parts


def _dollars(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def _short(number: int) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k" if number >= 1e4 else str(number)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


async def watch(tally: Tally, to: TextIO | None = None) -> None:
    """Show a run until cancelled: lines that are rewritten on a terminal, a line every five seconds elsewhere."""
    to = to or sys.stderr
    terminal = to.isatty()
    shown: list[str] = []
    try:
        while True:
            await asyncio.sleep(_REFRESH if terminal else _PLAIN_EVERY)
            width = shutil.get_terminal_size().columns - 1 if terminal else 160
            lines = describe(tally, time.monotonic(), width)
            if lines == shown:
                continue
            if terminal:
                rewrite(lines, len(shown), to)
            else:
                rewrite([" · ".join(map(str.strip, lines)), ""], 0, to)
            shown = lines
    finally:
        if terminal:
            rewrite([], len(shown), to)


async def watched(tally: Tally, stop: asyncio.Event) -> None:
    """Show a run until cancelled, and take in what is paid for at Ctrl-C."""
    on_interrupt(stop, tally)
    await watch(tally)


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
