"""AttrPrompt: rows that differ in attributes which are drawn evenly, one prompt for each row; and SimPrompt without.

"Large Language Model as Attributed Training Data Generator" (https://arxiv.org/abs/2306.15895). The set-up comes
first, in positions that are known beforehand: for each label the labels that are most like it; the values of each
dimension that are not given, for each label where it depends on the label; and of those again, which would fit a label
that is like it and are dropped. Then every position is a row: its label and its attributes follow from its number.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import RunFailed
from ..prompts import examples as prompt
from ..prompts.examples import Message
from ..prompts.lists import read_list
from ..runs.identity import Identity
from ..tasks.task import Reason, Row
from ..utils.draws import evenly
from ..utils.text import fold
from .attributes import Dimension, dimensions
from .base import Turn

# The paper's numbers: labels that count as alike, values of a dimension, and values that the filter may drop.
ALIKE, VALUES, DROPPED = 5, 10, 5


# What a step waits for, of the same dimension and label.
_ASKED = ("values", "again", "once more")
_BEFORE = {kind: _ASKED[:number] for number, kind in enumerate(_ASKED) if number} | {"filter": _ASKED}


class Step(NamedTuple):
    """One call of the set-up, for which dimension and label: `"alike"`, `"values"` (`"again"`, `"once more"`)
    or `"filter"`."""

    kind: str
    dimension: str = ""
    label: str = ""


class AttrPrompt:
    """Plans the set-up, then rows. SimPrompt has neither set-up nor attributes.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._labels = identity.task.labels or ("",)
        attributes = identity.attributes if identity.strategy == "attrprompt" else None
        self._dimensions = dimensions(attributes, identity.task) if attributes else ()
        self._steps = self._set_up() if attributes else []
        self._place = {step: position for position, step in enumerate(self._steps)}
        self._found: dict[Step, list[str]] = {}
        self._open = set(self._steps)
        self._ready = [self._place[step] for step in self._steps if self._is_ready(step)]
        heapq.heapify(self._ready)
        self._next_row = len(self._steps)

    def _set_up(self) -> list[Step]:
        """The calls of the set-up; with few labels, all others count as alike and nobody is asked."""
        asked = [one for one in self._dimensions if one.about]
        own = [Step("values", one.name, label) for one in asked if one.per_label for label in self._labels]
        alike = [Step("alike", label=label) for label in self._labels if len(self._labels) > ALIKE + 1]
        for_all = [Step("values", one.name) for one in asked if not one.per_label]
        # What gave nothing is asked for again, twice at most.
        again = [step._replace(kind=kind) for kind in _ASKED[1:] for step in [*for_all, *own]]
        filters = [step._replace(kind="filter") for step in own if len(self._labels) > 1]
        return [*alike, *for_all, *own, *again, *filters]

    def _is_ready(self, step: Step) -> bool:
        """Whether all is known that this call speaks of."""
        if step.kind in _BEFORE:
            return not {step._replace(kind=kind) for kind in _BEFORE[step.kind]} & self._open
        return not step.label or step.kind == "alike" or Step("alike", label=step.label) not in self._open

    def next(self) -> Turn | None:
        if self._ready:
            step = self._steps[self._ready[0]]
            named = {"set-up": step.kind, "dimension": step.dimension, "label": step.label}
            return Turn(self._ready[0], 0, 0, drawn={name: value for name, value in named.items() if value})
        if self._open:
            return None
        number = self._next_row - len(self._steps)
        label = evenly(self.identity.seed, "label", number, len(self._labels))
        return Turn(self._next_row, 0, 1, label=label if self.identity.task.labels else None, drawn=self._draw(number))

    def _draw(self, number: int) -> dict[str, str]:
        """A value of each dimension for the row with this number."""
        block, seed = number // len(self._labels), self.identity.seed
        label = self._labels[evenly(seed, "label", number, len(self._labels))]
        fields = self.identity.guide.draws.items()
        drawn = {field: values[evenly(seed, field, number, len(values))] for field, values in fields}
        for one in self._dimensions:
            values = self._values(one, label)
            if values:
                drawn[one.name] = values[evenly(seed, f"{one.name}/{label}", block, len(values))]
        return drawn

    def _values(self, one: Dimension, label: str) -> Sequence[str]:
        if not one.about:
            return one.given(label)
        step = Step("values", one.name, label if one.per_label else "")
        dropped = self._found.get(step._replace(kind="filter"), ())
        found = self._found.get(step, [])
        # A filter that leaves nothing says more about itself than about the values.
        return [value for value in found if value not in dropped] or found

    def _alike(self, label: str) -> list[str]:
        """The labels that are most like this one."""
        if len(self._labels) <= ALIKE + 1:
            return [other for other in self._labels if other != label]
        return self._found.get(Step("alike", label=label)) or [one for one in self._labels if one != label][:ALIKE]

    def start(self, turn: Turn) -> None:
        if turn.rows:
            self._next_row += 1
        else:
            heapq.heappop(self._ready)

    def ask(self, turn: Turn) -> tuple[list[Message], Mapping[str, Any] | None]:
        """The prompt of a call of the set-up, or of a row."""
        task, guide = self.identity.task, self.identity.guide
        if turn.rows:
            label = "" if turn.label is None else self._labels[turn.label]
            others = self._alike(label) if self._dimensions else ()
            return prompt.compose(task, guide, self.identity.instruction, turn.label, turn.drawn, others)
        step = self._steps[turn.position]
        if step.kind == "alike":
            others = [label for label in self._labels if label != step.label]
            return prompt.list_of(guide, self._ask_alike(step), ALIKE, ALIKE, others)
        about = next(one.about for one in self._dimensions if one.name == step.dimension)
        if step.kind in _ASKED:
            return prompt.list_of(guide, self._ask_values(step, about), VALUES, VALUES)
        values = self._found.get(step._replace(kind="values"), ())
        return prompt.list_of(guide, self._ask_filter(step, about, values), 0, len(values), values)

    def _ask_alike(self, step: Step) -> str:
        return (
            f"The labels are: {'; '.join(self._labels)}.\nGive the {ALIKE} labels that are most easily taken for "
            f"{_quoted(step.label)}, the nearest first, word for word."
        )

    def _ask_values(self, step: Step, about: str) -> str:
        wanted = f"Examples differ in an attribute: {about}. Give {VALUES} different values, a few words each."
        if not step.label:
            return wanted
        others = " or ".join(map(_quoted, self._alike(step.label)))
        unlike = f", and not those labelled {others}." if others else "."
        return f"{wanted}\nThey **must** suit examples whose label is {_quoted(step.label)}{unlike}"

    def _ask_filter(self, step: Step, about: str, values: Sequence[str]) -> str:
        listed = "\n".join(f"- {value}" for value in values)
        others = " or ".join(map(_quoted, self._alike(step.label)))
        return (
            f"Here are values of an attribute: {about}. They were meant for the label {_quoted(step.label)}.\n"
            f"{listed}\n\nGive those that would suit examples labelled {others} as well, word for word. If there are "
            "none, give an empty list."
        )

    def read(self, turn: Turn, text: str) -> list[Row | Reason]:
        """The row of a reply, if it is what was asked for; a list is remembered."""
        if turn.rows:
            return prompt.read_one(self.identity.task, text, turn.label, self.identity.guide.fields(turn.drawn))
        step = self._steps[turn.position]
        if step.kind == "filter":
            self._found[step] = self._dropped(step, text)
            return []
        found = read_list(text, self._labels if step.kind == "alike" else ())
        if isinstance(found, Reason):
            return [found]
        if step.kind == "alike":
            found = self._named(step, found)
        self._found[step._replace(kind="values") if step.kind in _ASKED else step] = found[: 2 * VALUES]
        return []

    def _named(self, step: Step, found: Sequence[str]) -> list[str]:
        """The other labels that a list names."""
        known = {fold(label): label for label in self._labels if label != step.label}
        named = [known[fold(one)] for one in found if fold(one) in known][:ALIKE]
        return list(dict.fromkeys(named))

    def _dropped(self, step: Step, text: str) -> list[str]:
        """The values that the filter names, not more than may be dropped; what it makes up is none."""
        found = read_list(text)
        values = self._found.get(step._replace(kind="values"), [])
        named = set() if isinstance(found, Reason) else {fold(one).rstrip(".") for one in found}
        return [value for value in values if fold(value).rstrip(".") in named][:DROPPED]

    def arrived(self, turn: Turn, rows: Sequence[Row], similarity: Mapping[str, float]) -> None:
        """What a call of the set-up makes known can be asked for."""
        if turn.rows:
            return
        done = [self._steps[turn.position]]
        while done:
            ready, done = self._set_free(done), []
            for step in ready:
                if self.void(self._place[step]):
                    done.append(step)
                else:
                    heapq.heappush(self._ready, self._place[step])
        if not self._open:
            self._all_there()

    def _set_free(self, done: Sequence[Step]) -> list[Step]:
        """The steps that waited for nothing but these."""
        before = [step for step in self._open if self._is_ready(step)]
        self._open -= set(done)
        return [step for step in self._open if step not in before and self._is_ready(step)]

    def _all_there(self) -> None:
        """Say so if the set-up has no value for a row to have."""
        for one in self._dimensions:
            for label in self._labels:
                if not self._values(one, label):
                    of = f" for {label!r}" if one.per_label else ""
                    raise RunFailed(
                        f"the model gave no values of the attribute {one.name!r}{of}, asked three times: give them in "
                        "`attributes` FILE"
                    )

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        """Nothing depends on which rows the pool accepted."""

    def rows_before(self, position: int) -> int:
        """The set-up asks for no rows."""
        return max(position - len(self._steps), 0)

    def unlikely(self, position: int) -> int:
        """What is asked again is mostly there."""
        return sum(step.kind in _ASKED[1:] for step in self._steps[position:])

    def void(self, position: int) -> bool:
        """Whether this asks again for values that came, or is a filter for values that never did."""
        if position >= len(self._steps) or self._steps[position].kind not in _BEFORE:
            return False
        there = bool(self._found.get(self._steps[position]._replace(kind="values")))
        return there == (self._steps[position].kind != "filter")


def _quoted(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)
