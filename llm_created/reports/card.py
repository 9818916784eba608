"""The card of a dataset: what was asked, what was thrown away, and what is in it, computed from the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..analysis import measures
from ..analysis.agreement import judged_tables
from ..analysis.audited import audit_tables, looked
from ..analysis.funnel import (
    Funnel,
    balance,
    bounds_said,
    compute_said,
    cost,
    funnel,
    held_back,
    leaks_said,
    lost_said,
    outputs_said,
    servers_said,
    spent_on_rows,
)
from ..evaluation import results
from ..runs.human import KIND
from ..runs.identity import METHODS, SELF_REFERENCE
from ..runs.journal import Journal
from ..runs.settings import DEMO
from ..tasks.task import Row, Task
from ..utils.version import __version__
from .describe import again, attributes_said, checks_said
from .markdown import join, merge, render, split, union

NAME = "README.md"
_STAGES = {
    "asked": "rows asked for",
    "parsed": "JSON objects found in the replies",
    "valid": "well-formed rows of the task",
    "unique": "rows that were no duplicates",
    "kept": "rows kept, up to the number wanted",
}
_STRATEGIES = {
    "naive": "the same formatting example in every call",
    "random": "chains: the next example is drawn from the rows of the last reply",
    "contrastive": "chains: the next example is the row of the last reply that is least like the one before",
    "similar": "chains: the next example is the row of the last reply that is most like the one before",
    "tree": "every row becomes an example once, level by level",
    "pool": "each call shows several examples: the person's, and rows that were accepted before",
    "targen": "TarGEN: contexts, instance seeds in each, a label drawn first, a row written to fit both",
    "attrprompt": "AttrPrompt: a label and attributes drawn evenly, one prompt for each row",
    "simprompt": "SimPrompt: a label drawn evenly, the same prompt for each row that has it",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SAMPLE = 3


@dataclass(frozen=True)
class Options:
    """What a person says about a dataset that no journal knows.

    Args:
        license (`str`, *optional*): its licence, in the Hub's spelling; never invented.
        language (`Sequence[str]`, *optional*): codes such as `en`.
        overlap (`str`, *optional*): a folder of results of models trained on it, which say what overlaps.
        shows_seed (`bool`, defaults to `False`): show a formatting example that is people's: its licence allows it.
    """

    license: str | None = None
    language: Sequence[str] = field(default=())
    overlap: str | None = None
    shows_seed: bool = False


def facts(journal: Journal, task: Task, rows: Sequence[Row], options: Options) -> dict[str, Any]:
    """Everything that a configuration's part of a card says, as plain data.

    Args:
        journal (`Journal`): the run's journal, open.
        task (`Task`): its task.
        rows (`Sequence[Row]`): its rows.
        options (`Options`): what a person says about them.
    """
    count, checks = funnel(journal), journal.get("emission") or {}
    identity, provider, seed_from = (journal.get(name) for name in ("identity", "provider", "seed_from"))
    return {
        **_run(journal, task, identity),
        **_examples(task, rows, identity, shown=options.shows_seed or not seed_from),
        **_emission(checks, count),
        **_labels(journal, task, count),
        **_rows(task, rows),
        **_cost(journal),
        "provider": provider,
        "seed_from": seed_from,
        "leaks": leaks_said(journal, count),
        "overlap": _overlap(options.overlap, journal.folder.name),
        "again": again(identity, task, len(rows), seed_from, checks, provider),
    }


def _run(journal: Journal, task: Task, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for."""
    return {
        "config": identity["strategy"],
        "run": journal.folder.name[:8],
        "library": f"llm-created {__version__}",
        "day": datetime.fromtimestamp(journal.get("created", 0), UTC).date().isoformat(),
        "task": task,
        "identity": identity,
        "demo": identity["model"] == DEMO,
        "strategy": _STRATEGIES[identity["strategy"]],
        "method": identity["strategy"] in METHODS,
        "attributes": attributes_said(identity.get("attributes") or {}),
        "target": journal.get("target", 0),
    }


def _examples(task: Task, rows: Sequence[Row], identity: Mapping[str, Any], shown: bool) -> dict[str, Any]:
    """What the run began with, and how far rows are from it."""
    first, others = identity["example"], identity.get("more_examples", [])
    seeds = [task.seed_row(one) for one in (first, *others)] if first else []
    return {
        "example": _json(first) if first and shown else None,
        "examples": 1 + len(others),
        "more_examples": list(map(_json, others[: _SAMPLE - 1])),
        "drift": measures.likeness(seeds, rows, {row.id: row for row in rows}, {}) if seeds else [],
    }


def _emission(checks: Mapping[str, Any], count: Funnel) -> dict[str, Any]:
    """What became of what was asked for."""
    return {
        "checks": checks_said(checks),
        "relabels": "relabel" in (checks.get("self_correct"), checks.get("verify_rule"), checks.get("reviewed")),
        "held_back": [held_back(count)] if checks.get("balance") else [],
        "stages": [(_STAGES[stage], getattr(count, stage)) for stage in _STAGES],
        "asked": count.asked,
        "turns": count.turns,
        "reasons": count.reasons.most_common(),
    }


def _labels(journal: Journal, task: Task, count: Funnel) -> dict[str, Any]:
    """Which answers there are, and what judges and people said of them."""
    found, judged = looked(journal, task), judged_tables(journal, task)
    people = [one for one in judged if one.kind == KIND]
    return {
        "judged": [one for one in judged if one.kind != KIND],
        "people": people + list(audit_tables(found, task)),
        "agreement": found.agreement() if found else [],
        "balance": list(balance(task, count).items()),
        "balanced_by": "label" if task.labels else "position of the answer",
    }


