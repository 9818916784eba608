"""A server on this machine that is started, watched over and ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import UsageError
from ..utils.text import shorten
from . import watcher
from .replies import redact

HOST = "127.0.0.1"
PRESETS: Mapping[str, str] = {
    "vllm": "vllm serve {model} --host 127.0.0.1 --port {port}",
    "llama-server": "llama-server -hf {model} --host 127.0.0.1 --port {port}",
    "ollama": "ollama serve",
}
# Keys are for servers elsewhere. Those that a preset would read make it ask for one that nobody gives.
_KEYS = ("OPENAI_API_KEY", "VLLM_API_KEY", "LLAMA_API_KEY")
# Past the watcher's own patience.
_END = watcher.GRACE + 5.0
_LAST = 1 << 14


class Command(NamedTuple):
    """What is run.

    Attributes:
        arguments (`list[str]`): the program and what it is told; no shell reads them.
        environment (`Mapping[str, str]`): what is added to ours.
        port (`int`): where it is told to listen.
    """

    arguments: list[str]
    environment: Mapping[str, str]
    port: int


def command(serve: str, model: str, port: int = 0) -> Command:
    """The command that `serve` stands for.

    Args:
        serve (`str`): `"vllm"`, `"llama-server"`, `"ollama"`, or a command that holds `{port}`, and maybe `{model}`.
        model (`str`): the model's name, or a file.
        port (`int`, defaults to 0): where to listen.

    Raises:
        UsageError: it cannot be run: no `{port}`, no such program, a model that would be read as an option.
    """
    if os.name != "posix":
        raise UsageError(f"`serve` {serve!r} works on Linux and macOS: start the server yourself, and give `base_url`")
    words = _words(serve)
    if model.startswith("-"):
        raise UsageError(f"`model` {model!r} would be read as an option by the server: give its name")
    file = Path(model).expanduser()
    if serve == "llama-server" and file.is_file():
        words[1], model = "-m", str(file)
    if shutil.which(words[0]) is None:
        raise UsageError(f"`serve` {serve!r}: there is no program {words[0]!r} here: install it, or give its path")
    put = {"{port}": str(port), "{model}": model}
    # In one go: a model's name that holds a brace stays what it is.
    arguments = [words[0], *(re.sub(r"\{port\}|\{model\}", lambda found: put[found[0]], word) for word in words[1:])]
    return Command(arguments, {"OLLAMA_HOST": f"{HOST}:{port}"} if serve == "ollama" else {}, port)


def _words(serve: str) -> list[str]:
    """The words of a preset or of a command."""
    try:
        words = shlex.split(PRESETS.get(serve, serve))
    except ValueError as error:
        raise UsageError(f"`serve` {serve!r} cannot be read as a command: {str(error).lower()}") from None
    if not words:
        raise UsageError(f"`serve` takes {', '.join(PRESETS)}, or a command with {{port}}, not {serve!r}")
    if serve not in PRESETS and not any("{port}" in word for word in words[1:]):
        raise UsageError(
            f"`serve` {serve!r} has no {{port}}: put it where the command takes its port, another one each time"
        )
    return words


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


class Server:
    """A server and the process that watches over it; it is started where a loop is running.

    Args:
        command (`Command`): how it is started.
        log (`Path`): the file for what it says.
        secret (`str`): the environment variable that holds a key, which is kept from it.

    Attributes:
        over (`str`): how it ended by itself, or `""`.
    """

    def __init__(self, command: Command, log: Path, secret: str) -> None:
        self.command, self.log, self.over = command, log, ""
        hidden = {*_KEYS, secret}
        ours = {name: value for name, value in os.environ.items() if name not in hidden}
        # A program that is written in Python keeps its last words in a buffer, unless it is told not to.
        environment = {"PYTHONUNBUFFERED": "1", **ours, **command.environment}
        line = [sys.executable, "-I", "-S", watcher.__file__, str(os.getpid()), str(log), *command.arguments]
        pipe = subprocess.PIPE
        # A session of its own keeps the terminal's Ctrl-C from it.
        self._process = subprocess.Popen(line, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
        self._told, self._gone = b"", asyncio.Event()
        asyncio.get_running_loop().add_reader(self._out.fileno(), self._hear)

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout
        return self._process.stdout

    def _hear(self) -> None:
        """The watcher tells of the server's end, and then ends itself."""
        said = os.read(self._out.fileno(), 4096)
        self._told += said
        if not said or b"\n" in self._told:
            told = json.loads(self._told) if self._told else {}
            self.over = _in_words(told.get("error"), told.get("status"))
        if not said:
            asyncio.get_running_loop().remove_reader(self._out.fileno())
            self._gone.set()

    async def healthy(self) -> bool:
        """Whether it says that it can be asked. Some list their models before they can be."""
        status = await _status(self.command.port, "/health")
        if 400 <= status < 500:
            status = await _status(self.command.port, "/v1/models")
        return status == 200 and not self.over

    def last_words(self) -> str:
        """The last line of its log, with where that is."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST))
            lines = file.read().decode("utf-8", "replace").split("\n")
            if said := next((line.strip() for line in reversed(lines) if line.strip()), ""):
                return f"{redact(shorten(said, 200), '')!r} is the last line of {self.log}"
        return f"it has said nothing ({self.log})"

    async def end(self) -> None:
        """End it and all that it started, and wait until they are gone."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END):
                await self._gone.wait()
        # The group's number is taken as long as its leader has not been waited for: no other process can be hit.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        asyncio.get_running_loop().remove_reader(self._out.fileno())
        self._out.close()


def _in_words(error: str | None, status: int | None) -> str:
    """How a server ended by itself."""
    if error is not None:
        return f"could not be started ({error})"
    if status is None:
        return "was ended from outside"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit code {status}"


async def _status(port: int, path: str) -> int:
    """The status of an HTTP answer of this machine, or 0 where none comes. No proxy stands between."""
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return 0
