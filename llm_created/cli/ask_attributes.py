"""`--attributes ask`: the model proposes the dimensions, a person approves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..creation import connect, define
from ..creation import questions as asking
from ..creation.calls import key_of
from ..errors import RunFailed, UsageError
from ..methods.attributes import dimensions
from ..prompts.examples import Message, objects
from ..runs.identity import METHODS, Identity
from ..runs.settings import Settings
from ..tasks.builtin import Source
from ..tasks.task import Reason, Task
from ..utils import console
from ..utils.files import read_json, write_json
from ..utils.text import shorten, slug
from .main import parser

_INSTRUCTION = """\
You help to plan a dataset. {description}
Name 4 to 6 attribute dimensions in which its examples should differ, such as length, style, topic or place. The \
output **must** be one JSON object whose keys are the names of the dimensions. The value of a dimension **must** be a \
list of 5 to 10 short values{per_label}."""
_PER_LABEL = (
    '; or, where the values that fit depend on the label, the object {"per_label": "what kind of value it is, in a '
    'few words"}'
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
    per_label = _PER_LABEL if strategy in METHODS and task.labels else ""
    wanted = _INSTRUCTION.format(description=guide.description.strip(), per_label=per_label)
    labels = f"Its labels are: {'; '.join(task.labels)}." if task.labels else "Each example has its own options."
    messages: list[Message] = [{"role": "system", "content": wanted}, {"role": "user", "content": labels}]
    settings.check()
    if not settings.model:
        raise UsageError("which model should be asked? Give --model NAME, or --model demo")
    identity = Identity(
        task=task,
        example=None,
        model=settings.model,
        instruction=wanted,
        strategy="",
        temperature=float(settings.get("temperature")),
        top_p=float(settings.get("top_p")),
        seed=settings.seed,
        guide=guide,
    )
    connect.ready(settings, identity)
    reply = asking.all_replies(identity, settings, "asked", [asking.Question(messages, None, key_of(messages))])[0]
    found = next((_usable(value, task) for value in objects(reply.text) if not isinstance(value, Reason)), {})
    if not found:
        raise RunFailed(
            f"the model proposed no attributes ({shorten(reply.text or reply.reason, 120)!r}): write them into a file "
            "for --attributes"
        )
    return found


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
