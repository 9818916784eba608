"""What the servers of these tests share: each runs in a process of its own, is started, told what to do, and ended.

A server's file is run as a script by the class that starts it: it prints "PORT 40123" first, and with `--until-eof` it
ends when its stdin is closed, which happens however its starter dies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from typing import Any, ClassVar, Self


class Loopback:
    """A server in a process of its own: started on entering, killed on leaving.

    Attributes:
        address (`str`): `http://127.0.0.1:<port>`.
    """

    SCRIPT: ClassVar[str]

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.address = ""
        # No proxy, whatever the environment says.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def __enter__(self) -> Self:
        command = [sys.executable, self.SCRIPT, "--port", "0", "--until-eof", *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        word, _, port = self._process.stdout.readline().partition(" ")
        if word != "PORT":
            self.__exit__()
            raise RuntimeError(f"{self.SCRIPT} did not start")
        self.address = f"http://127.0.0.1:{int(port)}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.stdin and self._process.stdout:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()

    def control(self, query: str = "", told: dict[str, Any] | None = None) -> Any:
        """Tell the server something, or ask it; its answer."""
        data = None if told is None else json.dumps(told).encode()
        with self._open(urllib.request.Request(f"{self.address}/_control{query}", data), timeout=30) as response:
            return json.load(response)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every server's script takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-eof", action="store_true", help="end when stdin is closed")
    return parser


async def listening(port: int, until_eof: bool) -> None:
    """Say where this process listens, and wait for its end."""
    print("PORT", port, flush=True)
    stop = asyncio.Event()
    if until_eof:
        asyncio.get_running_loop().add_reader(0, lambda: None if os.read(0, 4096) else stop.set())
    await stop.wait()
