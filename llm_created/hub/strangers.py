"""What a stranger's `run.json` may hold: its shape and its bounds, all that is wrong with it a line each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import RunFailed, UsageError
from ..runs.identity import MAX_CHAINS, MAX_EXAMPLES, MAX_SHOWN, METHODS, SELF_REFERENCE, STRATEGIES
from ..runs.settings import DEMO, LIKELIHOOD, REVIEWED, RULES, Settings
from ..tasks.task import Task
from ..utils.text import shorten
from .kinds import MAX_NAME, Kind, either, maybe, misfits, number, one_of, plain, text, texts, whole

# The most that is taken from strangers. Far more than a run holds, and far less than a machine.
MAX_RUN_FILE = 4_000_000
MAX_ROWS = 1_000_000
MAX_ATTRIBUTES = 100
MAX_LABELLED = 20_000
_MAX_DEPTH, _TEXT = 20, 100_000
_SHOWN = 20
INT64 = range(-(2**63), 2**63)


class Problems:
    """What is wrong with a stranger's files, collected: the first lines of it, and how many there are.

    Args:
        whose (`str`): what begins each line.
    """

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._shown: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= _SHOWN:
            # Much of it stands in the file.
            shown = (one if one.isprintable() else ascii(one)[1:-1] for one in f"{self._whose}: {line}")
            self._shown.append("".join(shown))

    def refuse(self) -> None:
        """End here if there are any.

        Raises:
            RunFailed: a line for each of the first twenty.
        """
        if self.count > _SHOWN:
            self._shown.append(f"and {self.count - _SHOWN:,} more")
        if self.count:
            wrong = RunFailed("\n  ".join(self._shown) + ". Nothing was taken over")
            wrong.in_lines = True
            raise wrong


_OBJECT = Kind("an object", lambda it: isinstance(it, dict))
_FLAG = Kind("true or false", lambda it: isinstance(it, bool))
_WORD = Kind(f"a name of at most {MAX_NAME} printable characters", plain)
DIGEST = text(16, "[0-9a-f]{16}", "16 hex digits")
_EXAMPLES = Kind(
    f"a list of at most {MAX_EXAMPLES - 1} objects",
    lambda it: isinstance(it, list) and 0 < len(it) < MAX_EXAMPLES and all(isinstance(one, dict) for one in it),
)
_ATTRIBUTES = Kind(
    f"an object of at most {MAX_ATTRIBUTES} attributes", lambda it: isinstance(it, dict) and len(it) <= MAX_ATTRIBUTES
)

_RUN = {
    "run": DIGEST,
    "rows": whole(1, MAX_ROWS),
    "validation": Kind("a share from 0 to below 1", lambda it: number(0, 1, but=1).fits(it)),
    "emission": maybe(_OBJECT),
    "seed_from": maybe(_OBJECT),
    "task": _OBJECT,
    "identity": _OBJECT,
}
_IDENTITY = {
    "example": maybe(_OBJECT),
    "method": one_of("self-reference", *METHODS),
    "strategy": one_of(*STRATEGIES),
    "model": _WORD,
    "num_examples": whole(1, 100),
    "instruction": text(_TEXT),
    "temperature": number(0, 2),
    "top_p": number(0, 1, but=0),
    "seed": whole(INT64[0], INT64[-1]),
}
# Those that go with some strategies.
_MORE = {
    "task": _OBJECT,
    "more_examples": _EXAMPLES,
    "guide": _OBJECT,
    "contexts": whole(1, 100),
    "attributes": maybe(_ATTRIBUTES),
    "balance": _FLAG,
    "min_words": whole(1, 1000),
    "chains": whole(1, MAX_CHAINS),
    "shown": whole(2, MAX_SHOWN),
    "embedding_model": _WORD,
    "embed_question_only": _FLAG,
}
_CHECKS = {
    "filter": _WORD,
    "verify": either(whole(1, 100), LIKELIHOOD),
    "verify_rule": one_of(*RULES),
    "self_correct": one_of(*RULES),
    "reviewed": one_of(*REVIEWED),
    "balance": one_of("ask", "hold"),
    "near_duplicates": number(0, 1, but=0),
    "embedding_model": _WORD,
    "check_against": texts(100),
    "leaks": one_of("drop", "report"),
}
_PLACE = {
    "dataset": text(MAX_NAME, r"([\w-][\w.-]*(/[\w-][\w.-]*)?)?", "the name of a dataset, or an empty text"),
    "split": _WORD,
    "index": whole(0, 2**31 - 1),
    "id": DIGEST,
    "seed": whole(INT64[0], INT64[-1]),
}


def run_file(data: bytes, name: str, problems: Problems) -> dict[str, Any]:
    """What a `run.json` says; where it is no object, nothing."""
    try:
        value = decoded(data.decode())
    except (ValueError, RecursionError) as error:
        problems.add(f"{name} is no JSON ({said(error)})")
        return {}
    if not isinstance(value, dict):
        problems.add(f"{name} must be an object, not {shorten(repr(value), 60)}")
        return {}
    for line in list(_unfit(value)) or list(_shape(value)):
        problems.add(f"{name}: {line}")
    return value


def decoded(line: str) -> Any:
    """The JSON value in a text.

    Raises:
        ValueError: it is none, or holds NaN or Infinity, which JSON has not.
        RecursionError: it is nested too deeply.
    """
    return _DECODER.decode(line)


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def said(error: BaseException) -> str:
    """Why a text is no JSON, in a few words."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8, byte {error.start:,}"
    return shorten(str(error), 120)


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _unfit(value: Any) -> Iterator[str]:
    """What neither SQLite, nor Arrow, nor a later reading bears, wherever it stands."""
    waiting = [("", value, 0)]
    while waiting:
        where, one, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            yield f"{where} is nested more than {_MAX_DEPTH} deep"
        elif isinstance(one, dict | list):
            waiting += [(f"{where}.{key}".lstrip("."), inner, depth + 1) for key, inner in _inside(one)]
            if isinstance(one, dict) and not all(map(storable, one)):
                yield f"{where or 'it'} has a key with a lone surrogate"
        elif isinstance(one, str) and not storable(one):
            yield f"{shorten(where, 60)} holds a lone surrogate"
        elif isinstance(one, int) and one not in INT64:
            yield f"{shorten(where, 60)} is a number that takes more than 64 bits"


