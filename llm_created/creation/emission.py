"""What is emitted of the rows that the pool accepted: verdicts and balance. It never changes what is asked next.

Rows stand in a queue in their canonical order. Each waits for its verdicts, which come in any order and are taken in
that of the queue; so the emitted rows are the same however the run was made, and a longer run begins with them.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..checks.judge import Judge, Verdict
from ..checks.people import People
from ..clients.base import Reply, Request
from ..errors import UsageError
from ..methods.base import Turn
from ..runs.human import KIND
from ..runs.journal import KEPT, SURPLUS, Journal, TurnRecord
from ..tasks.task import Reason, Row, Task
from .calls import Calls, Use
from .progress import Tally

# The lane of verdicts, apart from those of turns.
LANE = -1
# Turns over which the yield is measured: long enough to be steady, short enough to follow rising duplicates.
_WINDOW = 50
# What became of a piece: a code, the id of its row, and a detail.
Fate = tuple[str, str, str]
# Buys one call for so many rows, or says that none can go out now.
Buy = Callable[[Request, int, Use], bool]


@dataclass(slots=True)
class MergedTurn:
    """A turn that is merged: what became of its pieces, and which of its rows still wait."""

    turn: Turn
    request: Request
    fates: list[Fate]
    waiting: deque[_Waiting] = field(default_factory=deque)
    accepted: int = 0
    emitted: int = 0


@dataclass(slots=True)
class _Waiting:
    """A row on its way: its place in the queue and among the pieces of its turn, and what the judges say."""

    number: int
    row: Row
    merged: MergedTurn
    index: int
    row_id: str
    judge: int = 0
    asked: int = 0
    replies: list[Reply | None] = field(default_factory=list)
    reason: Reason | None = None
    done: bool = False


class Emission:
    """The queue of accepted rows.

    Args:
        task (`Task`): the task.
        journal (`Journal`): where verdicts are kept, and what became of each turn.
        calls (`Calls`): names the requests to the judges.
        tally (`Tally`): told of what is rejected.
        judges (`Sequence[Judge]`): in the order in which they see a row.
        balance (`bool`): hold back what would make the emitted rows uneven over the labels.
        people (`People`, *optional*): what people said of rows, which counts after all judges.

    Attributes:
        yields (`deque[int]`): rows emitted by each of the last turns that asked for rows.
        barren (`int`): turns in a row that gave nothing.
        barren_request (`Request`, *optional*): the last of them.
        last_judged (`str`): the last reply of a judge.
    """

    def __init__(
        self,
        task: Task,
        journal: Journal,
        calls: Calls,
        tally: Tally,
        judges: Sequence[Judge],
        balance: bool,
        people: People | None = None,
    ) -> None:
        self._task, self._journal, self._calls, self._tally, self.judges = task, journal, calls, tally, judges
        self._people = people
        if any(judge.in_order for judge in judges[:-1]):
            raise UsageError("a judge whose verdicts depend on the rows before comes last")
        for judge in judges:
            judge.begin()
        self.last_judged = ""
        self.yields: deque[int] = deque(maxlen=_WINDOW)
        self._accepted: deque[int] = deque(maxlen=_WINDOW)
        self.barren = 0
        self.barren_request: Request | None = None
        self._queue: deque[MergedTurn] = deque()
        self._taken = self._settled = 0
        self._unasked: list[tuple[int, _Waiting]] = []
        self._held = [deque[_Waiting]() for _ in task.labels or ()] if balance else None
        self._of_label: Counter[int] = Counter()

    def take(self, merged: MergedTurn, rows: Sequence[tuple[int, Row]]) -> None:
        """The accepted rows of a turn, each with its place among the turn's pieces, in canonical order."""
        merged.accepted = len(rows)
        for index, row in rows:
            one = _Waiting(self._taken, row, merged, index, row.id)
            self._taken += 1
            merged.waiting.append(one)
            self._go_on(one)
        self._queue.append(merged)

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self._taken - self._settled

    @property
    def held(self) -> int:
        """Rows held back for balance."""
        return sum(map(len, self._held or ()))

    @property
    def labels(self) -> int:
        """How many labels have to come in turn before the next row of all is emitted."""
        return len(self._held) if self._held else 1

    @property
    def short(self) -> str:
        """The label of which the fewest rows are emitted."""
        names = self._task.labels or ("",)
        return min(names, key=lambda name: self._of_label[names.index(name)])

    @property
    def ready(self) -> bool:
        """Whether `settle` would do something."""
        return bool(self._queue) and (not self._queue[0].waiting or self._queue[0].waiting[0].done)

    @property
    def rate(self) -> float:
        """Rows emitted for each that was accepted, lately."""
        if not self.judges and self._held is None:
            return 1.0
        return (sum(self.yields) + 5) / (sum(self._accepted) + 5)

    def outlook(self, rows: float) -> float:
        """How many rows are emitted where so many are expected and verdicts turn out well, by a standard deviation: a
        call that is not needed after all is not given back, and one that is can be made a moment later."""
        return rows + math.sqrt(max(rows * (1 - self.rate), 0.0))

    def calls_for(self, rows: float) -> float:
        """Calls that the verdicts on so many rows take."""
        return rows / self.rate * sum(judge.votes for judge in self.judges)

    def _go_on(self, one: _Waiting) -> None:
        """The row comes before its next judge, or has passed the last."""
        if one.reason is not None or one.judge == len(self.judges):
            one.done = True
            return
        one.asked, one.replies = 0, [None] * self.judges[one.judge].votes
        heapq.heappush(self._unasked, (one.number, one))

    def plan(self, rows_to_come: int, buy: Buy) -> None:
        """Ask for the verdicts that are needed: those in the journal are there at once, the others are bought."""
        while (
            self._unasked
            and self.outlook((self._unasked[0][0] - self._settled) * self.rate) <= rows_to_come - 1 + 1e-6
        ):
            one = self._unasked[0][1]
            while one.asked < len(one.replies):
                request = self._request(one, one.asked)
                reply = self._journal.reply(request)
                if reply is None and not buy(request, 1, self._use(one, one.asked)):
                    return
                one.asked += 1
                if reply is not None:
                    self._tally.replayed += 1
                    one.replies[one.asked - 1] = reply
            heapq.heappop(self._unasked)
            self._judge(one)

    def _request(self, one: _Waiting, vote: int) -> Request:
        judge = self.judges[one.judge]
        asked = judge.ask(one.row, vote)
        request = self._calls.request(asked.messages, asked.schema, LANE, judge.key(one.row_id, asked), vote)
        return replace(request, choices=asked.choices, empty=asked.empty)

    def _use(self, one: _Waiting, vote: int) -> Use:
        def use(reply: Reply) -> None:
            one.replies[vote] = reply
            self._judge(one)

        return use

    def _judge(self, one: _Waiting) -> None:
        """Come to a verdict if all replies are in; one that depends on the rows before comes when the row is next."""
        if None in one.replies:
            return
        if self.judges[one.judge].in_order:
            one.done = True
        else:
            self._decide(one)

    def _decide(self, one: _Waiting) -> None:
        replies = [reply for reply in one.replies if reply is not None]
        judge, self.last_judged = self.judges[one.judge], replies[-1].text
        one.judge += 1
        self._take(one, judge.kind, judge.verdict(one.row, replies))
        self._go_on(one)

    def _take(self, one: _Waiting, kind: str, verdict: Verdict) -> None:
        self._journal.judged(one.row_id, kind, one.row.answer, verdict.judged, verdict.votes, verdict.detail)
        one.row, one.reason = verdict.row, verdict.reason

    def _ask_people(self, one: _Waiting, now: MergedTurn) -> None:
        """What people said of the row, if they have looked at it: the one check that knows more of old rows than of
        new ones, so that what it leaves out tells nothing of the yield."""
        verdict = self._people.verdict(one.row) if self._people is not None and one.reason is None else None
        if verdict is not None:
            self._take(one, KIND, verdict)
            now.emitted += one.reason is not None

    def settle(self, after_a_turn: Callable[[], None]) -> Iterator[Row]:
        """The rows that may be emitted now, turn by turn; `after_a_turn` may look at `barren`, and raise."""
        while self.ready:
            merged = self._queue[0]
            rows: list[Row] = []
            while merged.waiting and merged.waiting[0].done:
                rows += self._emit(merged.waiting.popleft(), merged)
            if not merged.waiting:
                self._queue.popleft()
                self._finish(merged)
            yield from rows
            if not merged.waiting:
                after_a_turn()

    def _emit(self, one: _Waiting, now: MergedTurn) -> Iterator[Row]:
        """The row, unless a judge was against it or its label has had its share; and those it sets free."""
        self._settled += 1
        if one.reason is None and one.judge < len(self.judges):
            self._decide(one)
        self._ask_people(one, now)
        if one.reason is not None:
            self._tally.reasons[one.reason.code] += 1
            one.merged.fates[one.index] = (one.reason.code, one.row_id, one.reason.detail)
            return
        if self._held is None:
            yield self._keep(one, now)
            return
        one.merged.fates[one.index] = (SURPLUS, one.row_id, "its label has had its share so far")
        self._held[one.row.answer].append(one)
        while True:
            fewest = min(self._of_label[label] for label in range(len(self._held)))
            fit = [held[0] for label, held in enumerate(self._held) if held and self._of_label[label] == fewest]
            if not fit:
                return
            first = min(fit, key=lambda waiting: waiting.number)
            self._held[first.row.answer].popleft()
            self._journal.emitted(self._of_label.total(), first.row_id)
            self._of_label[first.row.answer] += 1
            yield self._keep(first, now)

    def _keep(self, one: _Waiting, now: MergedTurn) -> Row:
        one.merged.fates[one.index] = (KEPT, one.row_id, str(one.row.answer))
        now.emitted += 1
        if one.merged is not now and not one.merged.waiting:
            self._write(one.merged)
        return one.row

    def _finish(self, merged: MergedTurn) -> None:
        self._write(merged)
        if merged.turn.rows:
            self.yields.append(merged.emitted)
            self._accepted.append(merged.accepted)
        elif not merged.fates:
            return  # a list that came: neither a row nor a turn for nothing
        self.barren = 0 if merged.emitted else self.barren + 1
        if not merged.emitted:
            self.barren_request = merged.request

    def _write(self, merged: MergedTurn) -> None:
        turn, shown = merged.turn, merged.turn.example
        example, depth = (shown.id, shown.depth + 1) if shown else ("", 1)
        record = TurnRecord(turn.position, example, depth, merged.fates, turn.rows, turn.drawn)
        self._journal.turn(merged.request, record)

    def close(self) -> None:
        """Write down the turns whose rows were not all needed."""
        for merged in self._queue:
            self._write(merged)
