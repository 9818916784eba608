"""Every knob of a run under one name, for the command line, `load_dataset` and the builder's configuration alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import UsageError
from ..utils.text import clean
from .identity import DEFAULT_EMBEDDING_MODEL, PAPER_EMBEDDING_MODEL

RULES = ("drop", "relabel", "keep")
DEMO = "demo"
# What `--paper` sets, and so what may not be set beside it.
_PAPER: Mapping[str, Any] = {
    "chains": 1,
    "num_examples": 5,
    "temperature": 1.0,
    "top_p": 1.0,
    "embedding_model": PAPER_EMBEDDING_MODEL,
    "seed_example": "human",
}
_DEFAULTS: Mapping[str, Any] = {
    "chains": 8,
    "num_examples": 5,
    "temperature": 1.0,
    "top_p": 1.0,
    "embedding_model": DEFAULT_EMBEDDING_MODEL,
    "seed_example": "own",
}
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "balance": (False, True, "ask", "hold"),
    "verify_rule": RULES,
    "self_correct": (None, "off", *RULES),
    "leaks": ("drop", "report"),
}


@dataclass
class Settings:
    """How a run is made. `None` stands for the default, so that a contradiction can be told from a default.

    Args:
        model (`str`): the model's name at the server; `"demo"` is the built-in writer, and needs no key.
        num_rows (`int`, defaults to 1000): rows wanted. The same run with more rows keeps those it has.
        chains, num_examples, temperature, top_p, seed, embedding_model: see `Identity`.
        instruction_extra (`str`, *optional*): text, or the path of a file, appended to the instruction.
        description (`str`, *optional*): the task in words, or the path of a file with them, for `targen`, `attrprompt`
            and `simprompt`; by default what the task's guide says.
        contexts (`int`, *optional*): of `targen`; see `Identity`.
        attributes (`str` or `Mapping[str, Any]`, *optional*): attribute dimensions, or the path of a JSON file with
            them; of `attrprompt` by default what the task's guide says; with self-reference, laid over it.
        paper (`bool`, defaults to `False`): the paper's settings, for reproduction.
        seed_example (`str`, *optional*): `"own"`, the task's formatting example, or `"human"`, one drawn with `seed`
            from the human training split.
        human_data (`str` or `Mapping[str, str]`, *optional*): a folder of JSON-lines files instead of the Hub.
        base_url, api_key_env, max_tokens, timeout, structured: see `OpenAIClient`.
        send_seed (`bool`, defaults to `False`): send an API seed derived from `seed` and the request.
        concurrency (`int`, defaults to 32): requests in flight.
        rpm, tpm (`float`, *optional*): requests and tokens a minute.
        max_cost, max_tokens_total, max_calls (*optional*): caps over the life of the run.
        price (`str`, *optional*): `IN,OUT`, dollars per million tokens.
        patience (`int`, defaults to 20): turns in a row without a new row that end the run.
        filter (`str` or `Callable`, *optional*): `module:function`, called with a row as a dict; returns a reason to
            leave it out, or `None`.
        verify (`int`, defaults to 0): blind votes on each row's answer.
        verify_rule (`str`, defaults to `"drop"`): what becomes of a row that they do not confirm; see `Judge`.
        self_correct (`str`, *optional*): the same for one call that sees the label and rechecks it; `"off"`; by
            default `"relabel"` with `targen`, whose fourth step it is, and else `"off"`.
        balance (`bool` or `str`, defaults to `False`): emit the rows evenly over fixed labels. `True` or `"ask"`
            demands of each call the label that is short, and so makes another run; `"hold"` only holds rows back.
        near_duplicates (`float`, *optional*): cosine from which on a row repeats an earlier one.
        check_against (`Sequence[str]`, *optional*): evaluation sets (`csqa:test`, files) that no row may repeat.
        leaks (`str`, defaults to `"drop"`): `"report"` keeps rows that repeat one, and counts them.
        allow_partial (`bool`, defaults to `False`): in `load_dataset`, take what a run that stopped short has.
        yes (`bool`, defaults to `False`): go on although another run's instruction changed and all is bought anew.
    """

    model: str | None = None
    num_rows: int = 1000
    chains: int | None = None
    num_examples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int = 42
    embedding_model: str | None = None
    instruction_extra: str | None = None
    description: str | None = None
    contexts: int | None = None
    attributes: str | Mapping[str, Any] | None = None
    paper: bool = False
    seed_example: str | None = None
    human_data: str | Mapping[str, str] | None = None
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    max_tokens: int | None = None
    timeout: float = 120.0
    send_seed: bool = False
    structured: str = "auto"
    concurrency: int = 32
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    max_tokens_total: int | None = None
    max_calls: int | None = None
    price: str | None = None
    patience: int = 20
    filter: str | Callable[[Mapping[str, Any]], str | None] | None = field(default=None)
    verify: int = 0
    verify_rule: str = "drop"
    self_correct: str | None = None
    balance: bool | str = False
    near_duplicates: float | None = None
    check_against: Sequence[str] | None = None
    leaks: str = "drop"
    allow_partial: bool = False
    yes: bool = False

    @classmethod
    def of(cls, values: object) -> Settings:
        """The settings among the attributes of something that has more, such as parsed arguments."""
        given = {one.name: getattr(values, one.name, None) for one in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def check(self) -> None:
        """Say what is wrong with a value before anything is done with it.

        Raises:
            UsageError: a number is out of range, a name cannot be sent, or a setting contradicts `--paper`.
        """
        for one in fields(self):
            value, kind = getattr(self, one.name), str(one.type).removesuffix(" | None")
            wanted = {"int": (int,), "float": (int, float), "bool": (bool,)}.get(kind)
            if wanted and value is not None and not isinstance(value, wanted):
                raise UsageError(f"{one.name} must be {'an' if kind == 'int' else 'a'} {kind}, not {value!r}")
        for flag in ("num_rows", "concurrency", "patience", "chains", "contexts", "max_tokens"):
            value = getattr(self, flag)
            if value is not None and value < 1:
                shown = "-n" if flag == "num_rows" else f"--{flag.replace('_', '-')}"
                raise UsageError(f"{shown} must be at least 1, not {value}")
        for flag in ("timeout", "rpm", "tpm", "max_cost", "max_tokens_total", "max_calls"):
            value = getattr(self, flag)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"--{flag.replace('_', '-')} must be a number above 0, not {value}")
        for flag, choices in _CHOICES.items():
            if getattr(self, flag) not in choices:
                known = ", ".join(str(one) for one in choices if isinstance(one, str))
                raise UsageError(f"--{flag.replace('_', '-')} must be one of {known}, not {getattr(self, flag)!r}")
        if not 0 <= self.verify <= 100:
            raise UsageError(f"--verify takes the number of votes on each row, from 1 to 100, not {self.verify}")
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            raise UsageError(
                f"--near-duplicates takes a cosine above 0 and at most 1, such as 0.9, not {self.near_duplicates}"
            )
        if self.model is not None and clean(self.model) != self.model:
            raise UsageError(f"--model {self.model!r} is not a name that can be sent: give it as the server lists it")
        for name in _PAPER:
            self.get(name)

    def get(self, name: str) -> Any:
        """A setting that `paper` decides, the user's, or the default."""
        given = getattr(self, name)
        if not self.paper:
            return _DEFAULTS[name] if given is None else given
        if given is not None and given != _PAPER[name] and name != "seed_example":
            raise UsageError(
                f"--paper sets --{name.replace('_', '-')} {_PAPER[name]}: leave out {given!r}, or --paper"
            )
        return _PAPER[name] if given is None else given
