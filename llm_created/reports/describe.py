"""What a run is, in words, and the command that defines it once more: for cards and reports."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..prompts import examples as prompt
from ..runs.identity import METHODS
from ..runs.settings import DEMO
from ..tasks import builtin as tasks
from ..tasks.builtin import Source
from ..tasks.guide import Guide
from ..tasks.task import Task

# Flags of `create` and their defaults, where they are part of what a run is.
_FLAGS = {"num_examples": 5, "chains": 8, "contexts": 20, "seed": 42, "temperature": 1.0, "top_p": 1.0}
# Values of an attribute that are named one by one, in characters.
_LONGEST_NAMED = 160
_BY_PAPER = ("num_examples", "chains", "temperature", "top_p")
# What becomes of a row by the rule of a judge: of several votes, and of one call.
_BY_VOTES = {
    "drop": "a row stays if more than half are for its answer",
    "relabel": "a row gets the answer that more than half are for, and without one it is left out",
    "keep": "every row stays as it is",
}
_BY_CALL = {
    "drop": "a row stays if its answer is confirmed",
    "relabel": "a row gets the answer that is held right, and without one it is left out",
    "keep": "every row stays as it is",
}


def again(
    identity: Mapping[str, Any],
    task: Task,
    num_rows: int,
    seed_from: Mapping[str, Any] | None,
    checks: Mapping[str, Any],
    provider: str | None,
) -> str:
    """The command that defines the same run with the same checks, and so asks for the same rows."""
    source = tasks.load(task.name) if task.name in tasks.names() else None
    own = source if source is not None and source.task == task else None
    method = identity["strategy"] if identity["strategy"] in METHODS else ""
    words = [task.name] if own and (_same(identity, own) or seed_from) else ["--example", "task.json"]
    paper, extra = _wording(identity, task)
    words += ["--paper"] if paper else []
    if seed_from:
        words += [] if paper else ["--seed-example", "human"]
        words += [] if seed_from["dataset"] else ["--human-data", "FOLDER"]
    elif paper:
        words += ["--seed-example", "own"]
    words += ["--model", identity["model"]]
    words += [] if provider == "OpenAI" or identity["model"] == DEMO else ["--base-url", "URL"]
    words += ["--method" if method else "--strategy", identity["strategy"], "-n", str(num_rows)]
    for name, default in _FLAGS.items():
        chosen = name in identity and identity[name] != default and not (paper and name in _BY_PAPER)
        if chosen and not (name == "num_examples" and method in ("attrprompt", "simprompt")):
            words += [f"--{name.replace('_', '-')}", str(identity[name])]
    if "embedding_model" in identity and not paper:
        words += ["--embedding-model", identity["embedding_model"]]
    if identity.get("attributes") and not (
        method and own and own.guide and own.guide.attributes == identity["attributes"]
    ):
        words += ["--attributes", "ATTRIBUTES.json"]
    words += ["--instruction-extra", "FILE"] if extra else []
    for name, value in checks.items():
        if not (name == "self_correct" and method == "targen" and value == "relabel"):
            words += [f"--{name.replace('_', '-')}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    if method == "targen" and "self_correct" not in checks:
        words += ["--self-correct", "off"]
    return shlex.join(["llm-created", "create", *words])


def _same(identity: Mapping[str, Any], source: Source) -> bool:
    """Whether the built-in task shows the run's example, or tells what the run was told."""
    if identity["example"] is not None:
        return source.example is not None and identity["example"] == source.task.example(
            source.task.seed_row(source.example)
        )
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
        ours = prompt.instruction(task, identity["num_examples"], paper=paper, balance=balance)
        if said.startswith(ours):
            return paper, said.removeprefix(ours).strip()
    return False, said


def checks_said(checks: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The emission checks of a run, as its journal names them: what each is called, and what it does."""
    said: dict[str, str] = {}
    if checks.get("filter"):
        said["filter"] = f"{checks['filter']}, a function that says which rows are left out"
    if checks.get("near_duplicates"):
        said["near-duplicates"] = (
            f"a row whose cosine to an earlier one is {checks['near_duplicates']} or more is left out"
        )
    if checks.get("check_against"):
        what = "is left out" if checks.get("leaks") != "report" else "stays, and is counted"
        said["leakage"] = f"a row that repeats one of {', '.join(checks['check_against'])} {what}"
    if checks.get("self_correct"):
        said["self-correction"] = f"one call sees the answer and rechecks it: {_BY_CALL[checks['self_correct']]}"
    if checks.get("verify"):
        votes = "one blind vote" if checks["verify"] == 1 else f"{checks['verify']} blind votes"
        said["verification"] = f"{votes} on the answer: {_BY_VOTES[checks.get('verify_rule') or 'drop']}"
    if checks.get("balance"):
        said["balance"] = "rows are held back so that at every point the labels are even, to within one row"
    return list(said.items())


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
