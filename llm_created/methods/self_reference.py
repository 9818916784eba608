"""Self-reference: a reply's rows are the formatting examples of the next turns (section 3.4 of the paper).

Every turn has a position; positions are committed in order, whatever the order of arrival, and everything below
depends on what was committed, never on what came first.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from ..prompts import examples as prompt
from ..prompts import schemas
from ..prompts.examples import Message
from ..runs.identity import Identity
from ..tasks.task import Reason, Row
from .attributes import Attributes
from .base import NOTHING, Turn
from .label_schedule import LabelSchedule
from .pool import Pool
from .roots import Roots

# After so many replies in a row with nothing usable a chain goes back to the first example.
BARREN_REPLIES = 3


class SelfReference:
    """What the strategies share: a turn shows a row and asks for more like it.

    Args:
        identity (`Identity`): the run.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.roots = Roots(identity)
        self._overlay = Attributes(identity) if identity.attributes else None
        self.labels = LabelSchedule(identity) if identity.balance else None

    def turn(self, position: int, lane: int, example: Row, block: int, at: int) -> Turn:
        """A turn that shows `example`, the turn number `at` of its block."""
        label = None if self.labels is None else self.labels.label(block, at)
        drawn = self._overlay.draw(position, label) if self._overlay else NOTHING
        return Turn(position, lane, self.identity.num_examples, example, label, drawn)

    def ask(self, turn: Turn) -> tuple[list[Message], Mapping[str, Any] | None]:
        """The instruction and the formatting example, and what else is demanded of this turn."""
        task = self.identity.task
        label = None if turn.label is None or task.labels is None else task.labels[turn.label]
        instruction = self.identity.instruction
        first, *beside = self.shown(turn)
        messages = prompt.demand(prompt.render(task, first, instruction, beside), task, label, turn.drawn)
        listed = prompt.lists_options(task, instruction)
        return messages, schemas.of_rows(task, turn.rows, label, lists_options=listed)

    def shown(self, turn: Turn) -> list[Row]:
        """The examples of a turn as they stand in its prompt."""
        assert turn.example is not None
        return [turn.example, *turn.beside]

    def read(self, turn: Turn, text: str) -> list[Row | Reason]:
        """The rows of a reply, a generation below the example."""
        assert turn.example is not None
        rows = prompt.read(self.identity.task, text)
        return [
            row if isinstance(row, Reason) else row._replace(parent_id=turn.example.id, depth=turn.example.depth + 1)
            for row in rows
        ]

    def arrived(self, turn: Turn, rows: Sequence[Row], similarity: Mapping[str, float]) -> None:
        """Nothing depends on a reply before it is committed."""

    def rows_before(self, position: int) -> int:
        """Every turn asks for rows."""
        return position

    def unlikely(self, position: int) -> int:
        """Every turn is expected to come."""
        return 0

    def void(self, position: int) -> bool:
        """Every turn comes."""
        return False


def _draw(seed: int, lane: int, level: int, row: Row) -> bytes:
    """A number drawn for one row in one place: removing another row leaves it where it was."""
    return hashlib.blake2b(f"{seed}/{lane}/{level}/{row.id}".encode(), digest_size=8).digest()


