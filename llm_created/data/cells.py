"""Cells of a table: whether one is empty, and what it says as a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..utils.text import clean, scalar


def empty(value: object) -> bool:
    """Whether a cell has nothing in it; a NaN is what is left of an empty one."""
    return value is None or (isinstance(value, str) and not clean(value)) or value != value


def text_of(value: Any) -> str:
    """A cell as a text: what came as 1.0 beside empty cells was 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return scalar(value) or ""


def listed(names: Sequence[str]) -> str:
    """Names as a message shows them."""
    return ", ".join(map(repr, names))
