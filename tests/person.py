"""A person at a command line who talks to the Hub on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from conftest import DEAD, LOOPBACK, PROXIES
from hub import Hub

# A person who types many commands: one process, so that the libraries are imported once.
PERSON = """
import contextlib, io, json, os, sys
from llm_created.cli.main import main
for line in sys.stdin:
    told = json.loads(line)
    os.environ.update(told["env"])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(told["argv"]) if told["argv"] else exec(told["code"], {}) or 0
        except SystemExit as left:
            code = left.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def outside(hub: Hub) -> dict[str, str]:
    """The environment of a process that gets to this Hub, to loopback, and nowhere else."""
    return os.environ | hub.env() | dict.fromkeys(PROXIES, DEAD) | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}


@contextmanager
def somebody(env: dict[str, str], *names: str) -> Iterator[Callable[..., Done]]:
    """What a person does with one command, or with code; before each, the variables of these names are as in `env`."""
    with subprocess.Popen(
        [sys.executable, "-c", PERSON], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        told, answers = process.stdin, process.stdout

        def person(*argv: str, code: str = "", **changed: str) -> Done:
            mine = {name: env[name] for name in names}
            told.write(json.dumps({"argv": argv, "code": code, "env": mine | changed}) + "\n")
            told.flush()
            return Done(*json.loads(answers.readline()))

        yield person
        told.close()


def written(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return list(pq.read_table(folder / "train.parquet").to_pylist())


def one_line(done: Done, code: int, pattern: str) -> None:
    last = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code == code, done
    assert len(last) == 1 and re.search(pattern, last[0]), done.err
    assert "Traceback" not in done.err
