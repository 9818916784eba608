"""Rows to train on and to score on, wherever they are: a run, a folder, a file, the Hub, human data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RunFailed, UsageError
from ..runs.folders import RUN_FILE, find
from ..tasks import builtin as tasks
from ..tasks.task import Reason, Row, Task
from ..utils import files
from ..utils.text import look, shorten
from . import fields, human_rows
from .tables import SUFFIXES, is_table, records_of
from .writer import FORMATS

_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")


class Rows(NamedTuple):
    """Rows of one task.

    Attributes:
        name (`str`): what they were asked for by.
        task (`Task`): their task.
        rows (`list[Row]`): the rows, in their order.
        kind (`str`): `"created"`, `"human"` or `"file"`.
        about (`Mapping[str, Any]`): what is known of a run: its digest, identity, and the like; else empty.
    """

    name: str
    task: Task
    rows: list[Row]
    kind: str
    about: Mapping[str, Any] = {}


def load(spec: str, task: Task | None = None, human_data: str | None = None) -> Rows:
    """The rows that a person means.

    Args:
        spec (`str`): `task:split` or `human:split` for human data (`csqa:test`); a run's digest, name or folder; a
            file that `tables.records_of` reads; or a dataset on the Hub (`me/csqa-created`, after an `@` its
            configuration).
        task (`Task`, *optional*): needed for files and for `human:split`; elsewhere it must be the same task.
        human_data (`str`, *optional*): a folder of JSON lines in place of the Hub: one task's, or one with a folder
            `family/task` for each.

    Raises:
        UsageError: there is no such thing, or its rows do not fit the task.
    """
    spec = files.the_one(spec)
    name, colon, split = spec.rpartition(":")
    if colon and split in human_rows.SPLITS and (name == "human" or name in tasks.names()):
        return _human(spec, name, split, task, human_data)
    path = Path(spec).expanduser()
    if path.suffix.lower() in SUFFIXES or path.is_file():
        return _file(spec, path, task)
    if path.is_dir() and (path / "task.json").exists():
        return _folder(spec, path)
    if not path.exists() and _HUB.fullmatch(spec):
        return _hub(spec)
    return _run(spec)


def same_task(rows: Rows, task: Task) -> None:
    """Say so if rows are of another task than the one wanted: another label space, or other input fields.

    Raises:
        UsageError: names both.
    """
    if rows.task.labels is None and task.labels is None:
        options = None in (rows.task.num_options, task.num_options) or rows.task.num_options == task.num_options
    else:
        options = {look(x) for x in rows.task.labels or ()} == {look(x) for x in task.labels or ()}
    if not options or len(rows.task.inputs) != len(task.inputs):
        raise UsageError(
            f"{rows.name}: its rows have {_shape(rows.task)}, expected {_shape(task)} as in {task.name!r}"
        )


def in_labels(rows: Rows, task: Task) -> list[Row]:
    """The rows with their answers as indices into the labels of `task`, which may stand in another order.

    Rows that bring their own options stay as they are.

    Raises:
        UsageError: the rows are of another kind of task.
    """
    same_task(rows, task)
    if task.labels is None or rows.task.labels == task.labels:
        return rows.rows
    places = [look(label) for label in task.labels]
    return [row._replace(options=task.labels, answer=places.index(look(row.options[row.answer]))) for row in rows.rows]


def public_name(spec: str) -> str:
    """What a source is called in a result: a file or folder by its name alone, never a path of somebody's machine."""
    path = Path(spec).expanduser()
    return path.resolve().name if path.exists() or path.is_absolute() else spec


def _shape(task: Task) -> str:
    space = (
        f"labels {', '.join(task.labels)}" if task.labels else f"{task.num_options or 'any number of'} options a row"
    )
    return f"the fields {', '.join(task.inputs)} and {space}"


def _human(spec: str, name: str, split: str, task: Task | None, data: str | None) -> Rows:
    if name == "human" and task is None:
        raise UsageError(f"{spec}: say of which task: `task` NAME, or NAME:{split}")
    source = source_of(task) if name == "human" and task else tasks.load(name)
    splits = human_rows.load_local(source.task, human_folder(source, data)) if data else _from_hub(source)
    if split not in splits:
        raise UsageError(f"{spec}: there is no {split!r} split here, only {', '.join(splits)}")
    return Rows(spec, source.task, splits[split], "human")


