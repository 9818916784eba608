"""From a run's identity to its rows: the loop that every strategy and every method runs through.

    Strategy plans a turn → its messages → Client (Journal in front) → its pieces → Pool → Emission → row

One run identity defines one infinite sequence of rows, and every stop takes a prefix of it. Turns have positions;
they are planned as soon as all that they show is known, answered in any order, and merged in the order of positions.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..checks.judge import Judge
from ..checks.people import People
from ..checks.user_filter import Check
from ..clients.base import Client, Reply, Request
from ..embeddings import Similarity
from ..errors import LLMCreatedError, RunFailed, StoppedShort, UsageError
from ..methods.base import Turn, turns_to_come
from ..methods.choose import strategy
from ..methods.frontier import Frontier
from ..methods.pool import Pool
from ..prompts.examples import Message
from ..runs.identity import Identity
from ..runs.journal import JUDGES, SURPLUS, UNJUDGED, Journal
from ..tasks.task import Reason, Row
from ..utils.text import shorten
from .budget import Budget
from .calls import Call, Calls, Use, key_of
from .emission import Emission, Fate, MergedTurn
from .progress import Tally

if TYPE_CHECKING:
    from ..checks.near_duplicates import NearDuplicates

# Told once, before the first request: how many calls are expected, and the messages of that request.
BeforeBuying = Callable[[int, Sequence[Message]], None]


async def create(
    identity: Identity,
    client: Client,
    journal: Journal,
    num_rows: int,
    *,
    concurrency: int = 32,
    patience: int = 20,
    checks: Sequence[Check] = (),
    near: NearDuplicates | None = None,
    judges: Sequence[Judge] = (),
    people: People | None = None,
    balance: bool = False,
    budget: Budget | None = None,
    tally: Tally | None = None,
    before_buying: BeforeBuying | None = None,
    stop: asyncio.Event | None = None,
    similarity: Similarity | None = None,
) -> AsyncGenerator[Row, None]:
    """The first `num_rows` rows of the run that `identity` defines, each as soon as it may be emitted.

    Args:
        identity (`Identity`): what the run is.
        client (`Client`): who answers.
        journal (`Journal`): the run's journal, open; what it holds is not asked again.
        num_rows (`int`): how many rows are wanted.
        concurrency (`int`, defaults to 32): requests in flight at most.
        patience (`int`, defaults to 20): turns in a row without a new row that end the run; with balance, per label.
        checks (`Sequence[Check]`, *optional*): emission checks, in order.
        near (`NearDuplicates`, *optional*): the check that compares embeddings, after the others.
        judges (`Sequence[Judge]`, *optional*): emission checks that make calls, in order.
        people (`People`, *optional*): what people said of rows, after the judges.
        balance (`bool`, defaults to `False`): hold rows back so that the emitted ones are even over the fixed labels,
            to within one row at every prefix.
        budget (`Budget`, *optional*): caps, and what was spent.
        tally (`Tally`, *optional*): filled while the run goes on.
        before_buying (`BeforeBuying`, *optional*): told once, before the first request, how many calls are expected;
            it may raise to keep them from being made.
        stop (`asyncio.Event`, *optional*): when set, nothing more is asked; what is in flight is still taken in.
        similarity (`Similarity`, *optional*): compares examples for `contrastive` and `similar`; by default with the
            identity's embedding model.

    Raises:
        StoppedShort: a cap, patience or `stop` ended the run before it had `num_rows` rows.
        RunFailed: a request got no reply, or none can.

    Example:

        >>> import asyncio, json
        >>> from llm_created import Identity, Journal, ScriptedClient, Task, create
        >>> example = {"question": "Is ice cold?", "options": ["True", "False"], "answer": "True"}
        >>> task = Task.from_example(example, label_space="fixed")
        >>> identity = Identity(task, example, "my-model", "Write one more.", num_examples=1)
        >>> client = ScriptedClient(json.dumps({**example, "question": f"Is {n} odd?"}) for n in range(9))
        >>> async def questions():
        ...     with Journal("odd-numbers", identity.as_json) as journal:
        ...         return [row.inputs[0] async for row in create(identity, client, journal, 3, concurrency=1)]
        >>> asyncio.run(questions())
        ['Is 0 odd?', 'Is 1 odd?', 'Is 2 odd?']
    """
    if num_rows < 1:
        raise UsageError(f"the number of rows must be at least 1, not {num_rows}")
    if concurrency < 1 or patience < 1:
        raise UsageError(f"`concurrency` and `patience` must be at least 1, not {concurrency} and {patience}")
    if balance and identity.task.labels is None:
        raise UsageError(
            f"`balance` evens out fixed labels, and each row of {identity.task.name!r} has its own options"
        )
    tally = tally or Tally()
    tally.target = num_rows
    # By these whoever opens the journal reads the rows again.
    journal.set("target", num_rows)
    if journal.get("task") is None:
        journal.set("task", identity.task.to_json())
    budget = budget or Budget(spent=journal.spent())
    calls = Calls(identity.digest, client, journal, budget, concurrency, tally)
    emission = Emission(identity.task, journal, calls, tally, judges, balance, people)
    similarity = similarity or Similarity(identity.embedding_model, identity.embed_question_only)
    loop = _Loop(identity, journal, calls, emission, num_rows, patience, checks, near, similarity, before_buying, stop)
    try:
        async for row in loop.rows():
            yield row
    finally:
        await loop.close()


class _Loop:
    """The state of one pass through the loop; its methods stand in the order in which a row passes them."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        calls: Calls,
        emission: Emission,
        num_rows: int,
        patience: int,
        checks: Sequence[Check],
        near: NearDuplicates | None,
        similarity: Similarity,
        before_buying: BeforeBuying | None,
        stop: asyncio.Event | None,
    ) -> None:
        self.identity, self.journal, self.calls, self.emission = identity, journal, calls, emission
        self.num_rows, self.patience, self.checks, self.near = num_rows, patience, checks, near
        self.similarity, self.before_buying, self.stop = similarity, before_buying, stop or asyncio.Event()
        self.budget, self.tally = calls.budget, calls.tally
        self.pool = Pool(*(identity.seed_rows if identity.method == "self-reference" else ()))
        self.strategy, self.frontier = strategy(identity, self.pool), Frontier(identity)
        self.occurrences: Counter[tuple[int, str]] = Counter()
        self.comparing: set[asyncio.Task[None]] = set()
        # Replies that have arrived and wait for those before them: position → request, pieces.
        self.arrived: dict[int, tuple[Turn, Request, list[Row | Reason]]] = {}
        self.arrived_rows = self.arrived_turns = self.arrived_barren = 0
        self.position = 0  # the next to be merged
        self.furthest = -1  # the last that was started

    async def rows(self) -> AsyncGenerator[Row, None]:
        """Merge what has arrived, plan what that makes known, wait for what is missing; over and over."""
        watcher = asyncio.create_task(self._watch())
        try:
            while True:
                while self._merge_next() or self.emission.ready:
                    for row in self.emission.settle(self._check_patience):
                        self.tally.kept += 1
                        yield row
                        if self.tally.kept == self.num_rows:
                            return
                if self._plan():
                    await asyncio.sleep(0)  # a long replay, too, notices that it is asked to stop
                    continue
                if not self.calls.in_flight and not self.comparing:
                    self._end_or_retry()
                await self.calls.receive()
        finally:
            watcher.cancel()

    async def _watch(self) -> None:
        """Wake the loop when it is asked to stop; what waits for another attempt is given up."""
        await self.stop.wait()
        self.calls.ending = True
        self.calls.wake()

    def _plan(self) -> bool:
        """Start what is needed, verdicts before turns; `True` if a journaled reply came in that can be used."""
        started: list[Call] = []
        self.budget.stopped_by = ""

        def buy(request: Request, rows: int, use: Use) -> bool:
            if self.stop.is_set() or not self.calls.room(len(started)):
                return False
            self._before_the_first(request)
            call = self.calls.reserve(request, rows, use)
            if call is not None:
                started.append(call)
            return call is not None

        if self.emission.judges:
            # What is there already comes first: then it is known how many verdicts are missing.
            self._plan_turns(None)
            if self.position in self.arrived:
                return True
            self.emission.plan(self.num_rows - self.tally.kept, buy)
        self._plan_turns(buy)
        self.calls.send(started)
        self.tally.expected_calls = self._calls_to_come()
        return self.position in self.arrived or self.emission.ready

    def _plan_turns(self, buy: Callable[[Request, int, Use], bool] | None) -> None:
        """Start the turns whose rows are needed, as far as they are journaled or may be bought."""
        while (turn := self.strategy.next()) is not None and self._needed(turn.position):
            request = self._request(turn)
            reply = self.journal.reply(request)
            if reply is None and (
                buy is None or self._far_ahead or not buy(request, turn.rows, self._use(turn, request))
            ):
                return
            self.strategy.start(turn)
            self.occurrences[turn.lane, request.key] += 1
            self.furthest = max(self.furthest, turn.position)
            if reply is not None:
                self.tally.replayed += 1
                self.budget.learn(request, reply, turn.rows)
                self._read(turn, request, reply)
                if self.position in self.arrived:
                    return

    @property
    def _far_ahead(self) -> bool:
        """Whether so many turns gave nothing that patience may have run out, could they only be merged: an earlier one
        is still to come, or failed."""
        return self.arrived_barren > self.patience * self.emission.labels + self.calls.concurrency

    def _needed(self, position: int) -> bool:
        """Whether the turns before this one are expected to give too few rows."""
        turns, rows = self.arrived_turns, self.arrived_rows
        if position < self.furthest:
            for later, (turn, _, pieces) in self.arrived.items():
                if later > position and turn.rows:
                    turns -= 1
                    rows -= sum(isinstance(piece, Row) for piece in pieces)
        pending = self.strategy.rows_before(position) - self.strategy.rows_before(self.position) - turns
        expected = (rows + self.emission.waiting) * self.emission.rate + pending * self._yield()
        return self.tally.kept + self.emission.outlook(expected) < self.num_rows - 1e-6

    def _yield(self) -> float:
        """Rows that one turn is expected to give: what was asked for, until the run knows better."""
        yields = self.emission.yields
        return (sum(yields) + self.identity.rows_per_turn) / (len(yields) + 1)

    def _request(self, turn: Turn) -> Request:
        messages, schema = self.strategy.ask(turn)
        key, task = key_of(messages), self.identity.task
        request = self.calls.request(messages, schema, turn.lane, key, self.occurrences[turn.lane, key])
        return replace(request, among=(task.answer, task.options)) if task.variable and turn.rows else request

    def _use(self, turn: Turn, request: Request) -> Use:
        return lambda reply: self._read(turn, request, reply)

    def _before_the_first(self, request: Request) -> None:
        if self.tally.started:
            return
        if self.identity.embeds:
            self.similarity.require()
        if self.near is not None:
            self.near.require()
        if self.before_buying is not None:
            self.before_buying(self._calls_to_come(), request.messages)
        self.tally.started = time.monotonic()

    def _calls_to_come(self) -> int:
        rows = self.num_rows - self.tally.kept
        missing = max(rows - self.emission.waiting * self.emission.rate, 0)
        turns = turns_to_come(self.strategy, self.position, math.ceil(missing / self._yield()))
        return max(turns + math.ceil(self.emission.calls_for(rows)), 1)

    def _read(self, turn: Turn, request: Request, reply: Reply) -> None:
        """Read a reply; the strategy learns of its valid rows, at once or when they are compared."""
        pieces: list[Row | Reason] = [Reason(reply.reason, reply.text[:200])] if reply.reason else []
        pieces = pieces or self.frontier.read(turn, request.messages, self.strategy.read(turn, reply.text))
        rows = [row for row in pieces if isinstance(row, Row)]
        known: Mapping[str, float] = {}
        compares = False
        if self.identity.embeds and turn.example is not None:
            known = self.journal.similarities(turn.example.id)
            compares = not all(row.id in known for row in rows)
        if compares or (self.near is not None and rows):
            task = asyncio.create_task(self._compare(turn, request, pieces, rows, None if compares else known))
            self.comparing.add(task)
            task.add_done_callback(self._compared)
        else:
            self._arrive(turn, request, pieces, rows, known)

    async def _compare(
        self,
        turn: Turn,
        request: Request,
        pieces: list[Row | Reason],
        rows: list[Row],
        known: Mapping[str, float] | None,
    ) -> None:
        """Embed the rows beside the waiting."""
        if known is None and turn.example is not None:
            known = await self.similarity.compare(turn.example, rows)
            self.journal.compared(turn.example.id, known)
        if self.near is not None:
            await self.near.embed(rows)
        self._arrive(turn, request, pieces, rows, known or {})

    def _compared(self, task: asyncio.Task[None]) -> None:
        """The rows have arrived, or the run ends with what went wrong, whatever it was."""
        self.comparing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            known = isinstance(error, LLMCreatedError)
            broken = RunFailed(f"comparing rows broke with {shorten(f'{type(error).__name__}: {error}', 200)}")
            self.calls.fatal = self.calls.fatal or (error if known else broken)  # type: ignore[assignment]
        self.calls.wake()

    def _arrive(
        self,
        turn: Turn,
        request: Request,
        pieces: list[Row | Reason],
        rows: list[Row],
        similarity: Mapping[str, float],
    ) -> None:
        self.strategy.arrived(turn, rows, similarity)
        self.arrived[turn.position] = turn, request, pieces
        self.arrived_rows += len(rows)
        self.arrived_turns += turn.rows > 0
        self.arrived_barren += turn.rows > 0 and not rows

    def _merge_next(self) -> bool:
        """Commit the next turn if it is there: new rows enter the pool, the strategy learns of them, the checks have
        their say, and what is left waits to be emitted."""
        while self.strategy.void(self.position):
            self.position += 1
        arrival = self.arrived.pop(self.position, None)
        if arrival is None:
            return False
        turn, request, pieces = arrival
        self.arrived_turns -= turn.rows > 0
        self.arrived_barren -= turn.rows > 0 and not any(isinstance(piece, Row) for piece in pieces)
        accepted: list[Row] = []
        passed: list[tuple[int, Row]] = []
        fates: list[Fate] = []
        for index, piece in enumerate(pieces):
            if isinstance(piece, Reason):
                fates.append(self._reject(piece))
                continue
            self.arrived_rows -= 1
            reason = self._rejected(piece, turn.position)
            if reason is None or reason.code != "duplicate":
                accepted.append(piece)
            if reason is None:
                passed.append((index, piece))
            fates.append(self._reject(reason, piece.id) if reason else (UNJUDGED, piece.id, ""))
        self.strategy.committed(turn, accepted)
        self.position += 1
        self.emission.take(MergedTurn(turn, request, fates), passed)
        return True

    def _reject(self, reason: Reason, row_id: str = "") -> Fate:
        self.tally.reasons[reason.code] += 1
        return reason.code, row_id, reason.detail

    def _rejected(self, row: Row, position: int) -> Reason | None:
        """Why the row is none of the pool's, or not to be emitted."""
        seen = self.pool.first_seen(row)
        if seen is not None:
            return Reason("duplicate", "of the formatting example" if seen < 0 else f"of a row of turn {seen}")
        self.pool.add(row, position)
        failed = next((reason for check in self.checks if (reason := check(row)) is not None), None)
        return self.near.check(row) if failed is None and self.near is not None else failed

    def _check_patience(self) -> None:
        if self.emission.barren < self.patience * self.emission.labels:
            return
        reasons = self.tally.reasons + Counter({SURPLUS: self.emission.held})
        code, count = (reasons.most_common(1) or [("nothing", 0)])[0]
        request = self.emission.barren_request
        reply = self.journal.reply(request) if request else None
        text = self.emission.last_judged if code in JUDGES else reply.text if reply else ""
        sample = f"; a reply: {shorten(text, 120)!r}" if text.strip() else ""
        sample += f"; {self.emission.short!r} is the label that is short" if self.emission.held else ""
        self._stop_short(
            f"no new row in {self.emission.barren} turns in a row, most often {code!r} "
            f"({count} of {reasons.total()} rejected pieces){sample}. `patience` allows more turns",
            ("patience", str(2 * self.patience)),
        )

    def _end_or_retry(self) -> None:
        """Nothing is on its way and nothing can be planned: end, or ask once more what failed."""
        if self.calls.fatal is not None:
            raise self.calls.fatal
        if self.stop.is_set():
            self._stop_short("interrupted")
        if self.budget.stopped_by:
            self._stop_short(self.budget.stopped_by, self.budget.raised)
        capped = self.calls.ask_again()
        if capped:
            self._stop_short(capped, self.budget.raised)

    def _stop_short(self, why: str, more: tuple[str, ...] = ()) -> None:
        kept, wanted = self.tally.kept, self.num_rows
        raise StoppedShort(f"stopped at {kept} of {wanted} rows: {why}", kept, wanted, more)

    async def close(self) -> None:
        """Take in what is paid for and still on its way; write down what became of the rest."""
        for comparing in self.comparing:
            comparing.cancel()
        await self.calls.drain()
        self.emission.close()
        self.journal.flush()
