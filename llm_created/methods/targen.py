"""TarGEN: contexts, instance seeds in each, a label drawn first, and a row written to fit seed and label.

"TarGEN: Targeted Data Generation with Large Language Models" (https://arxiv.org/abs/2310.17876). Its fourth step,
self-correction, is a judge (`checks/judge.py`), as it may follow any method.

A round is a fixed pattern of positions: a list of contexts; then for each context a list of seeds and the row of its
first seed; then the rows of the second seeds, of the third ... A list that turned out shorter leaves positions void.
So every position is known before any reply is, contexts alternate from row to row, and each reply is needed alone by
what was to be written from it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from ..prompts import examples as prompt
from ..prompts.examples import Message
from ..prompts.lists import read_list
from ..runs.identity import Identity
from ..tasks.task import Reason, Row
from ..utils.draws import evenly
from ..utils.text import fold
from .base import Turn

# A list of contexts leaves out those of the rounds before, as far as a prompt has room for them.
_TOLD = 100


class TarGEN:
    """Plans rounds of `contexts` times `num_examples` rows.

    Args:
        identity (`Identity`): the run; `num_examples` is the number of seeds asked for in each context.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._contexts, self._seeds = identity.contexts, identity.num_examples
        self._length = 1 + self._contexts * (1 + self._seeds)
        self._ready = [0]
        # Lists by the position of the turn that asked for them.
        self._lists: dict[int, list[str]] = {}

    def next(self) -> Turn | None:
        if not self._ready:
            return None
        position = self._ready[0]
        number, step, context, seed = self._place(position)
        if step == "contexts":
            return Turn(position, number, 0, drawn={"contexts": self._contexts})
        name = self._lists[number * self._length][context]
        if step == "seeds":
            return Turn(position, number, 0, drawn={"context": name})
        # By context, so that a list that is short or missing leaves the others even.
        place = number * self._contexts + context
        labels = self.identity.task.labels or ("",)
        drawn: dict[str, Any] = {"context": name, "seed": self._lists[self._seeds_at(number, context)][seed]}
        for field, values in self.identity.guide.draws.items():
            first = evenly(self.identity.seed, field, place, len(values))
            drawn[field] = values[(first + seed // len(labels)) % len(values)]
        label = (evenly(self.identity.seed, "label", place, len(labels)) + seed) % len(labels)
        return Turn(position, number, 1, label=label if self.identity.task.labels else None, drawn=drawn)

    def start(self, turn: Turn) -> None:
        heapq.heappop(self._ready)

    def ask(self, turn: Turn) -> tuple[list[Message], Mapping[str, Any] | None]:
        """One of the three prompts: for contexts, for seeds in a context, for a row."""
        task, guide, drawn = self.identity.task, self.identity.guide, turn.drawn
        if turn.rows:
            # A task may have fields of its own called context and seed.
            told = {"set in this context": drawn["context"], "grown from this seed": drawn["seed"]}
            return prompt.compose(task, guide, self.identity.instruction, turn.label, told | guide.fields(drawn))
        number = self._seeds if "context" in drawn else self._contexts
        if "context" in drawn:
            wanted = f"Context: {drawn['context']}\n\nIn this context, give {self._seeds} different {guide.seed}."
        else:
            wanted = (
                f"Give {self._contexts} different contexts or domains in which such examples can be set (everyday, "
                "professional, historical, scientific, fictional ...), a few words each."
            )
            taken = [name for at in range(0, turn.position, self._length) for name in self._lists.get(at, ())]
            if taken:
                wanted += f"\nLeave out those that are taken: {'; '.join(taken[-_TOLD:])}."
        return prompt.list_of(guide, wanted, number, number)

    def read(self, turn: Turn, text: str) -> list[Row | Reason]:
        """The row of a reply, if it is what was asked for; a list is remembered."""
        if turn.rows:
            return prompt.read_one(self.identity.task, text, turn.label, self.identity.guide.fields(turn.drawn))
        found = read_list(text)
        if isinstance(found, Reason):
            return [found]
        if "context" in turn.drawn:
            self._lists[turn.position] = found[: self._seeds]
            return []
        taken = {fold(name) for at in range(0, turn.position, self._length) for name in self._lists.get(at, ())}
        new = [name for name in found if fold(name) not in taken]
        self._lists[turn.position] = new[: self._contexts]
        return [] if new else [Reason("no_list", "only contexts that were taken before")]

    def arrived(self, turn: Turn, rows: Sequence[Row], similarity: Mapping[str, float]) -> None:
        """What a list makes known can be asked for."""
        if turn.rows:
            return
        number, step, context, _ = self._place(turn.position)
        found = len(self._lists.setdefault(turn.position, []))
        if step == "contexts":
            # The next round leaves out the contexts of this one.
            ready = [self._seeds_at(number, one) for one in range(found)] + [(number + 1) * self._length]
        else:
            ready = [self._row_at(number, context, seed) for seed in range(found)]
        for position in ready:
            heapq.heappush(self._ready, position)

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        """Nothing depends on which rows the pool accepted."""

    def _seeds_at(self, number: int, context: int) -> int:
        return number * self._length + 1 + 2 * context

    def _row_at(self, number: int, context: int, seed: int) -> int:
        if seed == 0:
            return self._seeds_at(number, context) + 1
        return number * self._length + 1 + self._contexts * (1 + seed) + context

    def _place(self, position: int) -> tuple[int, str, int, int]:
        """The round of a position, what is asked for there, and for which context and seed of the round."""
        number, at = divmod(position, self._length)
        if at == 0:
            return number, "contexts", 0, 0
        if at <= 2 * self._contexts:
            return number, "row" if at % 2 == 0 else "seeds", (at - 1) // 2, 0
        seed, context = divmod(at - 1 - self._contexts, self._contexts)
        return number, "row", context, seed

    def rows_before(self, position: int) -> int:
        """Rows stand between the lists of seeds at first, then one after another."""
        number, at = divmod(position, self._length)
        before = max(at - 1, 0) // 2 if at <= 2 * self._contexts else at - 1 - self._contexts
        return number * self._contexts * self._seeds + before

    def unlikely(self, position: int) -> int:
        """Every turn is expected to come."""
        return 0

    def void(self, position: int) -> bool:
        """Whether a list before it was too short for this position."""
        number, step, context, seed = self._place(position)
        if step == "contexts":
            return False
        if context >= len(self._lists.get(number * self._length, ())):
            return True
        return step == "row" and seed >= len(self._lists.get(self._seeds_at(number, context), ()))
