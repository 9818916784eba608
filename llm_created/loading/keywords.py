"""The keywords of `load_dataset`, typed: what a notebook completes and a type checker checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from ..runs.settings import KNOBS


class OfAnExample(TypedDict, total=False):
    """Of the task that an example defines."""

    example: Any
    fields: str | Sequence[str] | None
    aside: str | Sequence[str] | None
    label_space: str | None
    labels: str | Sequence[str] | None
    answer_field: str | None
    options_field: str | None


class Keywords(OfAnExample, total=False):
    """The settings of a run, as [`Settings`] declares them; a test holds the two together."""

    model: str | None
    num_rows: int
    num_examples: int | None
    chains: int | None
    shown: int | None
    contexts: int | None
    seed: int
    temperature: float | None
    top_p: float | None
    embedding_model: str | None
    instruction_extra: str | None
    min_words: int
    attributes: str | Mapping[str, Any] | None
    paper: bool
    description: str | None
    seed_example: str | None
    human_data: str | Mapping[str, str] | None
    base_url: str | None
    serve: str | None
    serve_timeout: float
    api_key_env: str
    concurrency: int
    max_tokens: int | None
    timeout: float
    structured: str
    send_seed: bool
    rpm: float | None
    tpm: float | None
    max_cost: float | None
    max_tokens_total: int | None
    max_calls: int | None
    price: str | None
    patience: int
    filter: str | Callable[[Mapping[str, Any]], str | None] | None
    near_duplicates: float | None
    check_against: Sequence[str] | None
    leaks: str
    self_correct: str | None
    verify: int | str
    verify_rule: str
    reviewed: str | None
    balance: bool | str
    allow_partial: bool
    yes: bool


# As they stand above: names that another module would have to import are not looked up.
_TYPES = {name: getattr(kind, "__forward_arg__", kind) for name, kind in Keywords.__annotations__.items()}


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function with its keywords in place of `**settings`, for whoever completes them."""
    own = inspect.signature(function)
    kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    given = {one.name for one in kept}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(name), annotation=kind)
        for name, kind in _TYPES.items()
        if name not in given
    ]
    return own.replace(parameters=[*kept, *more])


def _default(name: str) -> Any:
    return KNOBS[name].stands_for if name in KNOBS else None
