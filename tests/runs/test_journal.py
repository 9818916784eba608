"""The journal and its lock: what is kept, and who is kept out."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_created import Journal, Reply, Request, RunFailed, Usage

WHO = {"model": "m", "num_examples": 5}
REQUEST = Request([{"role": "user", "content": "x"}], lane=2, key="abc", occurrence=1)


def test_a_reply_is_there_after_a_kill(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from llm_created import Journal, Reply, Request, Usage
journal = Journal(Path({str(tmp_path)!r}), {WHO!r}).__enter__()
for n in range(50):
    request = Request([], lane=0, key="k", occurrence=n)
    journal.submitted([(request, Usage(10, 20))])
    if n < 49:
        journal.answered([(request, Reply(f"reply {{n}}", Usage(1, 2, False)))])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    with Journal(tmp_path, WHO) as journal:
        assert journal.num_replies() == 49
        assert journal.reply(Request([], key="k", occurrence=48)).text == "reply 48"  # type: ignore[union-attr]
        assert journal.reply(Request([], key="k", occurrence=49)) is None
        # The request in flight counts with what was reserved for it: it may have been paid for.
        assert journal.spent() == (50, 49 + 10, 98 + 20, 30, 10, 20)


def test_lane_request_and_occurrence_are_the_key(tmp_path: Path) -> None:
    with Journal(tmp_path, WHO) as journal:
        journal.submitted([(REQUEST, Usage(1, 1))])
        assert journal.reply(REQUEST) is None, "submitted is not answered"
        journal.answered([(REQUEST, Reply("yes", Usage(3, 4, False), model="m-1", fingerprint="f"))])
        found = journal.reply(REQUEST)
        assert found == Reply("yes", Usage(3, 4, False), model="m-1", fingerprint="f")
        for other in ({"lane": 0}, {"key": "abd"}, {"occurrence": 0}):
            place = {"lane": 2, "key": "abc", "occurrence": 1} | other
            assert journal.reply(Request([], **place)) is None  # type: ignore[arg-type]


def test_another_identity_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, WHO):
        pass
    with pytest.raises(RunFailed, match="another run"), Journal(tmp_path, WHO | {"model": "n"}):
        pass


def test_one_process_at_a_time_and_readers_are_welcome(tmp_path: Path) -> None:
    with Journal(tmp_path, WHO) as journal:
        with pytest.raises(RunFailed, match="another process"), Journal(tmp_path, WHO):
            pass
        journal.submitted([(REQUEST, Usage(1, 1))])
        with Journal(tmp_path) as reader:
            assert reader.get("identity") == WHO and reader.num_replies() == 0


def test_locks_that_hold_nobody_out_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *args: None)
    with pytest.raises(RunFailed, match="locks do not hold.*local disk"), Journal(tmp_path, WHO):
        pass


def test_a_full_disk_says_so_and_keeps_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def on_a_small_disk(*where: Any, **how: Any) -> sqlite3.Connection:
        database = connect(*where, **how)
        database.execute("PRAGMA max_page_count = 20")
        return database

    monkeypatch.setattr(sqlite3, "connect", on_a_small_disk)
    with Journal(tmp_path, WHO) as journal:
        journal.submitted([(REQUEST, Usage(1, 1))])
        journal.answered([(REQUEST, Reply("kept", Usage(1, 1)))])
        with pytest.raises(RunFailed, match=r"full.*kept"):
            for n in range(200):
                request = Request([], key="long", occurrence=n)
                journal.submitted([(request, Usage(1, 1))])
                journal.answered([(request, Reply("x" * 4000, Usage(1, 1)))])
    with Journal(tmp_path) as reader:
        assert reader.reply(REQUEST) == Reply("kept", Usage(1, 1, True))


def test_the_file_is_plain_sqlite(tmp_path: Path) -> None:
    with Journal(tmp_path, WHO) as journal:
        journal.submitted([(REQUEST, Usage(1, 1))])
        journal.answered([(REQUEST, Reply("text", Usage(1, 1)))])
    rows = sqlite3.connect(journal.path).execute("SELECT lane, request, occurrence, text FROM replies").fetchall()
    assert rows == [(2, "abc", 1, "text")]
