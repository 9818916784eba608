"""A causal LM in this process as a client: no server, no key, and no price but seconds of compute."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ...utils.text import digest
from ..base import Reply, Request, Usage
from . import asked
from .alone import Alone
from .engine import Engine, Job
from .grammar import Grammars
from .kept import KeysAndValues
from .load import Loaded, load

# A reply without a bound of its own: the longest of the built-in tasks' is half of it.
MAX_TOKENS = 1024
_TELL_EVERY = 5.0  # seconds of compute
# Questions with nothing in their inputs whose scores are remembered: one for each order of fixed options.
_EMPTIES = 256


class _Scores(NamedTuple):
    """Log-likelihoods, and how many tokens were read for them."""

    nats: list[float]
    prompt: int
    choices: int


class LocalClient:
    """Writes with a model of the Hub, of a folder or of a GGUF file, on CUDA, MPS or CPU.

    Use it as an async context manager. Each request is sampled from its own seed; replies are held to the request's
    schema. A model's arithmetic depends a little on what it computes beside a request, so that another run of the same
    requests may sample other replies: what is journaled is what was written.

    Args:
        name (`str`): a name on the Hub, a folder, a GGUF file, or `""`: the model in the box.
        cache (`Path`): where the model in the box is unpacked.
        temperature (`float`, defaults to 1.0): sampling temperature.
        top_p (`float`, defaults to 1.0): nucleus sampling.
        max_tokens (`int`, *optional*): bound on one reply, 1,024 by default.
        seed (`int`, defaults to 42): of all draws, with lane, words and number of a request.
        structured (`str`, defaults to `"auto"`): hold replies to their schemas, or `"off"`.
        concurrency (`int`, defaults to 32): requests that share a forward pass.
        computed (`Callable[[float, str, str], None]`, *optional*): told now and then how many seconds were computed,
            in which number format, and on what.
    """

    def __init__(
        self,
        name: str,
        cache: Path,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int | None = None,
        seed: int = 42,
        structured: str = "auto",
        concurrency: int = 32,
        computed: Callable[[float, str, str], None] | None = None,
    ) -> None:
        self._name, self._cache, self._concurrency = name, cache, concurrency
        self._temperature, self._top_p, self._seed = temperature, top_p, seed
        self._max_tokens, self._structured = max_tokens, structured
        self._computed, self._told = computed or (lambda seconds, number_format, device: None), 0.0
        self._empties: dict[str, asyncio.Future[_Scores | None]] = {}

    @cached_property
    def loaded(self) -> Loaded:
        """The model: a run whose replies are all journaled asks nothing, and loads none."""
        return load_once(self._name, self._cache)

    @cached_property
    def _grammars(self) -> Grammars:
        model = self.loaded
        return Grammars(model.tokenizer, model.model.config.get_text_config().vocab_size, model.ends)

    @cached_property
    def _engine(self) -> Engine:
        reader = (KeysAndValues if self.loaded.shares else Alone)(self.loaded.model)
        return Engine(reader, self._grammars, self._concurrency)

    @property
    def seconds(self) -> float:
        """Seconds of compute so far."""
        return self._engine.seconds if "_engine" in self.__dict__ else 0.0

    @property
    def waited(self) -> float:
        """Of these, seconds in which masks were waited for."""
        return self._engine.mask_seconds

    @property
    def about(self) -> str:
        """What writes, and where: for whoever waits."""
        loaded = self.loaded
        return f"{loaded.name} in {loaded.format} on {loaded.model.device.type}"

    async def __aenter__(self) -> LocalClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for waiting in [*self._empties.values()]:
            waiting.cancel()
        if "_engine" in self.__dict__:
            await asyncio.get_running_loop().run_in_executor(None, self._engine.close)
            self._tell(0.0)

    def _tell(self, every: float = _TELL_EVERY) -> None:
        """What was computed so far: a kill loses the last seconds of it."""
        if self.seconds > self._told + every:
            self._told = self.seconds
            self._computed(self.seconds, self.loaded.format, self.loaded.model.device.type)

    async def complete(self, request: Request) -> Reply:
        """Write one reply, or score the request's choices.

        Raises:
            UsageError: there is no such model, or it cannot be used here.
            RunFailed: the model broke, or a schema cannot be held.
        """
        request.attempt(False)
        if request.choices:
            return await self._scored(request)
        job = self._job(request)
        if job is None:
            return self._too_long()
        return self._reply(await self._ended(job))

    async def _ended(self, job: Job) -> Job:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Job] = loop.create_future()
        job.done = lambda one: _tell(loop, ended, one)
        self._engine.submit(job)
        try:
            await ended
        finally:
            job.abandoned = True
        self._tell()
        if job.error is not None:
            raise job.error
        return job

    async def _scored(self, request: Request) -> Reply:
        """The likelihood of each choice, and that with nothing in the inputs where it is asked for."""
        asked = [self._scores(request.messages, request.choices)]
        asked += [self._of_empty(request.empty, request.choices)] if request.empty else []
        found = await asyncio.gather(*asked)
        if None in found:
            return self._too_long()
        scores = [one for one in found if one is not None]
        usage = Usage(sum(one.prompt for one in scores), sum(one.choices for one in scores), False)
        said = {"scores": scores[0].nats, "empty": scores[1].nats} if request.empty else scores[0].nats
        loaded = self.loaded
        return Reply(json.dumps(said), usage, model=loaded.name, fingerprint=loaded.format, finish_reason="scored")

    async def _of_empty(self, messages: Sequence[Mapping[str, str]], choices: tuple[str, ...]) -> _Scores | None:
        """As `_scores`, once for all who ask the same; who does not wait for the model itself has read nothing."""
        name = digest([*(message["content"] for message in messages), *choices])
        known = self._empties.get(name)
        asked = known or asyncio.ensure_future(self._scores(messages, choices))
        if known is None:
            self._empties[name] = asked
            asked.add_done_callback(lambda one: self._forget(name, one))
            if len(self._empties) > _EMPTIES:
                del self._empties[next(iter(self._empties))]
        # Whoever leaves takes it from nobody else.
        found = await asyncio.shield(asked)
        return found._replace(prompt=0, choices=0) if known and found else found

    def _forget(self, name: str, ended: asyncio.Future[_Scores | None]) -> None:
        if (ended.cancelled() or ended.exception() is not None) and self._empties.get(name) is ended:
            del self._empties[name]

    async def _scores(self, messages: Sequence[Mapping[str, str]], choices: tuple[str, ...]) -> _Scores | None:
        """The log-likelihood of each choice after these messages, or `None`: there is no room for them."""
        prompt, rest = asked.continuations(self.loaded.tokenizer, messages, choices)
        if len(prompt) + max(map(len, rest)) > self.loaded.context:
            return None
        job = await self._ended(Job(prompt, 0, 0, choices=rest))
        return _Scores([round(score, 4) for score in job.scores], len(prompt), sum(map(len, rest)))

    def _too_long(self) -> Reply:
        return Reply("", Usage(0, 0, False), "prompt_too_long", self.loaded.name)

    def _job(self, request: Request) -> Job | None:
        """The request as tokens, or `None`: it leaves no room for a reply."""
        prompt = asked.prompt(self.loaded.tokenizer, request.messages)
        bounds = [one for one in (self._max_tokens, request.max_tokens) if one is not None] or [MAX_TOKENS]
        room = min(self.loaded.context - len(prompt), *bounds)
        if room < 1:
            return None
        seed = int(digest([self._seed, request.lane, request.key, request.occurrence], 16), 16)
        job = Job(
            prompt, room, seed, temperature=self._temperature, top_p=self._top_p, ends=frozenset(self.loaded.ends)
        )
        if request.schema is not None and self._structured != "off":
            job.matcher = self._grammars.of(request.schema, request.among)
            # What the schema leaves no choice about need not be written: it is read with the prompt.
            forced = list(job.matcher.compute_ff_tokens())
            if len(forced) < room:
                job.matcher.consume_tokens(forced)
                job.prompt, job.forced, job.room = [*prompt, *forced], forced, room - len(forced)
        return job

    def _reply(self, job: Job) -> Reply:
        loaded = self.loaded
        usage = Usage(len(job.prompt) - len(job.forced), max(len(job.forced) + len(job.written), 1), False)
        text = loaded.tokenizer.decode([*job.forced, *job.written], skip_special_tokens=True)
        reason = "" if text.strip() else "empty_reply"
        return Reply(text, usage, reason, loaded.name, loaded.format, job.finish)


# Loading takes seconds, and one run after the other wants the same.
load_once = lru_cache(1)(load)


def _tell(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[Job], job: Job) -> None:
    """From the thread of the engine: the loop may be gone, and nobody may wait any more."""

    def tell() -> None:
        if not ended.done():
            ended.set_result(job)

    with suppress(RuntimeError):
        loop.call_soon_threadsafe(tell)
