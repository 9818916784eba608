"""Test rows from the demo writer's other half: they share no fact with what it writes for training."""

from __future__ import annotations

import asyncio

from ..clients.base import Request
from ..clients.demo.client import DemoClient
from ..data.sources import Rows
from ..errors import RunFailed
from ..prompts import examples as prompt
from ..tasks.task import Row
from ..utils.text import digest

NAME = "demo"
NUM_ROWS = 500


def demo_rows(like: Rows, num_rows: int = NUM_ROWS) -> Rows:
    """Held-out demo rows of a task: for a plumbing check, never for a result.

    Args:
        like (`Rows`): rows of the task; the first is the formatting example.
        num_rows (`int`, defaults to 500): how many.

    Raises:
        RunFailed: the demo writer does not know the shape of the task.
    """
    return Rows(NAME, like.task, asyncio.run(_write(like, num_rows)), "created", {"identity": {"model": "demo"}})


async def _write(like: Rows, num_rows: int) -> list[Row]:
    task, client = like.task, DemoClient(held_out=True)
    messages = prompt.render(task, like.rows[0], prompt.instruction(task, 5))
    rows: dict[int, Row] = {}
    # Five rows a call, of which a few are spoilt or repeated.
    for occurrence in range(num_rows):
        reply = await client.complete(Request(messages, key=digest(messages), occurrence=occurrence))
        for piece in prompt.parse(task, reply.text):
            row = task.read(piece)
            if isinstance(row, Row) and row.key != like.rows[0].key:
                rows.setdefault(row.key, row)
        if len(rows) >= num_rows:
            return list(rows.values())[:num_rows]
    raise RunFailed(f"the demo writer has only {len(rows)} held-out rows for {task.name!r}, not {num_rows}")