class Naive(SelfReference):
    """Always the person's examples, round and round."""

    # With balance, a turn goes by what was committed one to two blocks before.
    BLOCK = 64

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self._next = self._committed = 0
        if self.labels:
            self.labels.begin(0)
            self.labels.begin(1)

    def next(self) -> Turn | None:
        block, at = divmod(self._next, self.BLOCK)
        if self.labels and block - 1 > self._committed // self.BLOCK:
            return None
        return self.turn(self._next, 0, self.roots.at(self._next), block, at)

    def start(self, turn: Turn) -> None:
        self._next = turn.position + 1

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        self._committed = turn.position + 1
        if self.labels:
            self.labels.count(rows)
            if self._committed % self.BLOCK == 0:
                self.labels.begin(self._committed // self.BLOCK + 1)


class Tree(SelfReference):
    """Breadth-first: every accepted row of a level is an example of the next, in an order drawn by hash. The first
    level are the person's examples."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self._level = self._block = 0
        self._frontier = self.roots.once()
        self._asked = self._done = self._position = 0
        self._children: list[Row] = []
        if self.labels:
            self.labels.begin(0)

    def next(self) -> Turn | None:
        if self._asked == len(self._frontier):
            return None
        return self.turn(self._position, 0, self._frontier[self._asked], self._block, self._asked)

    def start(self, turn: Turn) -> None:
        self._asked += 1
        self._position += 1

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        self._children.extend(rows)
        self._done += 1
        if self.labels:
            self.labels.count(rows)
        if self._done < len(self._frontier):
            return
        if self._children:
            self._level += 1
            seed = self.identity.seed
            self._frontier = sorted(self._children, key=lambda row: _draw(seed, 0, self._level, row))
            self._children = []
        # A level that gave nothing is asked again; the request's next occurrence gets another answer.
        self._asked = self._done = 0
        self._block += 1
        if self.labels:
            self.labels.begin(self._block)


class Chains(SelfReference):
    """Independent chains that each follow one row of their last reply; rows merge by (round, chain).

    A chain leaves out the rows that the merged pool up to the round before last already has, and so can run two
    rounds ahead of the merge without its choice depending on who was faster. The person's examples are dealt out to
    the chains, and each begins by showing its own, one a round.
    """

    def __init__(self, identity: Identity, pool: Pool) -> None:
        super().__init__(identity)
        self._pool = pool
        self._chains = identity.chains
        roots = self.roots.once()
        self._roots = [roots[lane :: self._chains] or [roots[lane % len(roots)]] for lane in range(self._chains)]
        self._example = [own[0] for own in self._roots]
        self._barren = [0] * self._chains
        self._merged = 0  # rounds that are merged whole
        self._ready = [(0, lane) for lane in range(self._chains)]
        self._waiting: dict[int, tuple[int, Sequence[Row], Mapping[str, float]]] = {}
        if self.labels:
            self.labels.begin(0)
            self.labels.begin(1)

    def next(self) -> Turn | None:
        if not self._ready:
            return None
        level, lane = self._ready[0]
        return self.turn(level * self._chains + lane, lane, self._example[lane], level, lane)

    def start(self, turn: Turn) -> None:
        heapq.heappop(self._ready)

    def arrived(self, turn: Turn, rows: Sequence[Row], similarity: Mapping[str, float]) -> None:
        level = turn.position // self._chains + 1
        self._waiting[turn.lane] = (level, rows, similarity)
        self._advance(turn.lane)

    def committed(self, turn: Turn, rows: Sequence[Row]) -> None:
        if self.labels:
            self.labels.count(rows)
        if turn.lane == self._chains - 1:
            self._merged += 1
            if self.labels:
                self.labels.begin(self._merged + 1)
            for lane in list(self._waiting):
                self._advance(lane)

    def _advance(self, lane: int) -> None:
        """Choose the chain's next example, once all that the choice may depend on is merged."""
        level, rows, similarity = self._waiting[lane]
        if self._merged < level - 1:
            return
        del self._waiting[lane]
        own = self._roots[lane]
        candidates = [row for row in rows if self._is_new(row, level)]
        if level < len(own):
            self._example[lane] = own[level]
        elif candidates:
            self._barren[lane] = 0
            self._example[lane] = min(candidates, key=lambda row: self._rank(row, lane, level, similarity))
        else:
            self._barren[lane] += 1
            if self._barren[lane] % BARREN_REPLIES == 0:
                self._example[lane] = own[self._barren[lane] // BARREN_REPLIES % len(own)]
        heapq.heappush(self._ready, (level, lane))

    def _is_new(self, row: Row, level: int) -> bool:
        seen = self._pool.first_seen(row)
        return seen is None or seen >= (level - 1) * self._chains

    def _rank(self, row: Row, lane: int, level: int, similarity: Mapping[str, float]) -> tuple[float, bytes]:
        if self.identity.strategy == "random":
            return 0.0, _draw(self.identity.seed, lane, level, row)
        sign = 1 if self.identity.strategy == "contrastive" else -1
        return sign * similarity[row.id], row.id.encode()
