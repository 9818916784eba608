"""A writer in this process that answers as a function of (lane, occurrence, request), and runs of its rows.

After random waits, and with failures where they are wanted; so nothing but the identity of a run may show in its rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path

from llm_created import Identity, Journal, Reply, Request, RequestFailed, Row, RunFailed, StoppedShort, Task, Usage
from llm_created.creation.loop import create
from llm_created.embeddings import Similarity
from llm_created.prompts.examples import instruction

EXAMPLE = {"question": "Where is bread sold?", "options": ["bakery", "bank", "zoo"], "answer": "bakery"}
TASK = Task.from_example(EXAMPLE, label_space="variable", name="law")


class Writer:
    """Ten per cent broken pieces, a third of the questions from a small pool, so that chains repeat each other."""

    def __init__(self, wait: float = 0.0, fail: float = 0.0, good: bool = False) -> None:
        self.wait, self.fail, self.good = wait, fail, good
        self.calls: list[tuple[int, str, int]] = []
        self.in_flight = self.peak = 0

    async def complete(self, request: Request) -> Reply:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(random.random() * self.wait)
            if random.random() < self.fail:
                raise RequestFailed("the server is on fire")
        finally:
            self.in_flight -= 1
        self.calls.append((request.lane, request.key, request.occurrence))
        drawn = random.Random(f"{request.lane}/{request.occurrence}/{request.key}")
        return Reply("\n".join(self._piece(drawn) for _ in range(5)), Usage(100, 200, False))

    def _piece(self, drawn: random.Random) -> str:
        if not self.good and drawn.random() < 0.1:
            return '{"question": "half a'
        number = drawn.randrange(10**9) if self.good or drawn.random() < 0.7 else drawn.randrange(300)
        options = [f"option {number} {at}" for at in range(3)]
        return json.dumps({"question": f"Question {number}?", "options": options, "answer": options[0]})


class HashSimilarity(Similarity):
    """Similarities that depend on the two rows alone, as a model's do, without a model."""

    def require(self) -> None:
        pass

    async def compare(self, example: Row, rows: Sequence[Row]) -> dict[str, float]:
        await asyncio.sleep(random.random() * 0.005)
        pairs = {row.id: hashlib.sha256(f"{example.id}{row.id}".encode()).digest() for row in rows}
        return {name: round(int.from_bytes(value[:2], "big") / 2**16, 5) for name, value in pairs.items()}


class NoModel(Similarity):
    """A replay has no use for a model."""

    async def compare(self, example: Row, rows: Sequence[Row]) -> dict[str, float]:
        raise AssertionError("a replay must not compare again")


def identity(strategy: str, **settings: object) -> Identity:
    return Identity(TASK, EXAMPLE, "writer", instruction(TASK, 5), strategy, **settings)  # type: ignore[arg-type]


def run(folder: Path, who: Identity, writer: Writer, num_rows: int, **how: object) -> list[str]:
    """The rows as canonical lines; a run that stops short gives what it has."""
    return run_told(folder, who, writer, num_rows, **how)[0]


def run_told(
    folder: Path, who: Identity, writer: Writer, num_rows: int, **how: object
) -> tuple[list[str], Exception | None]:
    async def collect() -> tuple[list[str], Exception | None]:
        lines = []
        how.setdefault("similarity", HashSimilarity("none"))
        with Journal(folder, who.as_json) as journal:
            try:
                async for row in create(who, writer, journal, num_rows, **how):  # type: ignore[arg-type]
                    lines.append(who.task.line(row))
            except (StoppedShort, RunFailed) as error:
                return lines, error
        return lines, None

    return asyncio.run(collect())