def source_of(task: Task) -> tasks.Source:
    """The built-in task with what belongs to it, if this is one; else a task with nothing to it."""
    known = tasks.load(task.name) if task.name in tasks.names() else None
    return known if known and known.task == task else tasks.Source(task, {})


def human_folder(source: tasks.Source, data: str) -> Path:
    """The task's folder in `data`: itself, or `family/task` in it."""
    root = Path(data).expanduser()
    name = source.task.name.removesuffix("_open") if source.family == "yesno_open" else source.task.name
    inside = root / source.family / name
    return inside if inside.is_dir() else root


def _from_hub(source: tasks.Source) -> dict[str, list[Row]]:
    if source.human is None:
        raise UsageError(f"the task {source.task.name!r} has no human data on the Hub: give `human_data` DIR")
    return human_rows.load_hub(source.task, source.human)


def _folder(spec: str, path: Path) -> Rows:
    task = tasks.from_example(str(path / "task.json")).task
    about = _about(path)
    for name in FORMATS.values():
        if (path / name).exists():
            file = path / name
            rows = read_records(task, records_of(file), str(file), is_table(file))
            return Rows(spec, task, rows, "created", about)
    raise UsageError(f"{spec!r} has a task.json and no rows: one of {', '.join(FORMATS.values())} is wanted")


def _about(folder: Path) -> Mapping[str, Any]:
    """What the rows of a folder were made as, if it says so."""
    about = files.read_json(str(folder / RUN_FILE)) if (folder / RUN_FILE).exists() else {}
    return about if isinstance(about, dict) else {}


def _run(spec: str) -> Rows:
    from ..runs.kept import kept_rows

    with find(spec).open() as journal:
        identity = journal.get("identity")
        task = Task.from_json(journal.get("task"))
        rows = list(kept_rows(journal, task))
        return Rows(spec, task, rows, "created", {"run": journal.folder.name, "identity": identity})


def _file(spec: str, path: Path, task: Task | None) -> Rows:
    if task is None:
        raise UsageError(f"{spec}: say which task its rows are of: `task` NAME, a builder file, or a task.json")
    about = _about(path.parent) if path.name in FORMATS.values() else {}
    if path.is_file() and not is_table(path):
        try:
            return Rows(spec, task, human_rows.load_local(task, {"test": path})["test"], "file", about)
        except UsageError as error:
            raise UsageError(f"{error}; expected {_shape(task)}, the answer in {task.answer!r}") from None
    return Rows(spec, task, read_records(task, records_of(path), spec), "file", about)


def _hub(spec: str) -> Rows:
    import datasets
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, config = spec.partition("@")
    try:
        task = tasks.from_example(hf_hub_download(repo, "task.json", repo_type="dataset")).task
        loaded = datasets.load_dataset(repo, config or None, split="train")
        known = _run_file(HfApi().list_repo_files(repo, repo_type="dataset"), config)
        about = files.read_json(hf_hub_download(repo, known, repo_type="dataset")) if known else {}
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise RunFailed(f"cannot load {spec!r} from the Hub: {shorten(str(error), 160)}") from None
    about = about if isinstance(about, dict) else {}
    return Rows(spec, task, read_records(task, loaded, spec), "created", about | {"repo": repo, "config": config})


def _run_file(paths: Iterable[str], config: str) -> str | None:
    """The file that says which run wrote a configuration, or the only one where none is named."""
    named = [
        path for path in paths if path == f"{config}/{RUN_FILE}" or (not config and path.endswith(f"/{RUN_FILE}"))
    ]
    return named[0] if len(named) == 1 else None


def read_records(task: Task, records: Iterable[Any], name: str, table: bool = True) -> list[Row]:
    """Records of a dataset as rows.

    Args:
        task (`Task`): reads them.
        records (`Iterable[Any]`): the records.
        name (`str`): where they are from.
        table (`bool`, defaults to `True`): whether an answer may be an index; see `fields.in_words`.

    Raises:
        UsageError: a record does not fit the task, or there is none.
    """
    rows, columns = [], fields.columns_of(task)
    for number, record in enumerate(records, 1):
        row = fields.read_line(task, columns, record, table)
        if isinstance(row, Reason):
            wanted = f"expected {_shape(task)}, the answer in {task.answer!r}"
            raise UsageError(f"{name}, row {number}: {row.code} ({shorten(row.detail)}); {wanted}")
        rows.append(row._replace(parent_id=record.get("parent_id") or "", depth=record.get("depth") or 0))
    if not rows:
        raise UsageError(f"{name} has no rows")
    return rows
