"""Where a task comes from: a built-in name, a builder file, or one formatting example."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import UsageError
from ..utils.files import read_json
from ..utils.text import between_commas, nearest
from ..utils.user_code import import_file
from .guide import Guide
from .task import Task

if TYPE_CHECKING:
    from .human import Human


# Goes with every folder of rows, repository and checkpoint.
TASK_FILE = "task.json"
# It may hold many formatting examples.
MAX_TASK_FILE = 4_000_000


@dataclass(frozen=True)
class Source:
    """A task with what belongs to it.

    Attributes:
        task (`Task`): the task.
        example (`Mapping[str, Any]`, *optional*): its formatting example; without one, only the methods that show none
            can write rows.
        human (`Human`, *optional*): where human-labelled data lives.
        family (`str`): the tasks that out-of-distribution scores are taken on, or `""`.
        file (`Path`, *optional*): the builder file or the example's file.
        guide (`Guide`, *optional*): the task in words, for the methods that show no example.
        more_examples (`Sequence[Mapping[str, Any]]`): further formatting examples.
    """

    task: Task
    example: Mapping[str, Any] | None
    human: Human | None = None
    family: str = ""
    file: Path | None = None
    guide: Guide | None = None
    more_examples: Sequence[Mapping[str, Any]] = ()


class TaskFile:
    """What `Builder` is while a builder file is only read for its task: the same attributes, and no `datasets`."""

    task: ClassVar[Task]
    example: ClassVar[Mapping[str, Any]]
    human: ClassVar[Human | None] = None
    family: ClassVar[str] = ""
    guide: ClassVar[Guide | None] = None
    more_examples: ClassVar[Sequence[Mapping[str, Any]]] = ()


# Whether a builder file is only read for its task, here and not in another thread.
reading: ContextVar[bool] = ContextVar("reading", default=False)


def folder() -> Path:
    """The folder of the built-in builder files."""
    spec = importlib.util.find_spec("llm_created.builders")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else Path(__file__).parent.parent.parent / "builders"


def names() -> list[str]:
    """The built-in tasks."""
    return sorted(path.stem for path in folder().glob("*.py") if not path.stem.startswith("_"))


def load(name_or_path: str) -> Source:
    """The task that a built-in name, the path of a builder file or a folder of rows stands for.

    Raises:
        UsageError: there is no such task or file, or the file defines no builder.
    """
    stored = _in_folder(name_or_path)
    if stored is not None:
        return from_example(str(stored))
    path = find(name_or_path)
    token = reading.set(True)
    try:
        module = import_file(path, "_llm_created_task_file")
    finally:
        reading.reset(token)
    found = builder_class(module, path)
    return Source(found.task, found.example, found.human, found.family, path, found.guide, found.more_examples)


def _in_folder(given: str) -> Path | None:
    """The task's file in the folder of rows that is meant; a built-in name means no folder."""
    path = Path(given).expanduser()
    if given in names() or not path.is_dir():
        return None
    if not (path / TASK_FILE).is_file():
        raise UsageError(f"the folder {given!r} has no {TASK_FILE}: give a task's name or file, or rows' folder")
    return path / TASK_FILE


def find(name_or_path: str) -> Path:
    """The builder file of a task."""
    if name_or_path.endswith(".py"):
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no builder file {name_or_path!r}")
        return path
    if name_or_path not in names():
        raise UsageError(
            f"unknown task {name_or_path!r}{nearest(name_or_path, names())}; a task of your own: `example` my.json"
        )
    return folder() / f"{name_or_path}.py"


def builder_class(module: ModuleType, path: Path) -> Any:
    """The one class in a builder file that has a task and an example."""
    found: list[Any] = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__ and "task" in vars(value)
    ]
    if len(found) != 1 or not isinstance(found[0].task, Task) or not hasattr(found[0], "example"):
        raise UsageError(f"{path} must define one class `X(llm_created.Builder)` with `task` and `example`")
    return found[0]


