"""Modules that take seconds to import: a test module names them, and gets them before the first of its tests.

Every worker collects all tests, and most of them run none of those that train or load a model.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any, NamedTuple

import pytest


class _Later(NamedTuple):
    name: str


def later(name: str) -> Any:
    """What stands for a module until the tests beside it begin; `Any`, because its classes stand in annotations."""
    return _Later(name)


def needs(*names: str, extra: str) -> None:
    """Skip the module that says this where one of these packages is missing, without importing any."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is missing: the `{extra}` extra is not installed", allow_module_level=True)


def import_all(module: ModuleType) -> None:
    """Put the modules in the places of what stood for them."""
    for name in comes_later(module):
        setattr(module, name, importlib.import_module(getattr(module, name).name))


def comes_later(module: ModuleType) -> list[str]:
    """The names of what is imported later."""
    return [name for name, value in vars(module).items() if isinstance(value, _Later)]
