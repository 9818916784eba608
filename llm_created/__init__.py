"""One formatting example in, a dataset out: an LLM writes the rows, checks and a journal keep them honest."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .utils.version import __version__ as __version__

# Where each public name lives. Loaded when first used: `import llm_created` costs milliseconds.
_HOMES = {
    "Budget": "creation.budget",
    "Builder": "loading.builder",
    "Client": "clients.base",
    "Guide": "tasks.guide",
    "Human": "tasks.human",
    "Identity": "runs.identity",
    "Journal": "runs.journal",
    "LLMCreatedError": "errors",
    "OpenAIClient": "clients.openai",
    "Reason": "tasks.task",
    "Reply": "clients.base",
    "Request": "clients.base",
    "RequestFailed": "errors",
    "Row": "tasks.task",
    "Run": "loading.run",
    "RunFailed": "errors",
    "ScriptedClient": "clients.base",
    "Settings": "runs.settings",
    "StoppedShort": "errors",
    "Task": "tasks.task",
    "Usage": "clients.base",
    "UsageError": "errors",
    "create": "creation.loop",
    "evaluate": "evaluation.trial",
    "label_rows": "labelling.rows",
    "load_dataset": "loading.load",
    "load_model": "models.loaded",
    "push": "hub.push",
    "register": "loading.load",
}
__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from .clients.base import Client, Reply, Request, ScriptedClient, Usage
    from .clients.openai import OpenAIClient
    from .creation.budget import Budget
    from .creation.loop import create
    from .errors import LLMCreatedError, RequestFailed, RunFailed, StoppedShort, UsageError
    from .evaluation.trial import evaluate
    from .hub.push import push
    from .labelling.rows import label_rows
    from .loading.builder import Builder
    from .loading.load import load_dataset, register
    from .loading.run import Run
    from .models.loaded import load_model
    from .runs.identity import Identity
    from .runs.journal import Journal
    from .runs.settings import Settings
    from .tasks.guide import Guide
    from .tasks.human import Human
    from .tasks.task import Reason, Row, Task


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Builder":
        from .tasks import builtin as tasks

        if tasks.reading.get():
            return tasks.TaskFile
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