def named(given: str) -> Source:
    """The task that a person names beside rows: what `task` stands for in every command that takes rows.

    Args:
        given (`str`): a built-in name, a builder file, a `task.json` or a folder with one, or a formatting example
            that tells by itself what its fields and labels are.

    Raises:
        UsageError: it is none of these.
    """
    path = _in_folder(given) or Path(given).expanduser()
    if path.suffix != ".json":
        return load(given)
    value = read_json(str(path), f"a {TASK_FILE}")
    if _is_task(value):
        return _stored(str(path), value)
    try:
        return Source(Task.from_example(value, name=path.stem), value, file=path)
    except UsageError:
        raise UsageError(
            f"`task` {given!r} is no {TASK_FILE}, and no example that says all of its task: give the {TASK_FILE} that "
            "stands in the folder of a run's rows"
        ) from None


def from_example(
    path: str,
    *,
    name: str | None = None,
    label_space: str | None = None,
    labels: Sequence[str] | None = None,
    answer_field: str | None = None,
    options_field: str | None = None,
    aside: Sequence[str] = (),
) -> Source:
    """The task of one formatting example in a JSON file; a `task.json` of this library gives the task as it stands."""
    example = read_json(path, most=MAX_TASK_FILE)
    if _is_task(example):
        if label_space or labels or answer_field or options_field or aside:
            raise UsageError(
                f"{path!r} is a task.json, which says what its fields and labels are: leave out `label_space`, "
                "`labels`, `answer_field`, `options_field` and `aside`"
            )
        return _stored(path, example)
    task = Task.from_example(
        example,
        name=name or Path(path).stem,
        label_space=label_space,
        labels=labels,
        answer_field=answer_field,
        options_field=options_field,
        aside=aside,
    )
    return Source(task, example, file=Path(path))


def _stored(path: str, value: Mapping[str, Any]) -> Source:
    """The task of a `task.json`."""
    shown, guide = value.get("example"), value.get("guide")
    if shown is not None and not isinstance(shown, dict):
        raise UsageError(f"{path!r}: 'example' must be an object or null, not {str(shown)[:60]!r}")
    more = value.get("more_examples", [])
    if not isinstance(more, list) or not all(isinstance(one, dict) for one in more) or (more and not shown):
        raise UsageError(f"{path!r}: 'more_examples' must be a list of objects beside 'example'")
    told = None if guide is None else Guide.from_json(guide)
    return Source(Task.from_json(value), shown, file=Path(path), guide=told, more_examples=more)


def _is_task(value: Any) -> bool:
    """Whether this is a `task.json`, with an example or without, and no example whose keys happen to be those."""
    if not isinstance(value, dict) or "inputs" not in value:
        return False
    return isinstance(value.get("example"), dict) or (isinstance(value["inputs"], list) and "labels" in value)


def listed(name: str, given: str) -> list[str]:
    """The names that a setting gives between commas.

    Raises:
        UsageError: it is no line of CSV, or a name is empty.
    """
    try:
        found = between_commas(given)
    except ValueError as error:
        said = f"`{name}` {given!r} cannot be read ({error})"
        raise UsageError(f"{said}: put a name that holds a comma into double quotes") from None
    if "" in found:
        raise UsageError(f"`{name}` {given!r} holds an empty name: leave out the comma that is too many")
    return found


def from_fields(
    fields: str,
    labels: str | None,
    num_options: int | None,
    answer_field: str | None,
    options_field: str | None,
    aside: Sequence[str] = (),
) -> Source:
    """The task of a schema given in words: `text` and `positive,negative`."""
    inputs, known = tuple(listed("fields", fields)), tuple(listed("labels", labels)) if labels else None
    if (known is None) == (num_options is None):
        raise UsageError(
            "with `fields` give `labels` A,B,C (the same for all rows) or `num_options` N (a row has its own)"
        )
    task = Task(
        "my-task", inputs, answer_field or "answer", options_field or "options", known, num_options, tuple(aside)
    )
    return Source(task, None)
