"""What a reply may hold, said to servers with structured output: all of it that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tasks.task import Task

Schema = dict[str, Any]


def of_rows(
    task: Task,
    rows: int,
    label: str | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    lists_options: bool = True,
) -> Schema:
    """The `response_format` of a call for rows: one is an object of its own, several stand in a wrapping object.

    Args:
        task (`Task`): the task.
        rows (`int`): how many rows are wanted.
        label (`str`, *optional*): the one answer that is allowed.
        fields (`Mapping[str, str]`, *optional*): input fields with the one value that is allowed.
        lists_options (`bool`, defaults to `True`): whether a row of a fixed label space repeats the labels.
    """
    row = _row(task, label, fields or {}, lists_options)
    return _format("example", row) if rows == 1 else _format("examples", _object({"examples": _array(row, rows)}))


def _row(task: Task, label: str | None, fields: Mapping[str, str], lists_options: bool) -> Schema:
    kinds = {name: _text([fields[name]] if name in fields else None) for name in task.inputs}
    kinds[task.answer] = _text(task.labels if label is None else [label])
    if task.labels is None:
        kinds[task.options] = _array(_text(), task.num_options, 2) | {"uniqueItems": True}
    elif lists_options:
        kinds[task.options] = _array(_text(task.labels), len(task.labels)) | {"const": list(task.labels)}
    return _object({name: kinds[name] for name in task.fields if name in kinds})


def _text(values: Sequence[str] | None = None) -> Schema:
    return {"type": "string"} if values is None else {"type": "string", "enum": list(values)}


def _array(items: Schema, number: int | None, least: int = 1) -> Schema:
    """So many items; or `least` of them at least, where nobody knows how many."""
    bounds = {"minItems": least} if number is None else {"minItems": number, "maxItems": number}
    return {"type": "array", "items": items} | bounds


def _object(properties: Mapping[str, Schema]) -> Schema:
    # Strict servers want every property required, and no other.
    more = {"required": list(properties), "additionalProperties": False}
    return {"type": "object", "properties": dict(properties)} | more


def _format(name: str, whole: Schema) -> Schema:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": whole}}
