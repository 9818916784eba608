"""What a model must be told of a task to write rows of it without a formatting example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..utils.text import fold, shorten
from .task import Task

_OBJECTS = ("labels", "draws", "attributes")
_PARTS = (*_OBJECTS, "description", "seed", "source")


@dataclass(frozen=True)
class Guide:
    """A task in words, for `targen`, `attrprompt` and `simprompt`.

    Args:
        description (`str`): what a row is and what its answer says, in one or two sentences.
        labels (`Mapping[str, str]`, *optional*): for each label of a fixed label space, what a row with it is like.
        seed (`str`, *optional*): what the instance seeds of TarGEN are, in the plural: `"premises: one or two factual
            sentences each"`.
        draws (`Mapping[str, tuple[str, ...]]`, *optional*): input fields whose value is one of a few and is drawn
            evenly before a row is written, such as COPA's `{"question": ("cause", "effect")}`.
        source (`str`, *optional*): what kind of text a row is, for AttrPrompt: `"a news article"`.
        attributes (`Mapping[str, Any]`, *optional*): attribute dimensions, as in the file of `attributes`: a list of
            values; for each label a list of values; or what is to be asked of the model, as a text (`"a region"`:
            values for all labels) or as `{"per_label": "a kind of sport"}` (values for each label).

    Example:

        >>> from llm_created import Guide, Task
        >>> guide = Guide("A short review of a film, and its tone.", labels={"warm": "the reviewer liked it"})
        >>> guide.check(Task("tone", ("review",), labels=("warm", "cold")))
        >>> guide.meaning("warm")
        'the reviewer liked it'
    """

    description: str
    labels: Mapping[str, str] = field(default_factory=dict)
    seed: str = "short sentences from which such an example can grow"
    draws: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def check(self, task: Task) -> None:
        """Say what does not fit the task.

        Raises:
            UsageError: a label, or a field that is drawn, is none of the task's.
        """
        known = {fold(label) for label in task.labels or ()}
        for label in self.labels:
            if fold(label) not in known:
                raise UsageError(f"the guide speaks of the label {label!r}; those of {task.name!r}: {task.labels}")
        for name, values in self.draws.items():
            if name not in task.inputs or len(set(values)) < 2:
                raise UsageError(
                    f"the guide draws {name!r} from {list(values)}: an input field of {task.inputs} and two or more "
                    "values are wanted"
                )

    def meaning(self, label: str) -> str:
        """What a row with this label is like, or `""`."""
        return next((text for name, text in self.labels.items() if fold(name) == fold(label)), "")

    def fields(self, drawn: Mapping[str, Any]) -> dict[str, str]:
        """The input fields among what was drawn for a row."""
        return {name: drawn[name] for name in self.draws}

    def to_json(self) -> dict[str, Any]:
        """The guide as plain JSON, as `task.json` holds it."""
        return {
            "description": self.description,
            "labels": dict(self.labels),
            "seed": self.seed,
            "draws": {name: list(values) for name, values in self.draws.items()},
            "source": self.source,
            "attributes": dict(self.attributes),
        }

    @classmethod
    def from_json(cls, value: Any) -> Guide:
        """The guide that `to_json` wrote; only `description` must be there.

        Raises:
            UsageError: something else stands there.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("description"), str):
            raise UsageError("a guide is an object with a 'description' of the task, and perhaps 'labels', 'seed' ...")
        for name, one in value.items():
            _check_part(name, one)
        draws = {name: tuple(values) for name, values in value.get("draws", {}).items()}
        return cls(**{**value, "draws": draws})


def _check_part(name: str, value: Any) -> None:
    """Say what is wrong with one part of a guide."""
    if name not in _PARTS:
        raise UsageError(f"a guide has no {shorten(repr(name))}: it may have {', '.join(sorted(_PARTS))}")
    kind: Any = Mapping if name in _OBJECTS else str
    if not isinstance(value, kind):
        wanted = "a text" if kind is str else "an object"
        raise UsageError(f"{name!r} of a guide must be {wanted}, not {shorten(repr(value))}")
    for key, one in value.items() if kind is Mapping else ():
        _check_entry(name, key, one)


def _check_entry(name: str, key: str, value: Any) -> None:
    """Say what is wrong with an entry of a part that is an object."""
    if name == "labels" and not isinstance(value, str):
        raise UsageError(f"what a guide says of the label {key!r} must be a text, not {shorten(repr(value))}")
    if name == "draws" and not _are_texts(value):
        raise UsageError(f"a guide draws {key!r} from a list of texts, not {shorten(repr(value))}")


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(one, str) for one in values)
