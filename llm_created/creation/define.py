"""The identity of a run, made from its settings and its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..data.human_rows import draw, load_hub, load_local
from ..data.sources import human_folder
from ..errors import UsageError
from ..methods.choose import strategy as strategy_of
from ..methods.pool import Pool
from ..prompts import examples as prompt
from ..runs.identity import CHAINED, METHODS, SELF_REFERENCE, Identity, known_strategy
from ..runs.settings import KNOBS, Settings
from ..tasks.builtin import Source
from ..tasks.guide import Guide
from ..tasks.inference import EXPLAINS
from ..tasks.task import Row, Task
from ..utils.files import read_json, text_or_file
from ..utils.text import fold


def identity(settings: Settings, source: Source, strategy: str) -> Identity:
    """The run that these settings define on a task.

    Raises:
        UsageError: no model is given, or a setting is out of range or contradicts `paper=True`.
    """
    settings.check()
    strategy = known_strategy(strategy)
    balanced = settings.balance in (True, "ask") and strategy in SELF_REFERENCE
    _together(settings, source, strategy, balanced)
    shared: dict[str, Any] = {
        "task": source.task,
        "model": settings.model_name,
        "strategy": strategy,
        "num_examples": settings.get("num_examples"),
        "temperature": float(settings.get("temperature")),
        "top_p": float(settings.get("top_p")),
        "seed": settings.seed,
        "min_words": settings.min_words,
    }
    if strategy in METHODS:
        made = Identity(**shared, example=None, **_in_words(settings, source, strategy))
    else:
        made = Identity(**shared, balance=balanced, **_by_example(settings, source, strategy, balanced))
    # Its strategy looks at it: what is wrong with attributes is said before anything else.
    strategy_of(made, Pool())
    return made


def _together(settings: Settings, source: Source, strategy: str, balanced: bool) -> None:
    """Say what does not go together."""
    task = source.task
    if not settings.model:
        raise UsageError(
            "which model should write? Give `model` NAME (with OPENAI_API_KEY set), `model` NAME `base_url` "
            "http://localhost:8000/v1 (a local server), or `model` demo (built in, no key)"
        )
    if settings.balance and task.labels is None:
        raise UsageError(f"`balance` evens out fixed labels, and each row of {task.name!r} has its own options")
    if settings.paper and (balanced or strategy in (*METHODS, "pool")):
        what = "`balance` (hold it back with `balance` hold)" if balanced else strategy
        raise UsageError(f"`paper=True` is the self-reference of the EMNLP 2023 paper: leave it out, or {what}")
    if settings.seed_example and strategy in METHODS:
        raise UsageError(f"`seed_example` goes with self-reference: {strategy} shows no example")
    if strategy in SELF_REFERENCE and source.example is None:
        raise UsageError(f"`strategy` {strategy} begins with a formatting example, and {task.name!r} has none")


def _in_words(settings: Settings, source: Source, strategy: str) -> dict[str, Any]:
    """What an identity holds of a method that shows no example."""
    guide, attributes = guide_of(settings, source, strategy), _attributes(settings)
    if strategy != "attrprompt" and attributes:
        raise UsageError(f"`attributes` goes with attrprompt or self-reference, not with {strategy}")
    if strategy == "attrprompt":
        attributes = attributes or guide.attributes
        if not attributes:
            raise UsageError(
                f"attrprompt needs attribute dimensions, and {source.task.name!r} has none: give `attributes` FILE or "
                "ask"
            )
    return {
        "instruction": prompt.instruction_for_one(source.task, guide, _extra(settings)),
        "guide": guide,
        "contexts": settings.contexts or 20,
        "attributes": attributes or None,
    }


def _by_example(settings: Settings, source: Source, strategy: str, balanced: bool) -> dict[str, Any]:
    """What an identity holds of self-reference."""
    task = source.task
    own = settings.seed_example is None and source.human is None and not settings.human_data
    drawn = settings.get("seed_example") == "human" and not (settings.paper and own)
    if source.more_examples and (drawn or settings.paper):
        what = "`paper=True` begins with" if settings.paper else "`seed_example` human draws"
        raise UsageError(f"{what} one formatting example, and {1 + len(source.more_examples)} are given: leave it out")
    example, seed_from = _human_example(settings, source) if drawn else (source.example or {}, None)
    num_examples, extra = settings.get("num_examples"), _extra(settings)
    return {
        "instruction": prompt.instruction(
            task, num_examples, paper=settings.paper, extra=extra, balance=balanced, several=strategy == "pool"
        ),
        "example": task.example(task.seed_row(example)),
        "chains": settings.get("chains"),
        "shown": settings.shown or 4,
        "embedding_model": settings.get("embedding_model"),
        "embed_question_only": settings.paper,
        "seed_from": seed_from,
        "more_examples": source.more_examples,
        "attributes": _attributes(settings),
    }


# What says nothing of a model of this process.
_OF_SERVERS = ("api_key_env", "timeout", "send_seed", "rpm", "tpm", "max_cost")


def without_effect(settings: Settings, strategy: str) -> list[str]:
    """A line for each setting that goes with another strategy or setting: who sets it believes in its effect."""
    strategy = known_strategy(strategy)
    judged = settings.verify or settings.self_correct not in (None, "off") or strategy == "targen"
    alone = {
        "contexts": ("targen", strategy != "targen"),
        "chains": (", ".join(CHAINED), strategy not in CHAINED),
        "shown": ("pool", strategy != "pool"),
        "num_examples": ("self-reference and targen", strategy in ("attrprompt", "simprompt")),
        "embedding_model": (
            "contrastive, similar and `near_duplicates`",
            strategy not in ("contrastive", "similar") and settings.near_duplicates is None,
        ),
        "description": (
            "targen, attrprompt, simprompt, `verify` and `self_correct`",
            not judged and strategy in SELF_REFERENCE,
        ),
        "verify_rule": ("`verify` N", settings.verify_rule != "drop" and not settings.verify),
        "leaks": ("`check_against`", settings.leaks != "drop" and not settings.check_against),
    }
    if settings.local is not None:
        alone |= dict.fromkeys(_OF_SERVERS, ("a server", True))
    return [
        f"`{name}` has no effect here: it goes with {with_what}"
        for name, (with_what, is_alone) in alone.items()
        if is_alone and getattr(settings, name) not in (None, KNOBS[name].default)
    ]


def leaking(task: Task) -> list[str]:
    """A line for each input that explains the answer, and so gives it away to whoever learns from the rows."""
    return [
        f"{name!r} is an input, and may give the answer away to a classifier: with `aside` {name} it is only kept"
        for name in task.inputs
        if fold(name) in EXPLAINS
    ]


def guide_of(settings: Settings, source: Source, strategy: str) -> Guide:
    """The task in words: the user's, else the task's own."""
    guide = source.guide or Guide("")
    if settings.description is not None:
        guide = replace(guide, description=text_or_file("`description`", settings.description))
    if not guide.description.strip():
        raise UsageError(
            f"{strategy} shows the model no example, but the task in words: give `description` 'what a row is, and "
            "what its answer says'"
        )
    guide.check(source.task)
    return guide


def _attributes(settings: Settings) -> Mapping[str, Any] | None:
    if not isinstance(settings.attributes, str):
        return settings.attributes
    if settings.attributes == "ask":
        raise UsageError(
            "attributes are asked for on the command line (`attributes` ask), where a person approves them"
        )
    found = read_json(settings.attributes, "an object of attribute dimensions")
    if not isinstance(found, Mapping):
        raise UsageError(f"{settings.attributes!r} must hold an object: attribute dimension → values; not a list")
    return found


def human_rows(settings: Settings, source: Source) -> dict[str, list[Row]]:
    """The task's human rows by split, from local files where they are given, else from the Hub."""
    if settings.human_data:
        data = settings.human_data
        return load_local(source.task, human_folder(source, data) if isinstance(data, str) else data)
    if source.human is None:
        raise UsageError(
            f"the task {source.task.name!r} has no human data on the Hub: give JSON lines with `human_data` FOLDER"
        )
    return load_hub(source.task, source.human)


def _human_example(settings: Settings, source: Source) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The formatting example drawn from human data, and where it stands there, for whoever cites it."""
    rows = human_rows(settings, source)
    if "train" not in rows:
        raise UsageError("the human data has no training split to draw a formatting example from")
    row = draw(rows["train"], settings.seed)
    # Local files are not named: a path says more about a machine than about a row.
    dataset = source.human.path if source.human and not settings.human_data else ""
    place = {"dataset": dataset, "split": "train", "index": rows["train"].index(row), "id": row.id}
    return source.task.example(row), place | {"seed": settings.seed}


def _extra(settings: Settings) -> str:
    given = settings.instruction_extra
    if given is None:
        return ""
    return text_or_file("`instruction_extra`", given)
