"""Which of several tests of a kind are among the quick ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def slow_but(quick: Callable[..., bool], values: Iterable[Any]) -> list[Any]:
    """Parameters, of which those are slow for which `quick` does not hold."""
    return [value if quick(*(value if isinstance(value, tuple) else (value,))) else _slow(value) for value in values]


def _slow(value: Any) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
