"""The writing itself: requests in flight share each forward pass, and those that end make room at once."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import LLMCreatedError, RunFailed
from ...utils.text import shorten
from .alone import Alone
from .grammar import Grammars
from .kept import KeysAndValues, Prefix, Segment

# New tokens of prompts in one step, beside one of each sequence that writes: a long prompt holds nobody up.
_CHUNK = 256
# Prompts share what they begin with from so many tokens on; so many beginnings are kept.
_SHARED = 24
_PREFIXES = 8
# Whatever code that is not ours can raise: somebody waits for an answer, and an end of the thread is none.
_BROKEN = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError,
           RuntimeError, TypeError, ValueError)  # fmt: skip
# Tokens that are summed together before one of them is looked for.
_BLOCK = 256


@dataclass
class Job:
    """One request, and what becomes of it.

    Attributes:
        prompt (`list[int]`): its tokens; what the schema forces first stands there too.
        room (`int`): tokens of a reply at most.
        seed (`int`): of its draws.
        matcher (`LLMatcher`, *optional*): what holds the reply to its schema.
        choices (`list[list[int]]`): continuations whose likelihood is asked for; then nothing is written.
        done (`Callable[[Job], None]`): told when it has ended, from the thread of the engine.
    """

    prompt: list[int]
    room: int
    seed: int
    matcher: Any = None
    choices: list[list[int]] = field(default_factory=list)
    done: Callable[[Job], None] = lambda job: None
    temperature: float = 1.0
    top_p: float = 1.0
    ends: frozenset[int] = frozenset()
    # What came of it.
    written: list[int] = field(default_factory=list)
    finish: str = ""
    scores: list[float] = field(default_factory=list)
    error: LLMCreatedError | None = None
    abandoned: bool = False
    forced: list[int] = field(default_factory=list)  # of the reply, but in the prompt
    # Where it stands.
    prefix: Prefix | None = None
    fed: int = 0  # tokens of its own that are kept
    pending: list[int] = field(default_factory=list)
    draws: random.Random = field(default_factory=random.Random)


class Engine:
    """Writes replies with a model in a thread of its own.

    Args:
        reader (`KeysAndValues` or `Alone`): the model.
        grammars (`Grammars`): what holds replies to schemas.
        slots (`int`): requests in flight at most.

    Attributes:
        seconds (`float`): spent in steps so far.
        mask_seconds (`float`): of these, spent waiting for masks.
    """

    def __init__(self, reader: KeysAndValues | Alone, grammars: Grammars, slots: int) -> None:
        self._kept, self._grammars, self._slots = reader, grammars, slots
        self._active: list[Job] = []  # by slot
        self._waiting: deque[Job] = deque()
        self._prefixes: list[Prefix] = []
        self._recent: deque[list[int]] = deque(maxlen=2 * slots)
        self._arriving: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.seconds = self.mask_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="local-model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a request in; `job.done` is called when it has ended."""
        self._arriving.put(job)

    def close(self) -> None:
        """End after this step; what is in flight is given up."""
        self._arriving.put(None)
        self._thread.join()
        self._grammars.close()

    def _run(self) -> None:
        broken: LLMCreatedError | None = None
        while self._arrivals():
            if broken is None:
                broken = self._step_or_break()
            if broken is not None:
                for job in [*self._active, *self._waiting]:
                    job.error = broken
                    job.done(job)
                self._active, self._waiting = [], deque()

    def _step_or_break(self) -> LLMCreatedError | None:
        started = time.perf_counter()
        try:
            with torch.inference_mode():
                self._step()
        except _BROKEN as error:
            # What a model of somebody else's raises, out of memory first of all, is told to whoever waits.
            said = shorten(f"{type(error).__name__}: {error}", 200)
            more = "; lower `concurrency`" if "memory" in said.lower() else ""
            return RunFailed(f"the model broke with {said}{more}")
        finally:
            self.seconds += time.perf_counter() - started
        return None

    def _arrivals(self) -> bool:
        """Take in what has arrived, waiting for it where nothing else is to be done; `False` at the end."""
        while True:
            try:
                job = self._arriving.get(block=not self._active and not self._waiting)
            except queue.Empty:
                return True
            if job is None:
                return False
            job.draws.seed(job.seed)
            self._waiting.append(job)

    def _step(self) -> None:
        self._admit()
        segments, asking = self._segments()
        if not segments:
            return
        masks = self._grammars.masks([job.matcher if not job.choices else None for job in asking])
        logits = self._forward(segments, asking)
        started = time.perf_counter()
        allowed = masks.result()
        self.mask_seconds += time.perf_counter() - started
        self._take(asking, logits, allowed)
        self._end()

    def _admit(self) -> None:
        """Give free slots to those that wait, in their order: tokens of all lengths stand in one row."""
        while self._waiting and len(self._active) < self._slots:
            job = self._waiting.popleft()
            if job.abandoned:
                continue
            job.prefix = self._prefix_of(job.prompt)
            job.pending = job.prompt[len(job.prefix.tokens) if job.prefix else 0 :]
            self._active.append(job)

    def _prefix_of(self, prompt: Sequence[int]) -> Prefix | None:
        """What this prompt shares with others, computed once; the last token is its own."""
        limit = len(prompt) - 1 if self._kept.shares else 0
        known = max(
            (
                one
                for one in self._prefixes
                if len(one.tokens) <= limit and list(one.tokens) == prompt[: len(one.tokens)]
            ),
            key=lambda one: len(one.tokens),
            default=None,
        )
        if known is not None:
            self._prefixes.remove(known)
            self._prefixes.append(known)
        others = [*self._recent, *(job.prompt for job in self._waiting)]
        # What a quarter of the others begin with as well: a few beginnings serve many.
        lengths = sorted((_common(prompt, other) for other in others), reverse=True)
        shared = min(lengths[len(lengths) // 4], limit) if lengths else 0
        self._recent.append(list(prompt))
        if shared < (len(known.tokens) if known else 0) + _SHARED:
            return known
        made = self._compute(prompt[:shared], known)
        self._prefixes.append(made)
        del self._prefixes[:-_PREFIXES]
        return made

    def _compute(self, tokens: Sequence[int], before: Prefix | None) -> Prefix:
        # In the slot that is given out next: what it holds is written over.
        spare, own = len(self._active), list(tokens[len(before.tokens) if before else 0 :])
        for at in range(0, len(own), _CHUNK):
            self._kept.read([Segment(spare, at, own[at : at + _CHUNK], before)], [0])
        return self._kept.prefix(tokens, spare, before)

    def _segments(self) -> tuple[list[Segment], list[Job]]:
        """What is fed in this step, and who gets a token of it."""
        segments, asking, room = [], [], _CHUNK
        for slot, job in enumerate(self._active):
            most = max(room, 0) if len(job.pending) > 1 else 1
            feeding = job.pending[:most]
            if not feeding:
                continue
            room -= len(feeding) if len(job.pending) > 1 else 0
            segments.append(Segment(slot, job.fed, feeding, job.prefix))
            del job.pending[: len(feeding)]
            if not job.pending:
                asking.append(job)
        return segments, asking

    def _forward(self, segments: list[Segment], asking: list[Job]) -> Tensor:
        """The logits after the last token of each that asks, `[asking, vocabulary]`; of continuations those of every
        token."""
        asked, wanted, at = {id(job) for job in asking}, [], 0
        choices: list[Segment] = []
        for segment in segments:
            job = self._active[segment.slot]
            job.fed = segment.start + len(segment.tokens)
            at += len(segment.tokens)
            if id(job) in asked:
                wanted.append(at - 1)
                choices += (
                    Segment(segment.slot, job.fed, choice[:-1], job.prefix, segment.slot)
                    for choice in job.choices
                    if len(choice) > 1
                )
        for segment in choices:
            wanted += range(at, at + len(segment.tokens))
            at += len(segment.tokens)
        return self._kept.read([*segments, *choices], wanted)

    def _take(self, asking: list[Job], logits: Tensor, allowed: Tensor | None) -> None:
        writing = [number for number, job in enumerate(asking) if not job.choices]
        after = len(asking)
        for number, job in enumerate(asking):
            if job.choices:
                after = self._score(job, logits, number, after)
        if writing:
            whole = len(writing) == len(asking) == len(logits)
            mine = logits if whole else logits[writing]
            masks = None if allowed is None else allowed if whole else allowed[writing]
            for number, token in zip(writing, _draw([asking[at] for at in writing], mine, masks), strict=True):
                self._append(asking[number], token)

    def _score(self, job: Job, logits: Tensor, number: int, after: int) -> int:
        """The log-likelihood of each continuation, in nats."""
        for choice in job.choices:
            rows = torch.cat([logits[number : number + 1], logits[after : after + len(choice) - 1]])
            after += len(choice) - 1
            known = torch.log_softmax(rows, dim=-1)[torch.arange(len(choice)), torch.tensor(choice)]
            job.scores.append(float(known.sum()))
        job.finish = "scored"
        return after

    def _append(self, job: Job, token: int) -> None:
        """One more token, and those that the schema leaves no choice about."""
        if token in job.ends:
            job.finish = "stop"
            return
        more = [token]
        if job.matcher is not None:
            job.matcher.consume_token(token)
            if job.matcher.is_error():
                job.error = RunFailed(f"holding a reply to its schema broke: {shorten(job.matcher.get_error(), 160)}")
                job.finish = "error"
                return
            if not job.matcher.is_stopped():
                forced = job.matcher.compute_ff_tokens()
                if forced and job.matcher.consume_tokens(forced):
                    more += forced
            if job.matcher.is_stopped():
                job.finish = "stop"
        job.written += more
        job.pending += more
        if len(job.written) > job.room or (len(job.written) == job.room and not job.finish):
            del job.written[job.room :]
            job.finish = "length"

    def _end(self) -> None:
        """Those that have ended leave; the last slots move into theirs."""
        for slot in range(len(self._active) - 1, -1, -1):
            job = self._active[slot]
            if not job.finish and not job.abandoned:
                continue
            last = self._active.pop()
            if last is not job:
                self._active[slot] = last
                self._kept.move(len(self._active), slot, last.fed)
            job.done(job)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _draw(jobs: Sequence[Job], logits: Tensor, allowed: Tensor | None) -> list[int]:
    """The next token of each, by its own draws."""
    if allowed is not None:
        logits = logits.masked_fill_(~allowed, -torch.inf)
    temperatures = torch.tensor([max(job.temperature, 1e-6) for job in jobs])
    if (temperatures != 1).any():
        logits = logits / temperatures[:, None]
    weights = torch.softmax(logits, dim=-1)
    if any(job.top_p < 1 for job in jobs):
        weights = _nucleus(weights, torch.tensor([job.top_p for job in jobs]))
    chosen = _fall(weights, torch.tensor([job.draws.random() for job in jobs]))
    if any(job.temperature == 0 for job in jobs):
        chosen = torch.where(torch.tensor([job.temperature == 0 for job in jobs]), logits.argmax(dim=-1), chosen)
    return [int(token) for token in chosen]


def _fall(weights: Tensor, drawn: Tensor) -> Tensor:
    """Where a draw in [0, 1) falls among weights `[rows, tokens]`: the block first, as few tokens need sums then."""
    rows = torch.arange(len(weights))
    blocks = nn.functional.pad(weights, (0, -weights.shape[1] % _BLOCK)).view(len(weights), -1, _BLOCK)
    ends = blocks.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    place = drawn.double() * ends[:, -1]
    block = torch.searchsorted(ends, place[:, None], right=True)[:, 0].clamp(max=blocks.shape[1] - 1)
    before = ends[rows, block] - blocks[rows, block].sum(dim=-1, dtype=torch.float64)
    sums = blocks[rows, block].double().cumsum(dim=-1)
    # Rounding may put the place a hair behind the last token that has a weight.
    last = (sums < sums[:, -1:]).sum(dim=-1)
    inside = torch.searchsorted(sums, (place - before)[:, None], right=True)[:, 0]
    return block * _BLOCK + torch.minimum(inside, last)


def _nucleus(weights: Tensor, most: Tensor) -> Tensor:
    ordered, places = weights.sort(dim=-1, descending=True)
    # What stands before a token decides whether it is in: the first always is.
    ordered[ordered.cumsum(dim=-1) - ordered >= most[:, None]] = 0
    return torch.zeros_like(weights).scatter_(-1, places, ordered)
