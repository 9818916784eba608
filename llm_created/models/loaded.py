"""`llm_created.load_model`: a trained model, whatever its kind, and what it says to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, NamedTuple, Protocol

from ..data import fields
from ..errors import UsageError
from ..tasks.builtin import TASK_FILE, from_example
from ..tasks.task import MAX_FIELD, Reason, Row, Task
from ..utils.text import fold, nearest, shorten
from . import saved
from .places import folder_of

# Rows and characters that are answered together: texts of any length fit into little memory.
_ROWS, _CHARACTERS = 512, 200_000


class _Answers(Protocol):
    """A linear model or an encoder."""

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]: ...

    def forget(self) -> None: ...


class Answer(NamedTuple):
    """What a model says to a record.

    Attributes:
        record (`Mapping[str, Any]`): the record.
        row (`Row` or `Reason`): the record as a row, or why it is none.
        probabilities (`list[float]`): of the row's options; empty where there is no row.
    """

    record: Mapping[str, Any]
    row: Row | Reason
    probabilities: list[float]

    @property
    def best(self) -> int:
        """The likeliest option, the first of several."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)


class Classifier:
    """A trained model, as `load_model` gives it.

    Attributes:
        task (`Task`): what it was trained for: its input fields, and its labels where they are fixed.
        kind (`str`): `"linear"` or `"encoder"`.
    """

    def __init__(self, task: Task, kind: str, model: _Answers) -> None:
        self.task, self.kind, self._model = task, kind, model

    def predict(
        self, records: Iterable[Mapping[str, Any]], fields: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Label records.

        Args:
            records (`Iterable[Mapping[str, Any]]`): objects with the task's input fields, and where options vary, with
                those, such as the rows of a `datasets.Dataset`.
            fields (`Mapping[str, str]`, *optional*): the task's field by the name that a record has for it.

        Returns:
            `list[dict[str, Any]]`: for each record its `label`, how likely it is (`probability`), and the
            `probabilities` of all labels; `None` and an empty object for a record with an empty text.

        Raises:
            UsageError: a record lacks a field.
        """
        found: list[dict[str, Any]] = []
        for answer in self.answers(records, fields):
            if isinstance(answer.row, Reason):
                if answer.row.code != "empty_field":
                    told = f"{answer.row.code}, {shorten(answer.row.detail, 80)!r}"
                    raise UsageError(f"record {len(found) + 1} cannot be read: {told}; {self.wanted}")
                found.append({"label": None, "probability": None, "probabilities": {}})
                continue
            by_name = dict(zip(answer.row.options, answer.probabilities, strict=True))
            best = answer.row.options[answer.best]
            found.append({"label": best, "probability": by_name[best], "probabilities": by_name})
        return found

    @property
    def wanted(self) -> str:
        """The fields that it reads, in words."""
        more = f" and a list {self.task.options!r}" if self.task.variable else ""
        return f"it reads {', '.join(map(repr, self.task.inputs))}{more}"

    def answers(
        self, records: Iterable[Mapping[str, Any]], fields: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        """The same one by one, a few in memory at a time; a record that cannot be read has a reason."""
        for batch in _batches((record, _row(self.task, record, fields or {})) for record in records):
            rows = [row for _, row in batch if isinstance(row, Row)]
            said = iter(self._model.probabilities(rows))
            self._model.forget()
            for record, row in batch:
                yield Answer(record, row, next(said) if isinstance(row, Row) else [])

    def check_fields(self, record: Mapping[str, Any], given: Mapping[str, str], name: str) -> None:
        """Say whether records have what is read, by the first of them.

        Raises:
            UsageError: names the columns that are seen, and what is missing.
        """
        seen = [str(key) for key in record]
        for column, field in given.items():
            if column not in seen:
                raise UsageError(f"`fields` {column}={field}: {name} has no column {column!r}{nearest(column, seen)}")
            if field not in self.task.fields:
                known = ", ".join((*self.task.inputs, *([self.task.options] if self.task.variable else [])))
                raise UsageError(f"`fields` {column}={field}: the model reads {known}")
        named = fields.own_names(self.task, _renamed(record, given))
        wanted = [*self.task.inputs, *([self.task.options] if self.task.variable else [])]
        missing = [field for field in wanted if field not in named]
        if missing:
            columns = shorten(", ".join(map(repr, seen)), 200)
            raise UsageError(
                f"{name} has no column {missing[0]!r}, which the model reads; its columns are {columns}: say which "
                f"one that is with `fields` COLUMN={missing[0]}"
            )


def load_model(folder: str | PathLike[str], *, embedding_model: str | None = None) -> Classifier:
    """Load a trained model: one that `llm-created fit` or `evaluate` kept, or that `finetune` wrote.

    Args:
        folder (`str` or `PathLike`): its folder, or an encoder's name on the Hub.
        embedding_model (`str`, *optional*): where the embedding model of a linear one lies, if it has been moved.

    Returns:
        `Classifier`: `predict(records)` labels records, `task` says what it was trained for.

    Raises:
        UsageError: there is no such model, or something that it needs is not installed.
        RunFailed: a file is damaged, or cannot be fetched.

    Example:

        >>> import llm_created
        >>> rows = llm_created.load_dataset("creak", "naive", model="demo", num_rows=60, split="train")
        >>> size = rows.to_parquet("created.parquet")
        >>> trial = llm_created.evaluate("created.parquet", on="demo", task="creak")
        >>> folder = trial.save("my-classifier")
        >>> model = llm_created.load_model("my-classifier")
        >>> said = model.predict([{"question": "Ice is warm."}])
        >>> said[0]["label"] in ("True", "False"), sorted(said[0])
        (True, ['label', 'probabilities', 'probability'])
    """
    place = folder_of(fspath(folder))
    task = from_example(str(place / TASK_FILE)).task
    if (place / saved.LINEAR_FILE).is_file():
        return Classifier(task, "linear", _Linear(place, task, embedding_model))
    if embedding_model is not None:
        raise UsageError(f"`embedding_model` {embedding_model!r}: {str(folder)!r} is an encoder, which needs none")
    if not (place / "config.json").is_file():
        raise UsageError(f"{str(folder)!r} has neither {saved.LINEAR_FILE} nor config.json: there is no model in it")
    from .encoder import Encoder

    return Classifier(task, "encoder", Encoder(place, task))


class _Linear:
    """A linear model that remembers no texts."""

    def __init__(self, place: Any, task: Task, embedding_model: str | None) -> None:
        self._model = saved.load(place, task, embedding_model)

    def probabilities(self, rows: Sequence[Row]) -> list[list[float]]:
        return self._model.probabilities(rows)

    def forget(self) -> None:
        self._model.features.forget()


def _renamed(record: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The record with a person's names for fields in place of whatever else is called so."""
    if not given:
        return dict(record)
    taken = {fold(field) for field in given.values()}
    kept = {key: value for key, value in record.items() if not isinstance(key, str) or fold(key) not in taken}
    return kept | {field: record.get(column) for column, field in given.items()}


def _row(task: Task, record: Any, given: Mapping[str, str]) -> Row | Reason:
    if not isinstance(record, Mapping):
        return Reason("not_an_object", f"{type(record).__name__} instead of an object")
    named = fields.own_names(task, _renamed(record, given))
    for field in task.inputs:
        value = named.get(field)
        if value is None:
            return Reason("empty_field", field) if field in named else Reason("missing_field", field)
        # A model reads no further anyway.
        if isinstance(value, str) and len(value) > MAX_FIELD:
            named[field] = value[:MAX_FIELD]
    # It was trained on rows with so many options, and scores any number.
    return fields.unanswered(replace(task, num_options=None), named)


def _batches(pairs: Iterator[tuple[Any, Row | Reason]]) -> Iterator[list[tuple[Any, Row | Reason]]]:
    """So many that neither rows nor characters are too many."""
    batch: list[tuple[Any, Row | Reason]] = []
    size = 0
    for record, row in pairs:
        batch.append((record, row))
        size += sum(map(len, (*row.inputs, *row.options))) if isinstance(row, Row) else 0
        if len(batch) >= _ROWS or size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
