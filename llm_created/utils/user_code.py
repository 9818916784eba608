"""Code that a user has written: imported, told by what it does, and blamed by file and line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ..errors import LLMCreatedError, UsageError
from .text import shorten

# What code that a user has written raises when it is wrong.
BROKEN_CODE = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip


def import_file(path: Path, module_name: str) -> ModuleType:
    """Run a Python file as a module of this name."""
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except LLMCreatedError:
        raise
    except BROKEN_CODE as error:
        raise UsageError(f"the builder file {str(path)!r} cannot be used: {where_it_broke(error)}") from None
    return module


def where_it_broke(error: BaseException) -> str:
    """`KeyError: 'topic' (my_filter.py, line 12)`: an error of the user's code, in one line."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({Path(error.filename or '').name}, line {error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return shorten(f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})", 200)


def code_of(function: Callable[..., Any]) -> Any:
    """What a function does, as plain JSON that is the same in every process; `""` if it is not written in Python."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    captured = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    around = [code_of(value) or repr(value) for value in (*captured, *(getattr(function, "__defaults__", None) or ()))]
    return [_plain(code), around]


def _plain(code: CodeType) -> list[Any]:
    constants: list[Any] = []
    for one in code.co_consts:
        # The repr of inner code holds an address, that of a set has another order in every process.
        plain = _plain(one) if isinstance(one, CodeType) else repr(one)
        constants.append(sorted(map(repr, one)) if isinstance(one, frozenset) else plain)
    return [code.co_code.hex(), code.co_names, code.co_varnames, constants]
