"""A check of the user's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..runs.settings import Settings
from ..tasks.task import Reason, Row, Task
from ..utils.user_code import BROKEN_CODE, where_it_broke

# An emission check: why a row is not emitted, or None. It never changes what is asked next.
Check = Callable[[Row], Reason | None]


def user_filter(settings: Settings, task: Task) -> list[Check]:
    """The user's own check, if there is one."""
    if settings.filter is None:
        return []
    function = settings.filter if callable(settings.filter) else import_function(settings.filter)
    name = filter_name(settings)

    def check(row: Row) -> Reason | None:
        try:
            said = function({"id": row.id} | task.example(row))
        except BROKEN_CODE as error:
            raise UsageError(f"the filter {name} broke on the row {row.id}: {where_it_broke(error)}") from None
        if said is None or isinstance(said, str):
            return Reason("filter", said) if said is not None else None
        raise UsageError(f"the filter {name} must return a reason (a text) or None, not {said!r}")

    return [check]


def filter_name(settings: Settings) -> str | None:
    """What the user's own check is called, or `None` where there is none."""
    if settings.filter is None or isinstance(settings.filter, str):
        return settings.filter
    return str(getattr(settings.filter, "__name__", "filter"))


def import_function(name: str) -> Callable[[Mapping[str, Any]], str | None]:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    if not module or not function or module.startswith("."):
        raise UsageError(f"`filter` takes module:function, not {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        raise UsageError(f"`filter` {name}: {error} (looked for in {here} and the installed packages)") from None
    except BROKEN_CODE as error:
        raise UsageError(f"`filter` {name}: the module cannot be imported: {where_it_broke(error)}") from None
    if not callable(found):
        raise UsageError(f"`filter` {name}: the module {module!r} has no function {function!r}")
    return found  # type: ignore[no-any-return]
