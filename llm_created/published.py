"""`create --from`: a run that was pushed with its replies, checked and grown by anybody."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from .errors import UsageError
from .fetched import Published, fetch
from .identity import Identity
from .journal import Journal
from .replay import again
from .settings import Settings
from .task import Row
from .text import shorten

# What a run is was published with it: these would make it another one.
_DECIDED = (
    "task", "example", "label_space", "labels", "answer_field", "options_field", "seed_example", "model",
    "num_examples", "chains", "temperature", "top_p", "instruction_extra", "embedding_model", "paper", "strategy",
    "method", "contexts", "attributes", "attributes_out", "description", "fields", "num_options",
)  # fmt: skip
# The checks that its rows have passed, but for code and files that only the publisher has, and for a model that is
# loaded. Nothing else that stands there may become a setting: the file is anybody's.
_CHECKS = ("verify", "self_correct", "balance")
_HUB_MODEL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def run_of(args: argparse.Namespace) -> tuple[Settings, Published]:
    """The run that `create --from` means: as many rows as were published, or as `-n` says.

    Raises:
        UsageError: something is given that would make it another run.
    """
    for name in _DECIDED:
        # With --near-duplicates it is the model of that check.
        if getattr(args, name) and not (name == "embedding_model" and args.near_duplicates is not None):
            flag = "the task" if name == "task" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--from takes the run as it was published: leave out {flag}")
    settings = Settings.of(args)
    settings.check()
    found = fetch(args.from_repo, settings)
    settings.model, settings.seed = found.identity.model, found.identity.seed
    settings.num_rows = settings.num_rows if args.num_rows is not None else found.num_rows
    taken = {name: found.checks[name] for name in _CHECKS if found.checks.get(name) and not getattr(settings, name)}
    # Some methods have a check by default, which these rows may not have passed.
    settings.self_correct = settings.self_correct or "off"
    if "verify" in taken:
        taken["verify_rule"] = found.checks.get("verify_rule", "drop")
    for name, value in taken.items():
        setattr(settings, name, value)
    settings.check()
    if settings.balance and found.identity.task.labels is None:
        raise UsageError(f"--balance evens out fixed labels, and each row of {found.name} has its own options")
    return settings, replace(found, taken=taken, grows=args.num_rows is not None)


def agreed(found: Published, settings: Settings, say: Callable[[str], None]) -> None:
    """Show what buying rows of a published run sets going beside the calls for them.

    Raises:
        UsageError: nobody has agreed to that with `--yes`, or it cannot be.
    """
    model, asked = found.identity.embedding_model, []
    if found.identity.embeds:
        if not _HUB_MODEL.fullmatch(model) or Path(model).exists():
            raise UsageError(
                f"{found.name}: its examples are chosen by the embedding model {model!r}, which is a path: the run "
                "can be made again, but not grown here"
            )
        asked.append(f"the embedding model {model!r} is loaded")
    votes = int(found.taken.get("verify", 0)) + ("self_correct" in found.taken)
    if votes:
        rows = max(settings.num_rows - found.num_rows, 0)
        named = ", ".join(f"--{name.replace('_', '-')} {found.taken[name]}" for name in _CHECKS if name in found.taken)
        about = f"about {votes * rows:,} calls" if rows else "the calls for those that its journal lacks"
        asked.append(f"its rows passed {votes} vote{'s' * (votes > 1)} each ({named}): {about}")
    if asked and not settings.yes:
        raise UsageError(f"{found.name}: beside the calls for rows, {'; and '.join(asked)}. Add --yes to agree")
    for one in asked:
        say(f"{found.name}: agreed with --yes: {one}")


def made_again(found: Published, settings: Settings, journal: Journal) -> tuple[list[Row], str, str]:
    """Take a published run's replies in, and make its rows again without a request.

    Returns:
        `tuple[list[Row], str, str]`: the rows, as many as were published or are wanted; whether they are the
        published ones, in words; and what the journal lacks, where they are fewer.
    """
    added = journal.absorb(*found.replies)
    if journal.get("seed_from") is None:
        journal.set("seed_from", found.about["seed_from"])
    wanted = min(settings.num_rows, found.num_rows)
    rows, lacking = asyncio.run(again(found.identity, settings, journal, wanted))
    said = f"{found.name}: {added} replies taken over, {len(rows)} rows made again without a request"
    different = found.difference(rows, wanted)
    if different:
        said += f": they are NOT the published ones, {different}"
    else:
        said += f": they are {'all' if wanted == found.num_rows else 'the first'} {wanted} published ones"
    return rows, "\n".join([said, *_left_out(found, settings)]), lacking


def as_here(identity: Identity, journal: Journal) -> Identity:
    """The run under the name that its task has in the journal: neither that nor a citation is part of what it is."""
    task = replace(identity.task, name=journal.get("task")["name"])
    return replace(identity, task=task, seed_from=journal.get("seed_from"))


def _left_out(found: Published, settings: Settings) -> Iterator[str]:
    """The checks that the published rows have passed and these have not, a line each."""
    for name, why in (
        ("filter", "it is the publisher's code"),
        ("check_against", "it takes files"),
        ("near_duplicates", "no embedding model that a stranger names is loaded"),
    ):
        if found.checks.get(name) and not getattr(settings, name):
            value = found.checks[name]
            shown = shorten(" ".join(value) if isinstance(value, list) else str(value), 80)
            model = found.checks.get("embedding_model") if name == "near_duplicates" else None
            more = f" --embedding-model {model}" if model else ""
            flag = f"--{name.replace('_', '-')} {shown}{more}"
            yield f"note: the published rows passed {flag}; {why}, so that is left out unless you give it"
