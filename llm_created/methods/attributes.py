"""Attribute dimensions: what rows should differ in (AttrPrompt, https://arxiv.org/abs/2306.15895)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from ..tasks.task import Task
from ..utils.draws import evenly
from ..utils.text import fold, scalar

if TYPE_CHECKING:
    from ..runs.identity import Identity

_FORMS = (
    'a list of values, for each label a list of values ({"sports": [...], ...}), a text that says what is to be asked '
    'of the model, or {"per_label": "what is to be asked for each label"}'
)


class Dimension(NamedTuple):
    """One thing in which rows differ.

    Attributes:
        name (`str`): such as `"style"`.
        values (`tuple[str, ...]`): those for every label, where they are given so.
        of_label (`Mapping[str, tuple[str, ...]]`): those of each label, where they are given so.
        about (`str`): what is asked of the model, where they are not given.
        per_label (`bool`): whether each label has values of its own.
    """

    name: str
    values: tuple[str, ...] = ()
    of_label: Mapping[str, tuple[str, ...]] = {}
    about: str = ""
    per_label: bool = False

    def given(self, label: str) -> tuple[str, ...]:
        """The values for rows of this label, as far as they are given."""
        return self.of_label.get(label, ()) if self.per_label else self.values


def dimensions(value: Any, task: Task) -> tuple[Dimension, ...]:
    """The dimensions in the JSON that `attributes` names.

    Raises:
        UsageError: it is something else; the message shows the forms there are.
    """
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"attributes are an object: dimension → {_FORMS}; not {str(value)[:60]!r}")
    fields = {fold(field) for field in task.fields}
    for name in value:
        if not str(name).strip() or fold(str(name)) in fields:
            raise UsageError(
                f"an attribute cannot be called {name!r}: give it a name that is no field of {task.name!r}"
            )
    return tuple(_dimension(scalar(name) or "", one, task) for name, one in value.items())


def _dimension(name: str, value: Any, task: Task) -> Dimension:
    if isinstance(value, str) and value.strip():
        return Dimension(name, about=value.strip())
    if isinstance(value, (list, tuple)):
        return Dimension(name, values=_values(name, value))
    if isinstance(value, Mapping) and set(value) == {"per_label"} and isinstance(value["per_label"], str):
        _labelled(name, task)
        return Dimension(name, about=value["per_label"].strip(), per_label=True)
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"the attribute {name!r} is {str(value)[:60]!r}: give {_FORMS}")
    return Dimension(name, of_label=_by_label(name, value, task), per_label=True)


def _by_label(name: str, value: Mapping[str, Any], task: Task) -> dict[str, tuple[str, ...]]:
    """Values for each label of the task."""
    labels = {fold(label): label for label in _labelled(name, task)}
    unknown = [label for label in value if fold(label) not in labels]
    missing = labels.keys() - {fold(label) for label in value}
    if unknown or missing:
        lacks = next((label for key, label in labels.items() if key in missing), "")
        what = f"has values for {unknown[0]!r}, which is no label" if unknown else f"has no values for {lacks!r}"
        raise UsageError(f"the attribute {name!r} {what} of {task.name!r}: {', '.join(labels.values())}")
    return {labels[fold(label)]: _values(name, one) for label, one in value.items()}


def _labelled(name: str, task: Task) -> tuple[str, ...]:
    if task.labels is None:
        raise UsageError(
            f"the attribute {name!r} has values for each label, and each row of {task.name!r} has its own"
        )
    return task.labels


def _values(name: str, value: Any) -> tuple[str, ...]:
    texts = [scalar(one) for one in value] if isinstance(value, (list, tuple)) else []
    if not texts or not all(texts):
        raise UsageError(f"the attribute {name!r} needs a list of texts, not {str(value)[:60]!r}")
    return tuple({fold(text): text for text in reversed(texts) if text}.values())[::-1]


class Attributes:
    """Attributes laid over self-reference: each turn demands one value of every dimension, drawn evenly by position.

    Raises:
        UsageError: the values of a dimension are not given.
    """

    def __init__(self, identity: Identity) -> None:
        self._seed, self._labels = identity.seed, identity.task.labels or ()
        self._dimensions = dimensions(identity.attributes, identity.task)
        for one in self._dimensions:
            if one.about:
                raise UsageError(
                    f"the attribute {one.name!r} has no values: give a list of them in `attributes` (only attrprompt "
                    "asks the model for values)"
                )

    def draw(self, position: int, label: int | None) -> dict[str, Any]:
        """For each dimension its value for this turn; of a dimension by label one for every label that may come."""
        drawn: dict[str, Any] = {}
        for one in self._dimensions:
            if not one.per_label:
                drawn[one.name] = one.values[evenly(self._seed, one.name, position, len(one.values))]
                continue
            wanted = self._labels if label is None else (self._labels[label],)
            values = {name: one.of_label[name] for name in wanted}
            drawn[one.name] = {
                name: some[evenly(self._seed, f"{one.name}/{name}", position, len(some))]
                for name, some in values.items()
            }
        return drawn
