"""How a setting is declared: once, with all that is said of it anywhere."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import UsageError

_KINDS = {"int": (int,), "float": (int, float), "bool": (bool,)}
# What a setting decides: the rows of a run, which of them are emitted, how they are asked for, where the run stops.
IDENTITY, EMISSION, TRANSPORT, STOP = "identity", "emission", "transport", "stop"


class Knob(NamedTuple):
    """One setting.

    Attributes:
        name (`str`): the keyword in Python; `option` is what the command line calls it.
        type (`str`): of its values, as annotated.
        default (`Any`): `None` where what is given has to be told from what is not.
        kind (`str`): `"identity"`, `"emission"`, `"transport"` or `"stop"`.
        help (`str`): what it is, in a line.
        usual (`Any`): what `None` stands for.
        paper (`Any`): what the EMNLP 2023 paper used, and `paper=True` sets.
        choices (`tuple[Any, ...]`): the values that it takes.
        instead (`tuple[str, ...]`): words that may stand in place of a number.
        least, above, most (`float`, *optional*): bounds of a number.
        metavar (`str`): what stands for a value in the help of the command line.
        bare (`Any`): the value of the flag alone.
        flag (`str`): another name on the command line.
        of_task (`bool`): shown there with the task.
        python (`bool`): a keyword that the command line has in another form.
        card, said (`str`): of an emission check, what a card calls it, and what it does, with other settings by name.
        words (`Mapping[Any, str]`): values as they are put there; else `unit` with the value.
    """

    name: str
    type: str
    default: Any
    kind: str
    help: str
    usual: Any = None
    paper: Any = None
    choices: tuple[Any, ...] = ()
    instead: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    metavar: str = ""
    bare: Any = None
    flag: str = ""
    of_task: bool = False
    python: bool = False
    card: str = ""
    said: str = ""
    words: Mapping[Any, str] = MappingProxyType({})
    unit: str = "{}"

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def stands_for(self) -> Any:
        """The value that holds where none is given."""
        return self.usual if self.default is None else self.default

    @property
    def of_values(self) -> str:
        """The type of what is given, but for words that stand in place of it."""
        given = self.type.removesuffix(" | None")
        return given.removesuffix(" | str") if self.instead else given

    def put(self, value: Any) -> str:
        """A value in words."""
        listed = ", ".join(map(str, value)) if isinstance(value, list) else value
        return self.words.get(listed) or self.unit.format(listed)

    def check(self, value: Any) -> None:
        """Say what is wrong with a value that is given.

        Raises:
            UsageError: it is of another type, out of bounds, or none of the choices.
        """
        kind = self.of_values
        if isinstance(value, str) and value in self.instead:
            return
        # True is an int to Python, and no number to a person.
        if kind in _KINDS and type(value) not in _KINDS[kind]:
            wanted = " or ".join((f"{'an' if kind == 'int' else 'a'} {kind}", *self.instead))
            raise UsageError(f"`{self.name}` must be {wanted}, not {value!r}")
        if self.choices and value not in self.choices:
            known = ", ".join(one for one in self.choices if isinstance(one, str))
            raise UsageError(f"`{self.name}` must be one of {known}, not {value!r}")
        if kind in ("int", "float") and not self._within(value):
            wanted = ", or ".join((self._bounds, *self.instead))
            raise UsageError(f"`{self.name}` must be {wanted}, not {value}")

    def _within(self, value: float) -> bool:
        low = -math.inf if self.least is None else self.least
        high = math.inf if self.most is None else self.most
        return math.isfinite(value) and low <= value <= high and (self.above is None or value > self.above)

    @property
    def _bounds(self) -> str:
        if self.above is not None:
            return f"above {self.above:g} and at most {self.most:g}" if self.most else f"a number above {self.above:g}"
        if self.least is None:
            return "a finite number"
        return f"from {self.least:g} to {self.most:g}" if self.most else f"at least {self.least:g}"


def knob(default: Any, kind: str, about: str, **more: Any) -> Any:
    """A field of `Settings` with what is said of it; `more` are the other attributes of [`Knob`]."""
    return dataclasses.field(default=default, metadata={"kind": kind, "help": about, **more})


def table(settings: type) -> Mapping[str, Knob]:
    """The settings of a dataclass whose fields are knobs, by name."""
    fields = dataclasses.fields(settings)
    return {one.name: Knob(one.name, str(one.type), one.default, **one.metadata) for one in fields}


def described(knobs: Mapping[str, Knob]) -> Iterator[str]:
    """The settings as the lines of a docstring's `Args`."""
    for one in knobs.values():
        kind = one.type.removesuffix(" | None").replace("Callable[[Mapping[str, Any]], str | None]", "Callable")
        kinds = " or ".join(f"`{part.strip()}`" for part in kind.split(" | "))
        value = one.stands_for
        shown = "*optional*" if value is None else f"defaults to `{value!r}`"
        yield f"{one.name} ({kinds}, {shown}): {one.help}."
