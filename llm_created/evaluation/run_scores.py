"""The scores of models trained on a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import results
from .scores import Score, is_majority, mcnemar


def score_lines(root: str, run: str) -> list[dict[str, Any]]:
    """The scores of models that were trained on a run, each held against one that was trained on human rows.

    Args:
        root (`str`): a folder of results.
        run (`str`): the run's digest; results that do not name it are left out.

    Raises:
        UsageError: there is no such folder, or a file in it is no result.
    """
    found = results.read_all(root)
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        if not any(isinstance(part, dict) and part.get("run") == run for part in one["train"].get("sources") or ()):
            continue
        for test in one["scores"]:
            human = _human(one, test, found)
            against = _paired(one, human, test) if human else {}
            lines[one["path"], test] = _line(one, test) | against
            if human:
                lines[human["path"], test] = _line(human, test)
    return sorted(lines.values(), key=lambda line: (line["distribution"] != "in", line["test"], line["model"]))


def _human(one: Mapping[str, Any], test: str, found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The same model with the same seed on human rows of the same task: on as many rows as there is one for."""
    same = ("task", "model", "seed")
    wanted = _line(one, test)["train_rows"] or 0
    human = [two for two in found if two["train_set"] == "human" and all(one[name] == two[name] for name in same)]
    fit = [two for two in human if test in two["scores"]]
    return min(fit, key=lambda two: abs((_line(two, test)["train_rows"] or 0) - wanted), default=None)


def _line(result: Mapping[str, Any], test: str) -> dict[str, Any]:
    entry = result["scores"][test]
    score = Score.from_json(entry)
    about = {name: result[name] for name in ("train_set", "model", "seed")}
    rows = entry.get("train_rows") or result["train"].get("rows")
    where = {"test": test, "distribution": entry.get("distribution") or "in", "train_rows": rows}
    return about | where | score.to_json() | {"constant": is_majority(score), "leaked": entry.get("leaked") or 0}


def _paired(one: Mapping[str, Any], two: Mapping[str, Any], test: str) -> dict[str, Any]:
    """The exact McNemar test of two models, where the predictions of both are there and of the same rows."""
    files = [Path(result["path"]).parent / str(result["scores"][test].get("predictions")) for result in (one, two)]
    if not all(file.is_file() for file in files):
        return {}
    first, second = (results.read_predictions(file) for file in files)
    if [(line["id"], line["answer"]) for line in first] != [(line["id"], line["answer"]) for line in second]:
        return {}
    pair = mcnemar(*([line["prediction"] == line["answer"] for line in lines] for lines in (first, second)))
    return {"p": pair.p, "only_created": pair.only_first, "only_human": pair.only_second}
