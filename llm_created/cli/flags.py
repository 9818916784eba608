"""The settings of a run as flags, made from their table."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..runs.knobs import EMISSION, IDENTITY, STOP, TRANSPORT, Knob
from ..runs.settings import KNOBS

if TYPE_CHECKING:
    from ..hub.options import Pushed
    from ..reports.card import Options

_TITLES = {
    IDENTITY: "the run: these decide its rows",
    TRANSPORT: "the server (the key is read from OPENAI_API_KEY)",
    STOP: "where it stops",
    EMISSION: "what is emitted: may be added to a finished run, or left out again",
}
_TYPES = {"int": int, "float": float}
# What a call for labels has of a run: nothing is grown, and nothing is emitted.
_OF_LABELS = ("model", "seed", "temperature", "top_p", "description", "human_data")
_NOT_OF_LABELS = ("num_rows", "patience", "yes")
_PATIENCE = "replies in a row that name no option and so end it"


def of_task(group: Any) -> None:
    """The settings that say which task."""
    _add(group, (one for one in KNOBS.values() if one.of_task))


def run(parser: argparse.ArgumentParser) -> None:
    """All others, in groups by what they decide."""
    group = parser.add_argument_group(_TITLES[IDENTITY])
    group.add_argument("--strategy", help="naive, random, contrastive, similar, tree (default) or pool")
    group.add_argument("--method", help="self-reference (default), targen, attrprompt or simprompt")
    group.add_argument("--attributes-out", metavar="FILE", help="where `--attributes ask` puts what the model says")
    for kind, title in _TITLES.items():
        group = group if kind == IDENTITY else parser.add_argument_group(title)
        _add(group, (one for one in KNOBS.values() if one.kind == kind and not one.of_task))


def of_description(parser: argparse.ArgumentParser) -> None:
    """The one that says a task in words, where no task is named."""
    _add(parser, [KNOBS["description"]])


def usual(parser: argparse.ArgumentParser, name: str, value: int) -> None:
    """Another default of a setting in one command, which its help says."""
    parser.set_defaults(**{name: value})
    for action in parser._actions:
        if action.dest == name:
            action.help = f"{KNOBS[name].help} (default {value})"


def of_labels(parser: argparse.ArgumentParser) -> None:
    """Those that `label` takes."""
    _add(parser, (KNOBS[name] for name in _OF_LABELS))
    _add(parser, [KNOBS["patience"]._replace(help=_PATIENCE)])
    for kind in (TRANSPORT, STOP):
        known = (one for one in KNOBS.values() if one.kind == kind and one.name not in (*_OF_LABELS, *_NOT_OF_LABELS))
        _add(parser.add_argument_group(_TITLES[kind]), known)


def card_options(args: argparse.Namespace) -> Options:
    """What the arguments say that a card cannot know."""
    from ..reports.card import Options

    return Options(args.license, tuple(args.language or ()), args.overlap)


def pushed(args: argparse.Namespace, repo: str) -> Pushed:
    """How the arguments want rows to be pushed."""
    from ..hub.options import Pushed

    return Pushed(repo, args.private, args.with_journal, args.replace, args.validation, card_options(args))


def _add(group: Any, knobs: Iterable[Knob]) -> None:
    for one in knobs:
        if not one.python:
            group.add_argument(*dict.fromkeys((one.option, f"--{one.name.replace('_', '-')}")), **_how(one))


def _how(one: Knob) -> dict[str, Any]:
    """How `argparse` takes a setting. What is not given stays `None`: the table knows what that stands for."""
    value = one.stands_for
    shown = "" if value is None or value is False or value == 0 else f" (default {value})"
    how: dict[str, Any] = {"dest": one.name, "default": None, "help": (one.help + shown).replace("%", "%%")}
    kind = one.of_values
    if kind == "bool":
        return how | {"action": "store_true"}
    if one.choices:
        how["choices"] = [choice for choice in one.choices if isinstance(choice, str)]
    else:
        number = _number_or_word if one.instead else _TYPES.get(kind, str)
        how |= {"type": number, "metavar": "|".join((one.metavar, *one.instead))}
    if one.bare is not None:
        how |= {"nargs": "?", "const": one.bare}
    return how | ({"nargs": "+"} if kind.startswith("Sequence") else {})


def _number_or_word(text: str) -> int | str:
    return int(text) if text.removeprefix("-").isdecimal() else text
