"""Stands between this library and a server that it started, and ends the server when whoever wanted it has gone.

A script of the standard library alone, run as `python -I -S watcher.py PARENT LOG COMMAND...`. It leads the group of
processes to which the server belongs, and writes what the server says into the log. The server is ended when a byte or
the end of the file comes on stdin, when the parent is gone, however it died, or at a signal. Of a server that ends by
itself it tells in one line of JSON on stdout.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

# Seconds that a server has between being asked to end and being ended.
GRACE = 10.0
# Of the log, which keeps its last half when it is full.
MOST = 8 << 20
_POLL = 0.5
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Log:
    """What the server says, in a file of a bounded size.

    Args:
        path (`str`): the file; what an earlier start left in it goes.
    """

    def __init__(self, path: str) -> None:
        self._file: IO[bytes] = open(path, "w+b", buffering=0)  # noqa: SIM115 -- open as long as this process is there

    def add(self, piece: bytes) -> None:
        """Keep one piece more. A full disk is no reason to end a server."""
        with suppress(OSError):
            self._file.write(piece)
            if self._file.tell() > MOST:
                self._file.seek(-MOST // 2, os.SEEK_END)
                kept = self._file.read()
                self._file.seek(0)
                self._file.truncate()
                self._file.write(b"[...]\n" + kept)


class Watcher:
    """One server, from its start to the end of its last descendant.

    Args:
        parent (`int`): the process that wants it.
        log (`Log`): where what it says is kept.
    """

    def __init__(self, parent: int, log: Log) -> None:
        self._parent, self._log = parent, log
        self._server = self._said = -1
        self._status: int | None = None

    def start(self, command: list[str]) -> None:
        """Start the server in this process's own group."""
        prctl = _prctl()
        # Descendants that leave the group or lose their parent are ours, too, where the system can say so.
        prctl(_PR_SET_CHILD_SUBREAPER, 1)

        def end_with_us() -> None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=end_with_us
        )
        assert server.stdout
        self._server, self._said = server.pid, os.dup(server.stdout.fileno())
        # From here on this process reaps whatever ends, and not `Popen`.
        server.returncode = 0

    def watch(self) -> int | None:
        """Wait until the server has ended, which gives its status, or is to be ended, which gives `None`."""
        while os.getppid() == self._parent:
            if self._hears(_POLL):
                return None
            self._reap()
            if self._status is not None:
                # Its last words: a pipe holds no more.
                for _ in range(2):
                    self._hears(0, told=False)
                return self._status
        return None

    def end(self) -> None:
        """End the group: first politely, then all that is left of it, this process with it."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        until = time.monotonic() + GRACE
        asked: set[int] = set()
        while self._reap() and time.monotonic() < until:
            _ask(asked)
            self._hears(0.05, told=False)
        for _ in range(100):
            for child in _children():
                with suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            if not self._reap():
                break
            time.sleep(0.02)
        self._hears(0, told=False)
        os.killpg(0, signal.SIGKILL)

    def _hears(self, seconds: float, told: bool = True) -> bool:
        """Take what the server says into the log; whether something comes on stdin, where that counts."""
        sources = [0] * told + [self._said] * (self._said >= 0)
        if not sources:
            time.sleep(seconds)
            return False
        ready = select.select(sources, [], [], seconds)[0]
        if self._said in ready:
            piece = os.read(self._said, 1 << 16)
            self._log.add(piece)
            if not piece:
                os.close(self._said)
                self._said = -1
        return 0 in ready

    def _reap(self) -> bool:
        """Take in who has ended; whether somebody is left."""
        with suppress(ChildProcessError):
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child == 0:
                    return True
                if child == self._server:
                    self._status = os.waitstatus_to_exitcode(status)
        return False


def _prctl() -> Callable[[int, int], object]:
    """Linux's way for a process to speak of its own end; elsewhere a function that does nothing."""
    try:
        found: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return lambda option, value: None
    return found


def _children() -> list[int]:
    """The processes whose parent this one is, on Linux."""
    with suppress(OSError, ValueError):
        return [int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    return []


def _ask(asked: set[int]) -> None:
    """Ask those to end, once each, whom a signal to the group does not reach."""
    for child in _children():
        with suppress(OSError):
            if child not in asked and os.getpgid(child) != os.getpgrp():
                asked.add(child)
                os.kill(child, signal.SIGTERM)


def _asked_to_leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def main(parent: int, log: str, command: list[str]) -> None:
    """Start the server, and stay for as long as it does."""
    for number in _SIGNALS:
        signal.signal(number, _asked_to_leave)
    told: dict[str, object] = {}
    watcher: Watcher | None = None
    try:
        watcher = Watcher(parent, Log(log))
        watcher.start(command)
        if (status := watcher.watch()) is not None:
            told = {"status": status}
    except OSError as error:
        told = {"error": error.strerror or str(error)}
    finally:
        if told:
            with suppress(OSError):
                os.write(1, json.dumps(told).encode() + b"\n")
        if watcher is not None:
            watcher.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
