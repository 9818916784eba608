"""Calls that are paid for: reserved under the caps, journaled before and after, never lost and never made twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..clients.base import Client, Reply, Request, Usage, checked
from ..errors import LLMCreatedError, RequestFailed, RunFailed
from ..prompts.examples import Message
from ..runs.journal import Journal
from ..utils.text import digest, shorten
from .budget import Budget, CapReached
from .progress import Tally

Use = Callable[[Reply], None]


@dataclass(slots=True)
class Call:
    """A call on its way: what it asks, for how many rows, what is reserved for it, and who takes in the reply."""

    request: Request
    rows: int
    reserved: Usage
    use: Use
    attempts: int = 0


class Calls:
    """The calls of one run.

    Args:
        run (`str`): the run's digest, for the names of the requests.
        client (`Client`): who answers.
        journal (`Journal`): the run's journal, open for writing.
        budget (`Budget`): caps, and what was spent.
        concurrency (`int`): requests in flight at most.
        tally (`Tally`): told of what goes out and comes back.

    Attributes:
        fatal (`LLMCreatedError`, *optional*): why no further request can succeed.
        ending (`bool`): nothing more is sent; what is on its way is taken in.
    """

    def __init__(
        self, run: str, client: Client, journal: Journal, budget: Budget, concurrency: int, tally: Tally
    ) -> None:
        self.run, self.client, self.journal, self.budget = run, client, journal, budget
        self.concurrency, self.tally = concurrency, tally
        self.fatal: LLMCreatedError | None = None
        self.ending = False
        self.in_flight: set[asyncio.Task[Reply]] = set()
        self._ended: asyncio.Queue[tuple[Call, asyncio.Task[Reply]] | None] = asyncio.Queue()
        self._failed: list[Call] = []
        self._failures: Counter[str] = Counter()  # by the request's name
        self._last_error = ""
        self._bounds: dict[int, int] = {}

    def request(
        self, messages: list[Message], schema: Mapping[str, Any] | None, lane: int, key: str, occurrence: int
    ) -> Request:
        """One call by its name: the run, the lane, how often the lane has asked this before, what it asks."""
        name = f"{self.run}/{lane}/{occurrence}/{key}"
        return Request(messages, lane, key, occurrence, name, schema)

    def room(self, waiting: int) -> bool:
        """Whether one more may be in flight, beside those that wait to be sent."""
        return self._going_on() and len(self.in_flight) + waiting < self.concurrency

    def reserve(self, request: Request, rows: int, use: Use) -> Call | None:
        """Reserve what the request may cost, or `None`: a cap leaves no room for it."""
        reserved = self.budget.reserve(request.prompt, rows)
        if reserved is None:
            return None
        call = Call(replace(request, max_tokens=reserved.bound), rows, reserved.usage, use)
        call.request = replace(call.request, attempt=lambda lost: self._attempt(call, lost), wanted=self._going_on)
        return call

    def _going_on(self) -> bool:
        return not self.ending and self.fatal is None

    def _attempt(self, call: Call, lost: bool) -> None:
        """The client is about to send this: again, if it did before.

        Raises:
            RequestFailed: the run is ending, and this is not on its way.
            CapReached: a cap leaves no room for another attempt.
        """
        if not self._going_on():
            raise RequestFailed("the run is ending")
        if call.attempts:
            self.budget.retry(call.reserved, lost)
            self.journal.retried(call.request, lost)
        call.attempts += 1

    def send(self, calls: Sequence[Call]) -> None:
        """Journal that these are on their way, and send them."""
        if calls:
            self.journal.submitted((call.request, call.reserved) for call in calls)
        if self.budget.bounds != self._bounds:
            self._bounds = dict(self.budget.bounds)
            self.journal.set("bounds", self._bounds)
        for call in calls:
            call.attempts = 0
            task = asyncio.create_task(self._complete(call.request))
            self.in_flight.add(task)
            task.add_done_callback(lambda task, call=call: self._ended.put_nowait((call, task)))  # type: ignore[misc]
        self.tally.in_flight = len(self.in_flight)

    async def _complete(self, request: Request) -> Reply:
        return checked(await self.client.complete(request), request)

    def wake(self) -> None:
        """Let `receive` return, whatever has arrived."""
        self._ended.put_nowait(None)

    async def receive(self) -> None:
        """Wait for a reply; take in all that have come; journal them, and only then use them."""
        for call, reply in self._journaled(await self._arrived()):
            call.use(reply)

    async def drain(self) -> None:
        """Take in what is paid for and still on its way, without using it."""
        self.ending = True
        while self.in_flight:
            self._journaled(await self._arrived())

    async def _arrived(self) -> list[tuple[Call, asyncio.Task[Reply]]]:
        ended = [await self._ended.get()]
        while not self._ended.empty():
            ended.append(self._ended.get_nowait())
        return [one for one in ended if one is not None]

    def _journaled(self, ended: Sequence[tuple[Call, asyncio.Task[Reply]]]) -> list[tuple[Call, Reply]]:
        """The replies among the requests that have ended, written to the journal before anything is made of the
        others."""
        replies: list[tuple[Call, Reply]] = []
        failed: list[tuple[Call, LLMCreatedError]] = []
        for call, task in ended:
            self.in_flight.discard(task)
            error = _error_of(task)
            if error is None:
                replies.append((call, task.result()))
            else:
                failed.append((call, error))
        self.tally.in_flight = len(self.in_flight)
        self.journal.answered([(call.request, reply) for call, reply in replies])
        self.journal.failed([(call.request, error.lost) for call, error in failed])
        for call, reply in replies:
            self.budget.settle(call.reserved, reply.usage)
            self.budget.learn(call.request, reply, call.rows)
        for call, error in failed:
            self._fail(call, error)
        self.tally.calls += len(replies)
        return replies

    def _fail(self, call: Call, error: LLMCreatedError) -> None:
        """A request got no reply: it is asked again at the end, or no other of this run can succeed."""
        self.budget.settle(call.reserved, call.reserved if error.lost else Usage(0, 0, False), error.lost)
        if isinstance(error, (RequestFailed, CapReached)):
            self._failed.append(call)
            self._failures[call.request.id] += 1
            self._last_error = str(error)
        else:
            self.fatal = self.fatal or error

    def ask_again(self) -> str:
        """Send once more what failed; `""`, or the cap that leaves no room for any of it.

        Raises:
            RunFailed: there is nothing to send, or it failed before.
        """
        if not self._failed or any(self._failures[call.request.id] > 1 for call in self._failed):
            missing = f"{len(self._failed)} requests got no reply: {self._last_error}"
            end = "" if missing.endswith((".", "?", "!")) else "."
            raise RunFailed(f"{missing}{end} What came is kept; run the same command again to go on")
        failed, self._failed = self._failed, []
        again: list[Call] = []
        for call in failed:
            fits = self.reserve(call.request, call.rows, call.use)
            (self._failed if fits is None else again).append(fits or call)
        self.send(again)
        return "" if again else self.budget.stopped_by


def _error_of(task: asyncio.Task[Reply]) -> LLMCreatedError | None:
    """Why a request got no reply, whatever its client raised, or `None`."""
    if task.cancelled():
        return RequestFailed("the request was cancelled")
    error = task.exception()
    if error is None or isinstance(error, LLMCreatedError):
        return error
    broken = RunFailed(f"the client broke with {shorten(f'{type(error).__name__}: {error}', 200)}")
    broken.lost = True
    return broken


def key_of(messages: Sequence[Message]) -> str:
    """The digest that names a request in the journal."""
    return digest([message["content"] for message in messages])
