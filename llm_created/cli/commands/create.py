"""`llm-created create` and `preview`: rows on their way into a file, with somebody watching and a way to stop it."""

from __future__ import annotations

import argparse
import asyncio
import gc
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...checks.chosen import Prepared, self_correct
from ...creation.connect import budget, client, price, ready
from ...creation.define import identity, leaking, without_effect
from ...creation.loop import create as create_rows
from ...creation.progress import Tally
from ...creation.run import OTHER_SERVER, Plan, rows
from ...data import examples
from ...data.columns import Columns
from ...data.writer import Output
from ...errors import StoppedShort, UsageError
from ...hub.push import to_hub
from ...reports import card
from ...reports import terminal as shown
from ...reports.preview import preview as preview_lines
from ...runs.folders import check_name, other_examples, run_folder
from ...runs.identity import CHAINED, METHODS, Identity
from ...runs.journal import Journal
from ...runs.kept import kept_rows
from ...runs.settings import Settings
from ...tasks import builtin as known
from ...tasks.builtin import Source
from ...utils.console import out, say
from ...utils.files import read_text
from ...utils.text import nearest, slug
from .. import flags
from ..going_on import ask_again, command, goes_on, moved, names
from ..live import on_interrupt, watch
from ..words import parser
from . import runs

if TYPE_CHECKING:
    from ...hub.fetched import Published


def _tell(text: str) -> None:
    """Say what the library says, in the words of this command line."""
    say(parser()[1]["create"].spoken(text))


def _source(args: argparse.Namespace) -> Source:
    """The task that the arguments name."""
    if args.example and args.task:
        raise UsageError(f"give a task ({args.task!r}) or --example ({args.example!r}), not both")
    aside = _listed("aside", args.aside)
    if args.fields and not args.example:
        if args.task:
            raise UsageError("--fields defines a task of its own: leave out the task's name")
        return known.from_fields(
            args.fields, args.labels, args.num_options, args.answer_field, args.options_field, aside
        )
    if args.example:
        fields, labels = _listed("fields", args.fields), _listed("labels", args.labels)
        told = Columns(fields, args.answer_field, args.options_field, labels, args.label_space, aside)
        return examples.source(args.example, told, tell=_tell)
    for name in ("label_space", "labels", "answer_field", "options_field", "fields", "aside", "num_options"):
        if getattr(args, name):
            raise UsageError(f"`{name}` goes with --example or --fields; a built-in task has its own label space")
    if not args.task:
        raise UsageError(f"which task? One of {', '.join(known.names())}, a builder file, or --example my.json")
    return known.load(args.task)


def _listed(name: str, given: str | None) -> list[str]:
    return [*known.listed(name, given)] if given else []


def _run_of(args: argparse.Namespace) -> tuple[Settings, Identity, Prepared]:
    """The run that the arguments define; what is wrong with them is said before anything is written."""
    settings = Settings.of(args)
    if settings.instruction_extra is not None:
        # On the command line it is a file, whatever it is called; a line break tells a text from a path.
        settings.instruction_extra = read_text("--instruction-extra", settings.instruction_extra) + "\n"
    source, strategy = _source(args), strategy_of(args)
    if args.attributes_out and settings.attributes != "ask":
        raise UsageError("--attributes-out goes with --attributes ask")
    if settings.attributes == "ask":
        if strategy in ("targen", "simprompt"):
            raise UsageError(f"--attributes goes with attrprompt or self-reference, not with {strategy}")
        from .ask_attributes import asked_for

        settings.attributes = asked_for(source, settings, strategy, args.attributes_out)
    made = identity(settings, source, strategy)
    prepared = ready(settings, made)
    for line in (*without_effect(settings, strategy), *leaking(source.task)):
        _tell(f"note: {line}")
    return settings, made, prepared


