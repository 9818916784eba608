"""What each command of `llm-created` does."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import sys
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import card
from . import show as shown
from . import tasks as known
from .checks import self_correct
from .console import fit, out, say
from .create import create as create_rows
from .errors import StoppedShort, UsageError
from .funnel import funnel, kept_rows
from .identity import METHODS, Identity, nearest
from .journal import Journal, cache_folder, run_folder
from .making import fill
from .output import Output
from .parts import budget, client, identity, price, ready, without_effect
from .push import Pushed, to_hub
from .push import push as push
from .report import report as report
from .runs import all_runs, check_name, find
from .settings import Settings, read_text
from .task import Task
from .tasks import Source
from .text import slug

if TYPE_CHECKING:
    from .fetched import Published


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def _source(args: argparse.Namespace) -> Source:
    """The task that the arguments name."""
    of_example = ("label_space", "labels", "answer_field", "options_field")
    if args.example and args.task:
        raise UsageError(f"give a task ({args.task!r}) or --example ({args.example!r}), not both")
    if args.fields:
        if args.example or args.task:
            raise UsageError("--fields defines a task without an example: leave out the task's name and --example")
        return known.from_fields(args.fields, args.labels, args.num_options, args.answer_field, args.options_field)
    if args.example:
        labels = args.labels.split(",") if args.labels else None
        how = {name: getattr(args, name) for name in of_example} | {"labels": labels}
        return known.from_example(args.example, **how)
    for name in (*of_example, "num_options"):
        if getattr(args, name):
            raise UsageError(
                f"--{name.replace('_', '-')} goes with --example or --fields; a built-in task has its own label space"
            )
    if not args.task:
        raise UsageError(f"which task? One of {', '.join(known.names())}, a builder file, or --example my.json")
    return known.load(args.task)


def _run_of(args: argparse.Namespace) -> tuple[Settings, Identity]:
    """The run that the arguments define; what is wrong with them is said before anything is written."""
    settings = Settings.of(args)
    if settings.instruction_extra is not None:
        # On the command line it is a file, whatever it is called; a line break tells a text from a path.
        settings.instruction_extra = read_text("--instruction-extra", settings.instruction_extra) + "\n"
    source, strategy = _source(args), _strategy(args)
    if args.attributes_out and settings.attributes != "ask":
        raise UsageError("--attributes-out goes with --attributes ask")
    if settings.attributes == "ask":
        if strategy in ("targen", "simprompt"):
            raise UsageError(f"--attributes goes with attrprompt or self-reference, not with {strategy}")
        from .attributes_asked import asked_for

        settings.attributes = asked_for(source, settings, strategy, args.attributes_out)
    made = identity(settings, source, strategy)
    ready(settings, made)
    for line in without_effect(settings, strategy):
        say(f"note: {line}")
    return settings, made


def _strategy(args: argparse.Namespace) -> str:
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
    settings, made, published = _asked(args)
    if args.name:
        check_name(args.name, made.digest)
    default = Path("created") / f"{slug(made.task.name)}-{made.strategy}-{made.digest[:8]}"
    output = Output(Path(args.out).expanduser() if args.out else default, made, args.format)
    say(f"run {made.digest[:8]} · {made.task.name} · {made.strategy} · {made.model} → {output.folder}")
    again = _with_rows(argv, settings.num_rows) if published else shlex.join(["llm-created", *argv])
    with Journal(run_folder(made.digest), made.as_json) as journal:
        if args.name:
            journal.set("name", args.name)
        journal.set("price", price(settings))
        short = fill(made, settings, journal, output, published)
        journal.flush()
        path = output.finish(format=args.format)
        if path:
            card.beside(path, journal, made.task, list(kept_rows(journal, made.task)), card.Options.of(args))
        for line in shown.run(journal, made.task, width=_width()):
            out(line)
        if path and args.push_to_hub and not short:
            out("", f"pushed: {to_hub(journal, Pushed.of(args, args.push_to_hub), say)}")
    out("", f"{output.written} rows in {path}" if path else "no rows, so no file was written")
    if short is not None:
        raise StoppedShort(f"{short}\nto go on: {again}", short.kept, short.wanted)
    out("next:")
    out(f"  llm-created show {made.digest[:8]} --sample 10")
    out(f"  python -c \"import datasets; out(datasets.load_dataset('{output.folder}'))\"")
    out(f"  {_with_rows(argv, 4 * settings.num_rows)}   # grows it: only the new rows are bought")
    return 0


def _asked(args: argparse.Namespace) -> tuple[Settings, Identity, Published | None]:
    """The run that is wanted, defined here or published; what is wrong is said before anything is bought."""
    if args.from_repo:
        from .published import agreed, run_of

        settings, published = run_of(args)
        made = published.identity
        if settings.num_rows > published.num_rows:
            agreed(published, settings, lambda text: None)
            ready(settings, made)
    else:
        (settings, made), published = _run_of(args), None
    for name in ("private", "with_journal", "replace", "validation"):
        if getattr(args, name) and not args.push_to_hub:
            raise UsageError(f"--{name.replace('_', '-')} goes with --push-to-hub")
    if args.push_to_hub:
        Pushed.of(args, args.push_to_hub).check(made.model)
    return settings, made, published


def _with_rows(argv: list[str], num_rows: int) -> str:
    """The command with so many rows."""
    kept = list(argv)
    for flag in ("-n", "--num-rows"):
        if flag in kept:
            del kept[kept.index(flag) : kept.index(flag) + 2]
    return shlex.join(["llm-created", *kept, "-n", str(num_rows)])


def preview(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created preview`: the calls up to the first row, journaled, so that the run does not buy them again."""
    settings, made = _run_of(args)
    with Journal(run_folder(made.digest), made.as_json) as journal:
        with suppress(StoppedShort):
            asyncio.run(_first_turn(made, settings, journal))
        journal.flush()
        votes = settings.verify + (self_correct(settings, made) != "off")
        for line in shown.preview(journal, made, settings.num_rows, price(settings), _width(), votes):
            out(line)
    return 0


