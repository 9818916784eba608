"""A client whose server is on this machine: started with its first request, and ended with it, however that comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from ..errors import RequestFailed, RunFailed
from ..utils.console import say
from ..utils.text import shorten
from .base import Reply, Request
from .openai import OpenAIClient
from .server import HOST, Server, command, free_port

LOG_NAME = "server.log"
_POLL = 0.25
_SAY_AFTER = 5.0


class ServedClient:
    """Asks a server that is started with the first request, so that a run that buys nothing starts none.

    Args:
        serve (`str`): which server: see `command`.
        model (`str`): the model's name, or a file.
        at (`Callable[[str], OpenAIClient]`): makes the client of an address.
        folder (`Path`): where its log goes.
        seconds (`float`): how long it may take to start.
        secret (`str`): the environment variable that holds a key, which is kept from it.
    """

    def __init__(
        self, serve: str, model: str, at: Callable[[str], OpenAIClient], folder: Path, seconds: float, secret: str
    ) -> None:
        command(serve, model)
        self._serve, self._model, self._at = serve, model, at
        self._log, self._seconds, self._secret = folder / LOG_NAME, seconds, secret
        self._stack = AsyncExitStack()
        self._starting: asyncio.Task[tuple[Server, OpenAIClient]] | None = None

    async def __aenter__(self) -> ServedClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
            if not self._starting.cancelled():
                self._starting.exception()  # told to those who asked, if any are left
        await self._stack.aclose()

    async def complete(self, request: Request) -> Reply:
        """Ask the server, which is waited for.

        Raises:
            RequestFailed: no reply came, or the run is ending before the server can be asked.
            RunFailed: the server did not start, or it has ended.
        """
        self._starting = self._starting or asyncio.create_task(self._start())
        while not self._starting.done():
            if not request.wanted():
                raise RequestFailed("the run is ending")
            await asyncio.wait([self._starting], timeout=_POLL)
        if (failed := self._starting.exception()) is not None:
            raise RunFailed(str(failed))
        server, client = self._starting.result()

        def attempt(lost: bool) -> None:
            self._there(server)
            request.attempt(lost)

        try:
            return await client.complete(replace(request, attempt=attempt))
        except RunFailed as error:
            self._there(server, error.lost)
            if self._serve == "ollama" and "unknown model" in str(error):
                raise RunFailed(
                    f"ollama has no model {self._model!r}: get it with `ollama pull {self._model}`"
                ) from None
            raise

    def _there(self, server: Server, lost: bool = False) -> None:
        """Say so when the server has ended, in place of retries that lead nowhere."""
        if server.over:
            over = RunFailed(
                f"the server of `serve` {self._serve!r} {server.over} in the middle of the run: {server.last_words()}"
                ". What came is kept; run the same command again to go on"
            )
            over.lost = lost
            raise over

    async def _start(self) -> tuple[Server, OpenAIClient]:
        """The server, once it can be asked, and the client of its address."""
        server = Server(command(self._serve, self._model, free_port()), self._log, self._secret)
        self._stack.push_async_callback(server.end)
        try:
            async with asyncio.timeout(self._seconds):
                await self._wait(server)
        except TimeoutError:
            raise RunFailed(
                f"the server of `serve` {self._serve!r} could not be asked within {self._seconds:g} s "
                f"(`serve_timeout`): {server.last_words()}"
            ) from None
        return server, await self._stack.enter_async_context(self._at(f"http://{HOST}:{server.command.port}/v1"))

    async def _wait(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        told = loop.time() + _SAY_AFTER
        while not await server.healthy():
            if server.over:
                raise RunFailed(f"the server of `serve` {self._serve!r} {server.over}: {server.last_words()}")
            if loop.time() > told:
                told = float("inf")
                say(f"waiting for the server ({shorten(self._serve)}), up to {self._seconds:g} s: {self._log}")
            await asyncio.sleep(_POLL)
