"""Modules that take seconds to import, imported when a test first wants something of them.

Every worker collects all tests, and most of them run none of those that train or load a model.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any

import pytest


class Later:
    """A module that is imported with the first of its attributes that is looked up or patched."""

    def __init__(self, name: str) -> None:
        vars(self)["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_pytest", "_mock")):  # pytest asks whether it is a fixture
            raise AttributeError(name)
        return getattr(importlib.import_module(self._name), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(importlib.import_module(self._name), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(importlib.import_module(self._name), name)


def later(name: str) -> Any:
    """A module to be; `Any`, because its classes stand in annotations, too."""
    return Later(name)


def needs(*names: str, extra: str) -> None:
    """Skip the module that says this where one of these packages is missing, without importing any."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is missing: the `{extra}` extra is not installed", allow_module_level=True)


def is_heavy(module: ModuleType) -> bool:
    """Whether a module has something that is imported later."""
    return any(isinstance(value, Later) for value in vars(module).values())
