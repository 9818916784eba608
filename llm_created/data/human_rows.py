"""Human-labelled rows of a task: where they live on the Hub and how they are cut, or the same from local files."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RunFailed, UsageError
from ..tasks.human import Columns, Human
from ..tasks.task import Reason, Row, Task
from ..utils.text import digest, fold, shorten
from ..utils.user_code import code_of
from . import fields

SPLITS = ("train", "validation", "test")
_ALSO = dict.fromkeys(("dev", "val", "valid"), "validation")
_INSTEAD = "give local JSON-lines files instead"
_log = logging.getLogger(__name__)
Load = Callable[..., Mapping[str, Iterable[Mapping[str, Any]]]]
PathLike = str | os.PathLike[str]


def load_hub(task: Task, human: Human, load: Load | None = None) -> dict[str, list[Row]]:
    """The task's human rows from the Hub, cut by the rule in `human.splits`.

    Args:
        task (`Task`): reads each row.
        human (`Human`): where the rows are.
        load (`Callable`, *optional*): called like `datasets.load_dataset`, which is the default.

    Raises:
        RunFailed: the Hub cannot be reached, or holds something else than `human` says.
    """
    if load is None:
        import datasets  # here, because local files are read without it

        load = datasets.load_dataset
    try:
        source = load(human.path, human.config, revision=human.revision)
    except (OSError, ValueError, RuntimeError) as error:
        raise RunFailed(f"cannot load {human.path!r} from the Hub ({shorten(str(error), 160)}): {_INSTEAD}") from error
    names = {name for hub, _ in human.splits.values() for name in hub.split("+")}
    return _cut(human, {name: _hub_rows(task, human, name, source.get(name)) for name in sorted(names)})


def _cut(human: Human, pools: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The Hub's splits as ours."""
    taken: set[str] = set()
    parts: dict[str, list[Row]] = {}
    for split, (hub, size) in human.splits.items():
        parts[split] = _fill([row for name in hub.split("+") for row in pools[name]], size, taken)
        if len(parts[split]) < (size or 1):
            why = (
                f"{human.path}: {hub!r} has {len(parts[split])} usable rows for {split!r}, not {size or 'one or more'}"
            )
            raise RunFailed(f"{why}: {_INSTEAD}")
    return {split: parts[split] for split in SPLITS if split in parts}


def _hub_rows(task: Task, human: Human, name: str, records: Iterable[Mapping[str, Any]] | None) -> list[Row]:
    """The labelled rows of one split of the Hub, in the order of the file."""
    if records is None:
        raise RunFailed(f"{human.path} has no split {name!r} any more: {_INSTEAD}")
    try:
        examples = [human.columns(record) for record in records]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RunFailed(f"{human.path}: {name!r} has other columns than expected ({error!r}): {_INSTEAD}") from error
    read = [fields.read_record(task, example) for example in examples if example is not None]
    refused = Counter(row.code for row in read if isinstance(row, Reason))
    if refused:
        _log.warning("%s: %r has rows that cannot be used, they are left out: %s", human.path, name, dict(refused))
    return [row for row in read if isinstance(row, Row)]


def _fill(rows: Sequence[Row], size: int | None, taken: set[str]) -> list[Row]:
    """The first `size` rows whose questions are not `taken` yet, the rows of one question together."""
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(fold(row.inputs[0]), []).append(at)
    chosen: list[int] = []
    for question, places in groups.items():
        if question not in taken and (size is None or len(chosen) + len(places) <= size):
            taken.add(question)
            chosen += places
    return [rows[at] for at in sorted(chosen)]


def _in_folder(folder: PathLike) -> dict[str, PathLike]:
    paths = [Path(folder, f"{name}.jsonl") for name in (*SPLITS, *_ALSO)]
    return {path.stem: path for path in paths if path.exists()}


def load_local(task: Task, files: PathLike | Mapping[str, PathLike]) -> dict[str, list[Row]]:
    """Human rows from JSON-lines files, whose own splits are kept as they are.

    Args:
        task (`Task`): reads each line: an object with its field names, or `question`, `context`, `options`, `label`;
            for a built-in task also a record as its `Human.columns` takes it.
        files (`str`, `PathLike` or `Mapping`): a mapping of split names to files; or a folder that holds one or more
            of `train.jsonl`, `validation.jsonl` (or `dev.jsonl`, `val.jsonl`), `test.jsonl`.

    Raises:
        UsageError: a file is missing or a line cannot be used; the message names file, line and reason.
    """
    found = files if isinstance(files, Mapping) else _in_folder(files)
    if not found:
        raise UsageError(f"human data: {str(files)!r} is no folder that holds train.jsonl, dev.jsonl or test.jsonl")
    columns = fields.columns_of(task)
    parts: dict[str, list[Row]] = {}
    for name, path in found.items():
        split = _ALSO.get(name, name)
        if split not in SPLITS or split in parts:
            raise UsageError(f"human data: give each of {', '.join(SPLITS)} once at most, not {name!r} ({path})")
        parts[split] = _read_file(task, columns, Path(path))
    return {split: parts[split] for split in SPLITS if split in parts}


def _read_file(task: Task, columns: Columns | None, path: Path) -> list[Row]:
    rows: list[Row] = []
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                row = fields.read_line(task, columns, json.loads(line)) if line.strip() else None
                if isinstance(row, Reason):
                    raise UsageError(
                        f"{path}, line {number}: {row.code} ({shorten(row.detail)}): correct or delete it"
                    )
                rows += [row] if row else []
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"the human data {str(path)!r} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}, line {number}: not JSON in UTF-8 ({shorten(str(error), 120)}): correct it"
        ) from None
    if not rows:
        raise UsageError(f"{path} holds no rows: give JSON lines, or leave this split out")
    return rows


def draw(rows: Iterable[Row], seed: int) -> Row:
    """One row as the formatting example: the one with the smallest hash of (seed, id), in whatever order they come.

    Args:
        rows (`Iterable[Row]`): the human training split; a row that repeats an option is never drawn.
        seed (`int`): another seed draws another row.
    """
    whole = (row for row in rows if len({fold(option) for option in row.options}) == len(row.options))
    drawn = min(whole, key=lambda row: (digest([seed, row.id]), row), default=None)
    if drawn is None:
        raise UsageError("there is no human row to draw the formatting example from: give a training split")
    return drawn


def content_of_human(human: Human | None, files: str | Mapping[str, str] | None) -> list[Any]:
    """What decides the rows of the human data: the local files, or where and how they are cut from the Hub."""
    shaping = ("data/fields", "data/human_rows", "tasks/human", "tasks/task", "utils/text")
    code = [(Path(__file__).parent.parent / f"{name}.py").read_text("utf-8") for name in shaping]
    if files:
        paths = files if isinstance(files, Mapping) else {path.name: path for path in Path(files).glob("*.jsonl")}
        known = {name: Path(path) for name, path in paths.items()}
        columns = code_of(human.columns) if human else ""
        return [
            code,
            columns,
            {name: digest(path.read_bytes().hex()) for name, path in known.items() if path.is_file()},
        ]
    if human is None:
        return [code]
    return [code, human.path, human.config, human.revision, list(human.splits.items()), code_of(human.columns)]
