"""The rows of a run for synchronous code: the loop in a thread of its own, and a consumer who may leave at any row."""

from __future__ import annotations

import asyncio
import atexit
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import aclosing, suppress

from ..errors import StoppedShort
from ..runs.folders import run_folder
from ..runs.identity import Identity
from ..runs.journal import Journal
from ..runs.settings import Settings
from ..tasks.task import Row
from ..utils.console import harmless
from .run import OTHER_SERVER, Plan, rows


def stream(identity: Identity, settings: Settings) -> Iterator[Row]:
    """The rows of a run for synchronous code, also where an event loop is running (a notebook).

    The loop lives in a thread of its own and hands rows over as they are merged. It runs ahead by what is in flight,
    not further; when the consumer goes away it asks for nothing more and takes in what is paid for. A stream that
    nobody reads from gives the run up to whoever wants it, and goes on from the journal when it is read again.

    Raises:
        StoppedShort: the run ended early, and `settings.allow_partial` does not say that this is welcome.
    """
    taken = 0
    while True:
        handover = _Handover(identity, settings, taken)
        try:
            for row in handover.rows():
                taken += 1
                yield row
        finally:
            handover.leave()
        if not handover.given_up:
            return


# The streams of this process that somebody reads from.
_open: set[_Handover] = set()


@atexit.register
def _leave_all() -> None:
    """Before the interpreter goes: a thread that it freezes half-way would never be joined."""
    for handover in list(_open):
        handover.leave()


class _Handover:
    """Rows from the loop's thread to the consumer's, a few at a time.

    Args:
        identity (`Identity`): the run.
        settings (`Settings`): how it is made.
        skip (`int`): rows that the consumer has already.
    """

    AHEAD = 64  # rows that wait for a consumer who has come back for more
    IDLE = 10.0  # seconds after which an unread stream gives up the run's lock

    def __init__(self, identity: Identity, settings: Settings, skip: int) -> None:
        self._identity, self._settings, self._skip = identity, settings, skip
        self._thread = threading.Thread(target=self._run, name=f"llm-created {identity.digest[:8]}", daemon=True)
        self._rows: deque[Row] = deque()
        self._changed = threading.Condition()
        self._limit = self.AHEAD if skip else 1
        self._wanted_elsewhere = self._left = self._ended = self._gone = self.given_up = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def rows(self) -> Iterator[Row]:
        """The consumer: rows as they come, then the error that ended the run, if any."""
        for other in list(_open):
            if other._identity.digest == self._identity.digest:
                other._wanted_elsewhere = True
                other._wake()
        _open.add(self)
        self._thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._rows or self._ended)
                batch = list(self._rows)
            yield from batch
            if not batch:
                self._raise()
                return
            with self._changed:
                for _ in batch:
                    self._rows.popleft()
                self._limit = self.AHEAD
            self._wake()

    def _raise(self) -> None:
        stopped = self._error
        if not isinstance(stopped, StoppedShort):
            if stopped is not None:
                raise stopped
        elif self._settings.allow_partial:
            warnings.warn(harmless(str(stopped)), stacklevel=2)
        else:
            advice = "The rows are kept; call again to go on, or take them with allow_partial=True"
            raise StoppedShort(f"{stopped}. {advice}", stopped.kept, stopped.wanted)

    def leave(self) -> None:
        """The consumer has gone: take in what is in flight, and end the thread."""
        if self._gone:
            return
        self._left = True
        self._wake()
        # Without a loop the thread waits for another process; it ends by itself when it has the run.
        if self._loop is not None or self._ended:
            self._thread.join()
        self._gone = True
        _open.discard(self)

    def _wake(self) -> None:
        if self._loop is not None and not self._ended:
            with suppress(RuntimeError):  # the loop has closed in the meantime
                self._loop.call_soon_threadsafe(self._look_up)

    def _look_up(self) -> None:
        """In the loop: the consumer has done something."""
        self._room.set()
        if self._left:
            self._stop.set()

    def _run(self) -> None:
        """The thread: create, and put rows until the consumer leaves."""
        try:
            with Journal(run_folder(self._identity.digest), self._identity.as_json, wait=True) as journal:
                asyncio.run(self._put_all(journal))
        except BaseException as error:  # noqa: BLE001 -- it is raised again in the consumer's thread
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def _put_all(self, journal: Journal) -> None:
        self._room, self._stop = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._left:
            return
        made_rows = rows(self._identity, self._settings, journal, stop=self._stop, before_buying=_warn)
        async with aclosing(made_rows) as made:
            async for row in made:
                if self._skip:
                    self._skip -= 1
                elif not await self._put(row) or self._left:
                    return

    async def _put(self, row: Row) -> bool:
        """Hand one row over and wait for room; `False` if the run is given up."""
        with self._changed:
            self._rows.append(row)
            self._changed.notify_all()
        while len(self._rows) >= self._limit and not self._left:
            if self._wanted_elsewhere:
                self.given_up = True
                return False
            self._room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.IDLE):
                    await self._room.wait()
                continue
            self._wanted_elsewhere = True
        return True


def _warn(plan: Plan) -> None:
    if plan.other_server:
        warnings.warn(harmless(OTHER_SERVER), stacklevel=2)
