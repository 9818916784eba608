"""Result files: one JSON for each trained model, the predictions beside it; tables are made from nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..tasks.task import Row
from ..utils.files import write_text
from ..utils.text import digest, shorten, slug
from .scores import Score

_VERSIONS = ("llm-created", "torch", "transformers", "accelerate", "datasets", "scikit-learn", "sentence-transformers")
_WANTED = {
    "task": str,
    "train_set": str,
    "model": str,
    "creation_seed": str,
    "seed": int,
    "train": dict,
    "scores": dict,
}
_LINE = {"id": str, "answer": int, "prediction": int}


def path(root: str | os.PathLike[str], task: str, train_set: str, model: str, creation_seed: str, seed: int) -> Path:
    """`results/<task>/<train-set>/<model>/<creation seed>-<seed>.json`, each part made safe.

    Args:
        root (`str` or `PathLike`): the folder of all results.
        task (`str`): the task's name.
        train_set (`str`): `"human"`, a strategy, or several sources joined with `+`.
        model (`str`): what was trained: its name, not a path of this machine.
        creation_seed (`str`): the seed of the run that wrote the rows; `"-"` for human data, `none` in the name.
        seed (`int`): the seed of the training.
    """
    # A + tells a mixture from a strategy, and slug would drop it.
    train_set = "+".join(slug(part) for part in train_set.split("+"))
    made = "none" if creation_seed == "-" else slug(creation_seed)
    return Path(root, slug(task), train_set, slug(model), f"{made}-{seed}.json")


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result under a temporary name and rename it.

    Raises:
        RunFailed: the file system refuses.
    """
    write_text(path, json.dumps(result, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def write_predictions(path: Path, test: str, rows: Sequence[Row], predictions: Sequence[int]) -> str:
    """Write the predictions of one test set beside a result: JSON lines of `id`, `answer`, `prediction`.

    Args:
        path (`Path`): the result's file.
        test (`str`): the test set's name (`csqa:test`).
        rows (`Sequence[Row]`): its rows.
        predictions (`Sequence[int]`): an index into each row's options.

    Returns:
        `str`: the file's name, relative to the result.
    """
    name = slug(test)
    # Another test set may have the same slug, or the same first 64 characters.
    name = (
        f"{path.stem}.{name}.jsonl"
        if name == test.replace(":", "-")
        else f"{path.stem}.{name}-{digest(test, 3)}.jsonl"
    )
    lines = (
        json.dumps({"id": row.id, "answer": row.answer, "prediction": int(predicted)})
        for row, predicted in zip(rows, predictions, strict=True)
    )
    write_text(path.with_name(name), "".join(f"{line}\n" for line in lines))
    return name


def read_all(root: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Every result under a folder, in the order of their paths, each with its `path`.

    Raises:
        UsageError: there is no such folder, or a file in it is no result.
    """
    if not Path(root).is_dir():
        raise UsageError(f"there is no folder of results {str(root)!r}")
    return [_read(file) for file in sorted(Path(root).rglob("*.json")) if not file.name.startswith(".")]


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the result {str(file)!r} cannot be read: {shorten(str(error), 120)}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{str(file)!r} is no result: it holds a {type(value).__name__}, not an object")
    for name, kind in _WANTED.items():
        if not isinstance(value.get(name), kind):
            raise UsageError(f"{str(file)!r} is no result: {name!r} is {shorten(repr(value.get(name)), 40)}")
    for test, figures in value["scores"].items():
        try:
            Score.from_json(figures if isinstance(figures, dict) else {})
        except UsageError as error:
            raise UsageError(f"{str(file)!r}, {test}: {error}") from None
    return value | {"path": str(file)}


def read_predictions(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a prediction file.

    Raises:
        UsageError: the file is missing, empty, or a line is not what `write_predictions` writes.
    """
    lines: list[dict[str, Any]] = []
    try:
        for number, text in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
            line = json.loads(text)
            if not isinstance(line, dict) or any(not isinstance(line.get(name), kind) for name, kind in _LINE.items()):
                raise UsageError(f"{str(path)!r}, line {number}: id, answer and prediction are wanted")
            lines.append(line)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"the predictions {str(path)!r} cannot be read: {shorten(str(why), 120)}") from None
    if not lines:
        raise UsageError(f"the predictions {str(path)!r} are empty")
    return lines


def environment() -> dict[str, Any]:
    """What a figure was made with: the command, versions, the commit where this is a clone, and the time (UTC)."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": versions,
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str:
    """The commit of the clone that runs, `-dirty` where files differ; `""` where it is installed without one."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return ""
    # `exclude`: a tag would take the place of the commit.
    command = ["git", "-C", str(root), "describe", "`always`", "`dirty`", "`abbrev`=40", "`exclude`", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def fingerprint(rows: Iterable[Row]) -> str:
    """A digest of which rows these are, in which order, with which answers."""
    return digest([[row.id, row.options[row.answer]] for row in rows])
