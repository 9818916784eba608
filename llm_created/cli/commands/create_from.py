"""`llm-created create --from`: which run is meant, and what has to be agreed to."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...errors import UsageError
from ...hub.fetched import Published, fetch
from ...runs.knobs import IDENTITY
from ...runs.settings import KNOBS, LOCAL, Settings

# What a run is was published with it: these would make it another one.
_DECIDED = (
    "task", "example", "label_space", "labels", "answer_field", "options_field", "strategy", "method",
    "attributes_out", "fields", "aside", "num_options", *(one.name for one in KNOBS.values() if one.kind == IDENTITY),
)  # fmt: skip
# The checks that its rows have passed, but for code and files that only the publisher has, and for a model that is
# loaded. Nothing else that stands there may become a setting: the file is anybody's.
_CHECKS = ("verify", "self_correct", "reviewed", "balance")
_HUB_MODEL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def run_of(args: argparse.Namespace) -> tuple[Settings, Published]:
    """The run that `create --from` means: as many rows as were published, or as `-n` says.

    Raises:
        UsageError: something is given that would make it another run.
    """
    _refuse(args)
    settings = Settings.of(args)
    settings.check()
    found = fetch(args.from_repo, settings)
    settings.model, settings.seed = _writer(settings, found), found.identity.seed
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


def _writer(settings: Settings, found: Published) -> str:
    """The model that is asked for what is new: the published one, or where a person here has it in a folder."""
    wanted = found.identity.model
    if settings.local is not None and settings.model_name != wanted:
        raise UsageError(f"{found.name} is by {wanted!r}, and --model {settings.model} is another one: leave it out")
    return settings.model or wanted


def _refuse(args: argparse.Namespace) -> None:
    """Say what would make it another run."""
    for name in _DECIDED:
        # With --near-duplicates it is the model of that check.
        near = name == "embedding_model" and args.near_duplicates is not None
        # Where a model of this process lies is nothing that is published.
        here = name == "model" and str(args.model).partition(":")[0] == LOCAL
        if getattr(args, name) and not near and not here:
            named = "the task" if name == "task" else f"`{name}`"
            raise UsageError(f"--from takes the run as it was published: leave out {named}")


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
    asked += _writer_taken(found, settings)
    asked += _votes_taken(found, max(settings.num_rows - found.num_rows, 0))
    if asked and not settings.yes:
        raise UsageError(f"{found.name}: beside the calls for rows, {'; and '.join(asked)}. Add --yes to agree")
    for one in asked:
        say(f"{found.name}: agreed with --yes: {one}")


def _writer_taken(found: Published, settings: Settings) -> list[str]:
    """The model that a stranger's run names, if it would be loaded in this process, and nobody here has named another
    place for it.

    Raises:
        UsageError: it is no name on the Hub, or one that stands for a path of this machine.
    """
    name = settings.local
    if not name or settings.model != found.identity.model:
        return []
    if not _HUB_MODEL.fullmatch(name) or Path(name).exists():
        raise UsageError(
            f"{found.name}: its rows are by {settings.model!r}, a model in a folder: say with --model local:FOLDER "
            "where it is here"
        )
    return [f"the model {name!r} is loaded, which writes them here"]


def _votes_taken(found: Published, rows: int) -> list[str]:
    """The votes on so many more rows, in words, if there are any."""
    votes = Settings(verify=found.taken.get("verify", 0)).votes + ("self_correct" in found.taken)
    if not votes:
        return []
    asking = (name for name in _CHECKS if name in found.taken and name != "reviewed")
    named = ", ".join(f"{KNOBS[name].option} {found.taken[name]}" for name in asking)
    about = f"about {votes * rows:,} calls" if rows else "the calls for those that its journal lacks"
    return [f"its rows passed {votes} vote{'s' * (votes > 1)} each ({named}): {about}"]
