"""What a run is, in words, and the command that defines it once more: for cards and reports."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..prompts import examples as prompt
from ..runs.identity import METHODS
from ..runs.knobs import EMISSION, IDENTITY
from ..runs.settings import DEMO, KNOBS, Settings
from ..tasks import builtin as tasks
from ..tasks.builtin import Source
from ..tasks.guide import Guide
from ..tasks.task import Task

# Settings that are part of what a run is, and are named where they are not as usual.
_NUMBERS = [one for one in KNOBS.values() if one.kind == IDENTITY and one.type.startswith(("int", "float"))]
# Values of an attribute that are named one by one, in characters.
_LONGEST_NAMED = 160


def again(
    identity: Mapping[str, Any],
    task: Task,
    num_rows: int,
    seed_from: Mapping[str, Any] | None,
    checks: Mapping[str, Any],
    provider: str | None,
) -> str:
    """The command that defines the same run with the same checks, and so asks for the same rows."""
    own = _built_in(task)
    method = identity["strategy"] if identity["strategy"] in METHODS else ""
    paper, extra = _wording(identity, task)
    named = own is not None and (_same(identity, own) or bool(seed_from))
    words = [task.name] if named else ["--example", "task.json"]
    words += ["--paper"] * paper
    words += _example_words(seed_from, paper)
    words += _model_words(identity["model"], provider)
    words += ["--method" if method else "--strategy", identity["strategy"], "-n", str(num_rows)]
    words += _number_words(identity, paper, method)
    words += _text_words(identity, paper, own.guide if own and method else None)
    words += ["--instruction-extra", "FILE"] if extra else []
    return shlex.join(["llm-created", "create", *words, *_check_words(checks, method)])


def _built_in(task: Task) -> Source | None:
    """The built-in task, if this is one as it stands."""
    source = tasks.load(task.name) if task.name in tasks.names() else None
    return source if source is not None and source.task == task else None


def _model_words(model: str, provider: str | None) -> list[str]:
    served = model != DEMO and Settings(model=model).local is None
    return ["--model", model, *(["--base-url", "URL"] if served and provider != "OpenAI" else [])]


def _example_words(seed_from: Mapping[str, Any] | None, paper: bool) -> list[str]:
    """Where the formatting example is from, where that is not as usual."""
    if not seed_from:
        return ["--seed-example", "own"] if paper else []
    drawn = [] if paper else ["--seed-example", "human"]
    return drawn + ([] if seed_from["dataset"] else ["--human-data", "FOLDER"])


def _text_words(identity: Mapping[str, Any], paper: bool, guide: Guide | None) -> list[str]:
    named = "embedding_model" in identity and not paper
    words = ["--embedding-model", identity["embedding_model"]] if named else []
    if identity.get("attributes") and not (guide and guide.attributes == identity["attributes"]):
        words += ["--attributes", "ATTRIBUTES.json"]
    return words


def _number_words(identity: Mapping[str, Any], paper: bool, method: str) -> list[str]:
    words: list[str] = []
    for one in _NUMBERS:
        usual = one.name not in identity or identity[one.name] == one.stands_for or (paper and one.paper is not None)
        if not usual and not (one.name == "num_examples" and method in ("attrprompt", "simprompt")):
            words += [one.option, str(identity[one.name])]
    return words


def _check_words(checks: Mapping[str, Any], method: str) -> list[str]:
    words: list[str] = []
    for name, value in checks.items():
        if not (name == "self_correct" and method == "targen" and value == "relabel"):
            words += [KNOBS[name].option, *(map(str, value) if isinstance(value, list) else [str(value)])]
    return words + (["--self-correct", "off"] if method == "targen" and "self_correct" not in checks else [])


def _same(identity: Mapping[str, Any], source: Source) -> bool:
    """Whether the built-in task shows the run's example, or tells what the run was told."""
    if identity["example"] is not None:
        own = (source.example, *source.more_examples) if source.example is not None else ()
        shown = (identity["example"], *identity.get("more_examples", ()))
        first, second = (list(map(source.task.line, map(source.task.seed_row, several))) for several in (own, shown))
        return first == second
    told = source.guide.to_json() if source.guide else {}
    return all(told.get(name) == value for name, value in identity["guide"].items())


def _wording(identity: Mapping[str, Any], task: Task) -> tuple[bool, str]:
    """Whether the instruction is the paper's to the letter, and what a person appended to it."""
    said = identity["instruction"]
    if "guide" in identity:
        ours = prompt.instruction_for_one(task, Guide.from_json(identity["guide"]))
        return False, said.removeprefix(ours).strip()
    balance = bool(identity.get("balance"))
    for paper in (False, True):
        several = identity["strategy"] == "pool"
        ours = prompt.instruction(task, identity["num_examples"], paper=paper, balance=balance, several=several)
        if said.startswith(ours):
            return paper, said.removeprefix(ours).strip()
    return False, said


def checks_said(checks: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The emission checks of a run, as its journal names them: what each is called, and what it does."""
    words = {name: one.put(checks.get(name) or one.stands_for) for name, one in KNOBS.items() if one.kind == EMISSION}
    return [(one.card, one.said.format_map(words)) for name, one in KNOBS.items() if one.card and checks.get(name)]


def attributes_said(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The attribute dimensions of a run: what each is called, and where its values are from."""
    return [(name, _values_said(value)) for name, value in attributes.items()]


def _values_said(value: Any) -> str:
    if isinstance(value, str):
        return f"values that the model named: {value}"
    if isinstance(value, Mapping):
        about = value.get("per_label") if len(value) == 1 else None
        return f"values for each label that the model named: {about}" if isinstance(about, str) else "values by label"
    named = ", ".join(map(str, value))
    return named if len(named) <= _LONGEST_NAMED else f"{len(value)} values"
