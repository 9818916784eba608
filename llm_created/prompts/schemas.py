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
    return (
        _format("example", row) if rows == 1 else _format("examples", _object({"examples": _array(row, rows, rows)}))
    )


def of_list(least: int, most: int, values: Sequence[str] | None = None) -> Schema:
    """The `response_format` of a call for a list: so many different texts, or so many of these values."""
    return _format("items", _object({"items": _array(_text(values), least, most) | {"uniqueItems": True}}))


def of_attributes(by_label: bool) -> Schema:
    """The `response_format` of a call for attribute dimensions: values, or what kind of values each label has."""
    kinds = {"name": _text(), "values": _array(_text(), 0 if by_label else 1)}
    one = _object(kinds | {"per_label": _text()} if by_label else kinds)
    return _format("items", _object({"items": _array(one, 1)}))


def _row(task: Task, label: str | None, fields: Mapping[str, str], lists_options: bool) -> Schema:
    kinds = {name: _text([fields[name]] if name in fields else None) for name in task.inputs}
    kinds[task.answer] = _text(task.labels if label is None else [label])
    if task.labels is None:
        kinds[task.options] = _array(_text(), task.num_options or 2, task.num_options) | {"uniqueItems": True}
    elif lists_options:
        number = len(task.labels)
        kinds[task.options] = _array(_text(task.labels), number, number) | {"const": list(task.labels)}
    kinds |= {name: _text() for name in task.aside}
    return _object({name: kinds[name] for name in task.fields if name in kinds})


def _text(values: Sequence[str] | None = None) -> Schema:
    return {"type": "string"} if values is None else {"type": "string", "enum": list(values)}


def _array(items: Schema, least: int, most: int | None = None) -> Schema:
    bounds = {"minItems": least} | ({} if most is None else {"maxItems": most})
    return {"type": "array", "items": items} | bounds


def _object(properties: Mapping[str, Schema]) -> Schema:
    # Strict servers want every property required, and no other.
    more = {"required": list(properties), "additionalProperties": False}
    return {"type": "object", "properties": dict(properties)} | more


def _format(name: str, whole: Schema) -> Schema:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": whole}}
