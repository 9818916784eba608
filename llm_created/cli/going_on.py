"""Another `create` on a run: what its names mean then, what is asked again, and the command that goes on."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from ..errors import StoppedShort
from ..runs.journal import Journal
from ..runs.kept import gave_nothing
from ..tasks.task import Task
from ..utils.console import say


def names(journal: Journal) -> dict[str, str]:
    """What the names of a run mean, in words."""
    return {one.name: one.said for one in reversed(journal.readings()) if one.name}


def moved(name: str | None, before: dict[str, str], journal: Journal) -> Iterator[str]:
    """A line where a name means something else from now on, and for each that goes on meaning what it did."""
    now = names(journal)
    for one, meant in before.items():
        if one == name and now.get(one, meant) != meant:
            yield f"note: {one!r} now means {now[one]}; it meant {meant}"
        elif journal.get("name") != one:
            yield f"note: {one!r} goes on meaning {meant}; --name {shlex.quote(one)} moves it to what was made now"


def ask_again(given: str | None, journal: Journal, task: Task) -> None:
    """Set aside what gave nothing for the reasons that were given."""
    if given is None:
        return
    reasons = [reason.strip() for reason in given.split(",")]
    found = gave_nothing(journal, task)
    there = Counter(found.values())
    dropped = journal.drop([key for key, reason in found.items() if reason in reasons])
    if dropped:
        say(f"{dropped} replies that gave nothing are set aside and asked for again; what they used stays spent")
        return
    had = ", ".join(f"{reason} ({count})" for reason, count in there.most_common()) or "nothing: each gave something"
    say(f"note: no reply gave nothing for {' or '.join(reasons)}, so none is asked for again; there is {had}")


def command(argv: Sequence[str], num_rows: int | None = None) -> str:
    """The command, without what has been done once, and with so many rows."""
    kept = list(argv)
    for flag in ("--ask-again", *(("-n", "--num-rows") if num_rows is not None else ())):
        while flag in kept:
            del kept[kept.index(flag) : kept.index(flag) + 2]
        kept = [one for one in kept if not one.startswith(f"{flag}=")]
    return shlex.join(["llm-created", *kept, *(() if num_rows is None else ("-n", str(num_rows)))])


def goes_on(again: str, short: StoppedShort, reasons: Collection[str]) -> str:
    """The command that goes on: what stopped it would stop the same one at once.

    Where no row came, what gave nothing is asked for again, so that the run begins as it should. Where rows came,
    others rest on the gaps between them, and more turns are what buys the least.
    """
    if short.more[:1] == ("patience",) and not short.kept and reasons:
        return f"{again} --ask-again {','.join(sorted(reasons))}"
    return f"{again} --{short.more[0].replace('_', '-')} {short.more[1]}" if short.more else again
