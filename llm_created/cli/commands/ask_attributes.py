"""`--attributes ask`: the model proposes the dimensions, a person approves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...creation import connect, define
from ...creation import questions as asking
from ...creation.calls import key_of
from ...errors import RunFailed, UsageError
from ...methods.attributes import dimensions
from ...prompts import schemas
from ...prompts.examples import Message, objects
from ...runs.identity import METHODS, Identity
from ...runs.settings import Settings
from ...tasks.builtin import Source
from ...tasks.task import Reason, Task
from ...utils import console
from ...utils.files import read_json, write_json
from ...utils.text import scalar, shorten, slug
from ..words import parser

_INSTRUCTION = """\
You help to plan a dataset. {description}
Name 4 to 6 attribute dimensions in which its examples should differ, such as length, style, topic or place. The \
output **must** be one JSON object, {{"items": [{{"name": "...", "values": ["...", ...]{empty}}}, ...]}}: one item \
for each dimension, with a list of 5 to 10 short values{per_label}."""
_EMPTY = ', "per_label": ""'
_PER_LABEL = (
    '; or, where the values that fit depend on the label, with an empty list and a "per_label" that says what kind of '
    "value it is, in a few words"
)


def asked_for(source: Source, settings: Settings, strategy: str, out: str | None) -> Mapping[str, Any]:
    """The dimensions that the model proposes, once a person has approved of them.

    They are written to a file, so that the file, and not the model's mood, defines the run.

    Args:
        source (`Source`): the task.
        settings (`Settings`): the model, and how it is asked.
        strategy (`str`): only `attrprompt` can have values that depend on the label asked for later.
        out (`str`, *optional*): the file, by default `attributes-TASK.json` in the working directory.

    Raises:
        SystemExit: nobody is there to approve; the message says how to go on.
        RunFailed: the reply holds no dimensions.
    """
    path = Path(out or f"attributes-{slug(source.task.name)}.json").expanduser()
    found = _propose(source, settings, strategy)
    if path.exists() and read_json(str(path)) != found:
        raise UsageError(f"{str(path)!r} is there and was changed: use it with --attributes {path}, or move it away")
    write_json(path, found)
    console.out(*json.dumps(found, ensure_ascii=False, indent=2).split("\n"))
    if settings.yes:
        return found
    if console.ask(f"use these (they are in {path})? [y/N] ").strip().lower() in ("y", "yes"):
        return found
    console.say(f"these are in {path}: look them over, change what you like, and run again with --attributes {path}")
    raise SystemExit(0)


def _propose(source: Source, settings: Settings, strategy: str) -> dict[str, Any]:
    task = source.task
    guide = define.guide_of(settings, source, "--attributes ask")
    by_label = bool(strategy in METHODS and task.labels)
    more = {"empty": _EMPTY, "per_label": _PER_LABEL} if by_label else {"empty": "", "per_label": ""}
    wanted = _INSTRUCTION.format(description=guide.description.strip(), **more)
    labels = f"Its labels are: {'; '.join(task.labels)}." if task.labels else "Each example has its own options."
    messages: list[Message] = [{"role": "system", "content": wanted}, {"role": "user", "content": labels}]
    settings.check()
    if not settings.model:
        raise UsageError("which model should be asked? Give --model NAME, or --model demo")
    identity = Identity(
        task=task,
        example=None,
        model=settings.model_name or "",
        instruction=wanted,
        strategy="",
        temperature=float(settings.get("temperature")),
        top_p=float(settings.get("top_p")),
        seed=settings.seed,
        guide=guide,
    )
    connect.ready(settings, identity)
    question = asking.Question(messages, schemas.of_attributes(by_label), key_of(messages))
    reply = asking.all_replies(identity, settings, "asked", [question])[0]
    found = _usable(_proposed(reply.text), task)
    if not found:
        raise RunFailed(
            f"the model proposed no attributes ({shorten(reply.text or reply.reason, 120)!r}): write them into a file "
            "for --attributes"
        )
    return found


def _proposed(text: str) -> dict[str, Any]:
    """All dimensions that a reply names."""
    said = [_by_name(value) for value in objects(text) if not isinstance(value, Reason)]
    return {name: one for value in said for name, one in value.items()}


def _by_name(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The dimensions in an object: those that it lists, itself (of a list that was cut off), or its keys."""
    items = value.get("items", [value] if {"name", "values"} <= value.keys() else None)
    if not isinstance(items, list) or not all(isinstance(one, Mapping) and "name" in one for one in items):
        return value
    return {scalar(one["name"]) or "": one.get("values") or {"per_label": one.get("per_label")} for one in items}


def _usable(value: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """The dimensions that can be used; what the model made of the others is told."""
    found = {}
    for name, one in value.items():
        try:
            dimensions({name: one}, task)
        except UsageError as error:
            console.say(f"left out: {parser()[1]['create'].spoken(str(error))}")
        else:
            found[name] = one
    return found
