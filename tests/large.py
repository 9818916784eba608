"""A journal as a run of long texts leaves it, made in seconds; and what a command takes on it.

`python tests/large.py /tmp/large 64000 16500 4` makes 16,000 replies of 66,000 characters in a cache of its own
(1.2 GB) and prints seconds and peak memory of the commands that read a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from llm_created import Identity, Journal, Row, Task
from llm_created.runs.journal import TurnRecord

TASK = Task("large", ("text",), labels=("good", "bad"))
EXAMPLE = {"text": "An example.", "options": ["good", "bad"], "answer": "good"}
_REPLY = """
INSERT INTO replies (lane, request, occurrence, submitted, answered, attempts, text, model, prompt_tokens,
completion_tokens, estimated) VALUES (0, ?, 0, ?, ?, 1, ?, 'm', 400, 16000, 0)"""
_TURN = "INSERT INTO turns VALUES (1, ?, 0, ?, 0, ?, ?, ?, ?, '')"
_EVERY = 7
_STARTER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
raise SystemExit(code)"""


class Took(NamedTuple):
    """What a process took."""

    code: int
    seconds: float
    processor: float
    megabytes: float
    out: str
    err: str


def build(folder: Path, rows: int, length: int, per_turn: int = 1, held: bool = False) -> str:
    """Write a journal of a tree run whose every seventh piece was a duplicate; its digest.

    Args:
        folder (`Path`): the cache.
        rows (`int`): how many rows.
        length (`int`): characters of a row's text.
        per_turn (`int`, defaults to 1): rows in a reply.
        held (`bool`, defaults to `False`): emitted in another order, as `--balance` leaves them.
    """
    identity = Identity(TASK, EXAMPLE, "m", "Write more.", num_examples=per_turn)
    with Journal(folder / "runs" / identity.digest, identity.as_json) as journal:
        journal.begin("as built", rows, {"rows": rows})
        journal.set("task", TASK.to_json())
        journal.set("price", [1.0, 2.0, "a test"])
        # As fast as can be: nobody else reads it, and it may be lost.
        db = journal._db
        db.execute("BEGIN")
        for at, (record, text) in enumerate(_turns(rows, length, per_turn)):
            pieces = json.dumps(record.pieces)
            db.execute(_REPLY, (f"{at:032x}", float(at), at + 3.0, text))
            db.execute(_TURN, (at, f"{at:032x}", record.example, record.depth, pieces, record.asked))
            if held:
                kept = [piece[1] for piece in record.pieces if piece[0] == "kept"]
                order = [(number ^ 1, row) for number, row in enumerate(kept, at * per_turn)]
                db.executemany("INSERT INTO emitted VALUES (1, ?, ?)", order)
        db.execute("COMMIT")
    return identity.digest


def _turns(rows: int, length: int, per_turn: int) -> Iterator[tuple[TurnRecord, str]]:
    """Turns of a tree and their replies."""
    drawn = random.Random(0)
    words = ["".join(drawn.choices("abcdefghijklmnopqrstuvwxyz", k=drawn.randint(2, 9))) for _ in range(5000)]
    stock = " ".join(drawn.choices(words, k=400_000))
    seed = TASK.seed_row(EXAMPLE).id
    known = [seed]
    for at in range(rows // per_turn):
        lines, pieces = [], []
        for number in range(at * per_turn, (at + 1) * per_turn):
            begin = drawn.randrange(len(stock) - length)
            text = f'Number {number}: "{stock[begin : begin + length]}'
            piece = {"text": text, "options": list(TASK.labels or ()), "answer": "good" if number % 3 else "bad"}
            row = TASK.read(piece)
            assert isinstance(row, Row)
            lines.append(json.dumps(piece))
            pieces.append(["kept", row.id, str(row.answer)])
            known.append(row.id)
            if number % _EVERY == 0:
                lines.append(lines[-1])
                pieces.append(["duplicate", row.id, "of this turn"])
        depth = 1 + at.bit_length() // 2
        yield TurnRecord(at, known[at], depth, pieces, per_turn, {}), "\n".join(lines)


def took(cache: Path, *words: str) -> Took:
    """Run a command in a process of its own on runs in this cache."""
    began = time.monotonic()
    # A small process starts it: a child counts what its parent had as memory of its own.
    command = [sys.executable, "-c", _STARTER, sys.executable, "-m", "llm_created", *words]
    environment = os.environ | {"LLM_CREATED_CACHE": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cache, check=False)
    *err, used = done.stderr.splitlines()
    processor, peak = map(float, used.split())
    return Took(done.returncode, time.monotonic() - began, processor, peak / 1024, done.stdout, "\n".join(err))


def main(arguments: list[str]) -> None:
    folder, rows, length, *more = arguments
    cache = Path(folder).absolute()
    began = time.monotonic()
    if not cache.exists():
        digest = build(cache, int(rows), int(length), int(more[0]) if more else 1, "held" in more)
    digest = next((cache / "runs").iterdir()).name
    size = (cache / "runs" / digest / "journal.sqlite").stat().st_size
    print(f"journal: {size / 1e9:.2f} GB, made in {time.monotonic() - began:.0f} s")
    for words in (("report", digest, "--out", "r.html"), ("show", digest, "--sample", "3")):
        found = took(cache, *words)
        spent = f"{found.seconds:.0f} s, {found.processor:.0f} s of processor, {found.megabytes:.0f} MB"
        print(f"{words[0]}: exit {found.code}, {spent}", found.err[-500:] if found.code else "")


if __name__ == "__main__":
    main(sys.argv[1:])