async def _first_turn(made: Identity, settings: Settings, journal: Journal) -> None:
    from contextlib import AsyncExitStack

    if any(turn.asked for turn in journal.turns()):
        return  # it is there, and what the run's checks made of it stays
    journal.set("task", made.task.to_json())
    async with AsyncExitStack() as stack:
        caps = budget(settings, journal)
        asked = await client(settings, made, journal, stack)
        # What is planned before the first row goes out together.
        made_rows = create_rows(made, asked, journal, 1, concurrency=settings.concurrency, patience=1, budget=caps)
        async with aclosing(made_rows) as first:
            async for _ in first:
                pass


def tasks(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created tasks`: the built-in tasks."""
    for name in known.names():
        source = known.load(name)
        task = source.task
        space = (
            f"{task.num_options or 'any number of'} options a row" if task.variable else ", ".join(task.labels or ())
        )
        fields = fit(" + ".join(task.inputs), 27)
        out(f"{name:<12} {source.family:<11} {fields:<27} {fit(space, 22):<22} {_hub(source)}"[: _width()].rstrip())
    return 0


def _hub(source: Source) -> str:
    return source.human.path if source.human else ""


def runs(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created runs`: the runs in the cache, newest first."""
    found = False
    for digest, made, name in all_runs(unreadable=lambda error: say(f"error: {error}")):
        found = True
        with Journal(cache_folder() / "runs" / digest) as journal:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(journal.get("created", 0)))
            kept, target = funnel(journal).kept, journal.get("target", 0)
            task = Task.from_json(journal.get("task"))
        about = f"{task.name} {made['strategy']} {made['model']}"
        out(f"{digest[:8]}  {day}  {kept:>6}/{target:<6} {about}" + (f"  ({name})" if name else ""))
    if not found:
        out(f"no runs in {cache_folder()}: begin with `llm-created create csqa --model demo -n 200`")
    return 0


def show(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created show RUN`."""
    with Journal(find(args.run)) as journal:
        task = Task.from_json(journal.get("task"))
        for line in shown.run(journal, task, width=_width(), sample=max(args.sample, 0)):
            out(line)
    return 0


def evaluate(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created evaluate RUN --on TEST ...`: a linear model on the rows, and its score."""
    from . import trial, trial_result, verdict

    if args.results:
        trial_result.check(args.on)
    task = _task(args.task) if args.task else None
    names = ("human_data", "features", "embedding_model", "num_rows", "seed")
    found = trial.evaluate(args.run, args.on, task=task, **{name: getattr(args, name) for name in names})
    for line in verdict.lines(found):
        out(line)
    for path in trial_result.write(found, args.results) if args.results else ():
        out(f"written: {path}")
    return 0


def _task(name: str) -> Task:
    if not name.endswith(".json"):
        return known.load(name).task
    value = known.read_json(name)
    if not isinstance(value, dict) or "inputs" not in value:
        raise UsageError(f"--task {name!r} is no task.json: give the one that stands in the folder of a run's rows")
    return Task.from_json(value)
