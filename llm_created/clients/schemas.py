"""Which keywords of a JSON schema a server does not know, and the schema without them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

# What a schema can do without, the ones that fewest servers know first.
KEYWORDS = ("uniqueItems", "const", "minItems", "maxItems")
# Not "json_schema": who refuses that knows no schema at all.
_ABOUT = re.compile(r"\bschema\b|grammar|features? not supported", re.IGNORECASE)


def used(response_format: object) -> list[str]:
    """The keywords of a `response_format` that it could do without."""
    found = set(_keywords(_schema(response_format)))
    return [name for name in KEYWORDS if name in found]


def without(response_format: Mapping[str, Any], refused: Collection[str]) -> Mapping[str, Any]:
    """A `response_format` without these keywords."""
    schema = _schema(response_format)
    if not schema or not refused:
        return response_format
    return {**response_format, "json_schema": {**response_format["json_schema"], "schema": _less(schema, refused)}}


def blamed(said: str, sent: Collection[str]) -> str | None:
    """The keyword among those sent that an error blames by name, else the least known where it blames the schema."""
    named = [name for name in KEYWORDS if name in sent and re.search(rf"\b{name}\b", said)]
    left = [name for name in KEYWORDS if name in sent] if is_about(said) else []
    return next(iter(named or left), None)


def is_about(said: str) -> bool:
    """Whether an error speaks of the schema that was sent."""
    return bool(_ABOUT.search(said))


def _schema(response_format: object) -> Mapping[str, Any]:
    inner = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def _keywords(schema: Mapping[str, Any]) -> Iterator[str]:
    # Fields are named by people, and may be named like a keyword.
    yield from schema
    for one in (*schema.get("properties", {}).values(), schema.get("items")):
        if isinstance(one, Mapping):
            yield from _keywords(one)


def _less(schema: Any, refused: Collection[str]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    kept = {name: value for name, value in schema.items() if name not in refused}
    if isinstance(schema.get("const"), str) and "const" in refused:
        kept["enum"] = [schema["const"]]
    if "properties" in kept:
        kept["properties"] = {name: _less(one, refused) for name, one in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _less(kept["items"], refused)
    return kept