def _rows(task: Task, rows: Sequence[Row]) -> dict[str, Any]:
    step = max(len(rows) // _SAMPLE, 1)
    long = any(len(" ".join(row.inputs)) > measures.BEGINNING for row in rows)
    return {
        "num_rows": len(rows),
        "lengths": measures.lengths(task, rows),
        "beginning": measures.BEGINNING if long else None,
        "sample": [_json(task.example(row)) for row in rows[::step][:_SAMPLE]],
    }


def _cost(journal: Journal) -> dict[str, Any]:
    spent, own, price = journal.spent(), spent_on_rows(journal), journal.get("price")
    return {
        "spent": spent,
        "lost": lost_said(spent, price),
        "more": [*filter(None, (outputs_said(journal), bounds_said(journal), servers_said(journal)))],
        "own": own,
        "own_dollars": cost(own, price),
        "price": price,
        "compute": compute_said(journal),
        "dollars": cost(spent, price),
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _overlap(root: str | None, run: str) -> list[tuple[str, int, int]]:
    """Test sets that models trained on this run were scored on: name, rows, rows that are in the training data too."""
    found: dict[str, tuple[str, int, int]] = {}
    for result in results.read_all(root) if root else ():
        if any(isinstance(one, dict) and one.get("run") == run for one in result["train"].get("sources") or ()):
            for test, entry in result["scores"].items():
                if entry.get("leaked") is not None:
                    found[test] = test, int(entry["n"]), int(entry["leaked"])
    return sorted(found.values())


def head(old: Mapping[str, Any], task: Task, config: str, files: Any, options: Options) -> dict[str, Any]:
    """The head of a card with this configuration in it; what else the old one says stays.

    Args:
        old (`Mapping[str, Any]`): the head that is there, or an empty one.
        task (`Task`): the task of every configuration.
        config (`str`): the configuration's name.
        files (`Any`): its `data_files`.
        options (`Options`): what a person says.
    """
    new = dict(old)
    new |= {"license": options.license} if options.license else {}
    if options.language:
        new["language"] = union(old.get("language"), options.language)
    new["task_categories"] = union(old.get("task_categories"), categories(task))
    new["tags"] = union(old.get("tags"), ("synthetic", "llm-created"))
    for name in ("annotations_creators", "language_creators"):
        new[name] = union(old.get(name), ("machine-generated",))
    others = [one for one in old.get("configs") or () if one.get("config_name") != config]
    configs = [*others, {"config_name": config, "data_files": files}]
    return new | {"configs": sorted(configs, key=lambda one: str(one.get("config_name")))}


def categories(task: Task) -> list[str]:
    """The Hub's names for what a task is."""
    if task.variable:
        return ["multiple-choice", "question-answering"]
    return ["text-classification"] + (["question-answering"] if "question" in task.inputs else [])


def size(num_rows: int) -> str:
    """The Hub's name for a number of rows."""
    return next((name for limit, name in _SIZES if num_rows < limit), "1M<n<10M")


def write(
    old: str, new_head: Mapping[str, Any], found: Mapping[str, Any], where: str, configs: Mapping[str, int]
) -> str:
    """A card with a configuration's part in it.

    Args:
        old (`str`): the card that is there, or `""`.
        new_head (`Mapping[str, Any]`): its new head.
        found (`Mapping[str, Any]`): what `facts` gave, and what more the templates want.
        where (`str`): what `load_dataset` is called with.
        configs (`Mapping[str, int]`): rows by configuration.
    """
    _, text = split(old, where)
    first, *others = (json.dumps(name) for name in sorted(configs))
    code = f"from datasets import load_dataset\n\nrows = load_dataset({json.dumps(where)}, {first})"
    code += f"  # or {', '.join(others)}" if others else ""
    shared = dict(found) | {"where": where, "configs": sorted(configs.items()), "load": code}
    shared["methods"] = sorted(configs.keys() & set(METHODS))
    shared["by_example"] = sorted(configs.keys() & set(SELF_REFERENCE))
    parts = {
        "about": render("dataset_about.md", shared),
        str(found["config"]): render("dataset_config.md", shared),
        "limits": render("dataset_limits.md", shared),
    }
    return join(new_head, merge(text, parts, before="limits"))


def _features(task: Task, file: Path) -> list[dict[str, Any]]:
    """The features of a file in the words of a card's head, as every version of `datasets` reads them: JSON lines
    carry none of their own."""
    said: list[dict[str, Any]] = []
    for name, kind in task.feature_json.items():
        if kind["_type"] == "ClassLabel":
            names = {str(at): label for at, label in enumerate(kind["names"])}
            said.append({"name": name, "dtype": {"class_label": {"names": names}}})
        elif kind["_type"] == "Sequence":
            said.append({"name": name, "sequence": "string"})
        else:
            as_text = file.suffix == ".jsonl" and name == task.answer
            said.append({"name": name, "dtype": "string" if as_text else kind["dtype"]})
    return said


def beside(file: Path, old: str, journal: Journal, task: Task, rows: Sequence[Row], options: Options) -> str:
    """The card of a file of rows, to stand beside it.

    Args:
        file (`Path`): the file.
        old (`str`): the card that is there, or `""`.
        journal, task, rows, options: see `facts`.
    """
    found = facts(journal, task, rows, options) | {"with_journal": False}
    before, _ = split(old, str(file.parent))
    new = head(before, task, found["config"], file.name, options) | {"size_categories": [size(len(rows))]}
    new["dataset_info"] = {"config_name": found["config"], "features": _features(task, file)}
    return write(old, new, found, file.parent.name, {found["config"]: len(rows)})
