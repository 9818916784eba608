"""A server to be started by `serve`, which misbehaves as it is told: `served.py PORT FOLDER [JSON]`.

It writes its arguments and environment to `FOLDER/told.json`, the ids of its processes into `FOLDER/processes`, and
`FOLDER/asked` when it is asked for the first reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aiohttp import web
from server import App, Settings, serve

SLEEPER = "import os, sys, time; {first}open(sys.argv[1], 'a').write(f'{{os.getpid()}} '); time.sleep(600)"
LEAVES = "os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "


class Rogue(App):
    """What is told beside the settings of `tests/server.py`."""

    dies_after: int | None = None
    health: tuple[int, ...] = ()
    polled = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/health" and self.health:
            self.polled += 1
            return web.Response(status=self.health[min(self.polled, len(self.health)) - 1])
        if request.path == "/v1/chat/completions":
            (Path(sys.argv[2]) / "asked").touch()
            if self.answered == self.dies_after:
                print("out of memory, key sk-abcdefgh", flush=True)
                os._exit(7)
        return await super().handle(request)


def main(port: int, folder: Path, how: dict[str, Any]) -> None:
    about = {"argv": sys.argv, "env": dict(os.environ), "port": port}
    (folder / "told.json").write_text(json.dumps(about))
    processes = folder / "processes"
    with processes.open("a") as file:
        file.write(f"{os.getpid()} ")
    if "exits" in how:
        print("no such weights")
        sys.exit(how["exits"])
    if how.pop("stubborn", False):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how.pop("workers", False):
        for first in ("", LEAVES):
            subprocess.Popen([sys.executable, "-c", SLEEPER.format(first=first), processes])
        while len(processes.read_text().split()) % 3:
            time.sleep(0.01)
    for number in range(how.pop("lines", 0)):
        print(f"line {number} {'.' * 1000}")
    Rogue.dies_after, Rogue.health = how.pop("dies_after", None), how.pop("health", ())
    asyncio.run(serve(port, Settings(**how), False))


if __name__ == "__main__":
    __import__("server").App = Rogue
    main(int(sys.argv[1]), Path(sys.argv[2]), json.loads((sys.argv[3:] or ["{}"])[0]))