def storable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    return text.isascii() or not _SURROGATE.search(text)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _shape(about: dict[str, Any]) -> Iterator[str]:
    """What in the file is missing, of another kind, or beyond its bounds."""
    found = list(misfits(_RUN, about, "", known=False))
    for name, kinds, more in (("identity", _IDENTITY, _MORE), ("seed_from", _PLACE, {}), ("emission", {}, _CHECKS)):
        if isinstance(about.get(name), dict):
            found += misfits(kinds, about[name], name, more)
    if isinstance(about.get("task"), dict):
        found += _task(about["task"])
    yield from found or _together(about)


def _together(about: dict[str, Any]) -> Iterator[str]:
    """What fits where it stands, and not beside the rest."""
    identity, labels = about["identity"], about["task"].get("labels") or ()
    if identity["model"] == DEMO:
        yield "its rows are the demo writer's: they are no data, and nobody publishes them"
    if (about.get("emission") or {}).get("verify") == LIKELIHOOD and Settings(model=identity["model"]).local is None:
        yield "its rows are said to be verified by likelihood, which a model of a server does not tell"
    if len(identity.get("attributes") or ()) * len(labels) > MAX_LABELLED:
        yield f"its attributes times its labels are more than {MAX_LABELLED:,}"
    if identity["example"] is None and not about["seed_from"] and identity["strategy"] in SELF_REFERENCE:
        yield "there is neither a formatting example nor a seed_from that says where it is"
    if identity["example"] is None and identity.get("more_examples"):
        yield "identity.more_examples are there without an example"


def _task(value: dict[str, Any]) -> Iterator[str]:
    try:
        task = Task.from_json(value)
    except UsageError as error:
        yield f"task: {shorten(str(error), 200)}"
        return
    changed = [name for name, one in task.to_json().items() if value.get(name) != one]
    for name in changed:
        yield f"task.{name} holds control characters, or spaces at an end: {shorten(ascii(value.get(name)), 60)}"