def strategy_of(args: argparse.Namespace) -> str:
    """The strategy of self-reference, or the method that shows no example."""
    if args.method and args.method != "self-reference":
        if args.strategy:
            raise UsageError(f"--method {args.method} has no strategies: leave out --strategy {args.strategy}")
        if args.method not in METHODS:
            raise UsageError(f"unknown method {args.method!r}{nearest(args.method, ('self-reference', *METHODS))}")
        return str(args.method)
    return args.strategy or "tree"


def create(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created create`: write a dataset, resume it, grow it."""
    asked = _asked(args)
    settings, made, published, _ = asked
    if args.name:
        check_name(args.name, made.digest)
    default = Path("created") / f"{slug(made.task.name)}-{made.strategy}-{made.digest[:8]}"
    output = Output(Path(args.out).expanduser() if args.out else default, made, args.format)
    say(f"run {made.digest[:8]} · {made.task.name} · {made.strategy} · {made.model} → {output.folder}")
    if not published and (other := other_examples(made)):
        here = _examples(1 + len(made.more_examples))
        say(f"note: the run {other[0][:8]} has {_examples(other[1])}, this one {here}: another run, which begins anew")
    again = command(argv, settings.num_rows if published else None)
    with Journal(run_folder(made.digest), made.as_json) as journal:
        before = names(journal)
        ask_again(args.ask_again, journal, made.task)
        if settings.reviewed is not None and not journal.said() and not published:
            say(f"note: nobody has looked at its rows yet, which `llm-created review {made.digest[:8]}` is for")
        short = fill(asked, journal, output, args.name)
        journal.flush()
        path = _written(args, made, journal, output, settings.num_rows)
        for line in moved(args.name, before, journal):
            say(line)
        reasons = set(journal.unusable().values())
        out(*shown.run(journal, made.task, width=runs.terminal_width()))
        if path and args.push_to_hub and not short:
            out("", f"pushed: {to_hub(journal, flags.pushed(args, args.push_to_hub), say)}")
    out("", f"{output.written} rows in {path}" if path else "no rows, so no file was written")
    if short is not None:
        raise StoppedShort(f"{short}\nto go on: {goes_on(again, short, reasons)}", short.kept, short.wanted)
    out("next:")
    out(f"  llm-created show {made.digest[:8]} --sample 10")
    out(f"  python -c \"import datasets; print(datasets.load_dataset('{output.folder}'))\"")
    out(f"  {command(argv, 4 * settings.num_rows)}   # grows it: only the new rows are bought")
    return 0


def _examples(number: int) -> str:
    return "one formatting example" if number == 1 else f"{number:,} formatting examples"


def _written(args: argparse.Namespace, made: Identity, journal: Journal, output: Output, wanted: int) -> Path | None:
    """The rows and their card in their folder, whole."""

    def told(old: str) -> str:
        rows = list(kept_rows(journal, made.task))
        return card.beside(output.path, old, journal, made.task, rows, flags.card_options(args))

    about = {"reading": journal.reading, "target": wanted, "emission": journal.get("emission")}
    return output.finish(told, format=args.format, **about)


class _Asked(NamedTuple):
    """A run that is wanted, with what was loaded to see whether it can be."""

    settings: Settings
    made: Identity
    published: Published | None = None
    prepared: Prepared | None = None


def _asked(args: argparse.Namespace) -> _Asked:
    """The run that is wanted, defined here or published; what is wrong is said before anything is bought."""
    if args.from_repo:
        if args.ask_again:
            raise UsageError("--from takes the replies as they were published: leave out --ask-again")
        from .create_from import agreed, run_of

        settings, published = run_of(args)
        made = published.identity
        if settings.num_rows > published.num_rows:
            agreed(published, settings, lambda text: None)
        prepared = ready(settings, made) if settings.num_rows > published.num_rows else None
        asked = _Asked(settings, made, published, prepared)
    else:
        settings, made, prepared = _run_of(args)
        asked = _Asked(settings, made, None, prepared)
    for name in ("private", "with_journal", "replace", "validation"):
        if getattr(args, name) not in (None, False) and not args.push_to_hub:
            raise UsageError(f"`{name}` goes with --push-to-hub")
    if args.push_to_hub:
        flags.pushed(args, args.push_to_hub).check(made.model)
    return asked


def preview(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created preview`: the calls up to the first row, journaled, so that the run does not buy them again."""
    settings, made, _ = _run_of(args)
    with Journal(run_folder(made.digest), made.as_json) as journal:
        with suppress(StoppedShort):
            asyncio.run(_first_turn(made, settings, journal))
        journal.flush()
        votes = settings.votes + (self_correct(settings, made) != "off")
        for line in preview_lines(journal, made, settings.num_rows, price(settings), runs.terminal_width(), votes):
            out(line)
    return 0


async def _first_turn(made: Identity, settings: Settings, journal: Journal) -> None:
    from contextlib import AsyncExitStack

    if any(turn.asked for turn in journal.turns()):
        return  # it is there, and what the run's checks made of it stays
    async with AsyncExitStack() as stack:
        caps = budget(settings, journal)
        asked = await client(settings, made, journal, stack)
        # What is planned before the first row goes out together.
        made_rows = create_rows(made, asked, journal, 1, concurrency=settings.concurrency, patience=1, budget=caps)
        async with aclosing(made_rows) as first:
            async for _ in first:
                pass


def fill(asked: _Asked, journal: Journal, output: Output, name: str | None) -> StoppedShort | None:
    """Write the rows; what a published run has is made again first. Returns why there are too few."""
    settings, made, published, prepared = asked
    if published:
        from ...hub.published import as_here, made_again
        from .create_from import agreed

        again, said, lacking = made_again(published, settings, journal, prepared, name)
        _tell(said)
        if len(again) == settings.num_rows or not published.grows:
            for row in again:
                output.add(row)
            return _short_of(lacking, len(again), settings.num_rows)
        agreed(published, settings, say)
        made, prepared = as_here(made, journal), prepared or ready(settings, made)
    try:
        asyncio.run(_write(asked._replace(made=made, prepared=prepared), journal, output, name))
    except StoppedShort as stopped:
        return stopped
    return None


def _short_of(lacking: str, made: int, wanted: int) -> StoppedShort | None:
    """Why the published replies gave too few rows."""
    if made == wanted:
        return None
    why = f"its journal lacks {lacking}; nothing was bought, -n {wanted} asks for that"
    return StoppedShort(f"stopped at {made} of {wanted} rows: {why}", made, wanted)


async def _write(asked: _Asked, journal: Journal, output: Output, name: str | None) -> None:
    """Run the loop with somebody watching, and a way to stop it."""
    settings, made = asked.settings, asked.made
    tally, stop = Tally(target=settings.num_rows), asyncio.Event()
    on_interrupt(stop, tally)
    watcher = asyncio.create_task(watch(tally))
    try:
        how: dict[str, Any] = {"prepared": asked.prepared, "name": name, "before_buying": partial(_announce, output)}
        made_rows = rows(made, settings, journal, tally=tally, stop=stop, **how)
        async with aclosing(made_rows):
            async for row in made_rows:
                output.add(row)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError, OSError):  # a terminal that has gone
            await watcher


def _announce(output: Output, plan: Plan) -> None:
    """Say what is about to be bought, and load beside the first requests what the end will need."""
    replayed = f"{plan.replayed} replies read from the journal, " if plan.replayed else ""
    dollars = f", about ${plan.dollars:.4f}" if plan.dollars else ""
    chains = plan.identity.chains if plan.identity.strategy in CHAINED else 0
    flight = f" ({chains} chains: {chains} requests in flight; --chains N for more)" if 0 < chains < plan.calls else ""
    wanted = f"to make, written by {plan.writer}" if plan.writer else f"to buy{dollars}"
    say(f"{replayed}about {plan.calls} calls {wanted}{flight}")
    if plan.other_server:
        say(OTHER_SERVER)
    output.prepare()
    # What is loaded by now stays: collecting it again and again takes a sixth of the CPU of a long run.
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
