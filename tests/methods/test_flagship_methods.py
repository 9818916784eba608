"""Methods, verdicts and balance through the public door: the real command, a real server with faults, real kills."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from server import Server

from llm_created.analysis.agreement import judged_tables
from llm_created.prompts.lists import read_list
from llm_created.runs.folders import find
from llm_created.tasks import builtin as tasks


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


FAULTS = {"rate_429": 0.08, "rate_500": 0.05, "rate_drop": 0.03, "bad_json_rate": 0.05, "refuse_lists_rate": 0.05}
SUPERGLUE = ("copa", *(slow(name) for name in ("record", "rte", "axg", "boolq_open", "cb", "wic", "wsc")))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))


def command(server: Server, out: Path, task: str, rows: int, *more: str) -> list[str]:
    line = [sys.executable, "-m", "llm_created", "create", task, "--model", "m", "--base-url", server.url]
    return [*line, "-n", str(rows), "--out", str(out), "--format", "jsonl", *more]


def finish(server: Server, out: Path, task: str, rows: int, *more: str) -> list[dict[str, Any]]:
    done = subprocess.run(command(server, out, task, rows, *more), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "train.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("task", SUPERGLUE)
def test_targen_on_each_of_its_tasks(
    task: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reset(latency=0.001, **FAULTS)
    flags = ("--method", "targen", "--contexts", "5")
    one = finish(server, tmp_path / "a", task, 40, *flags, "--concurrency", "1")
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "many"))
    server.reset(shuffle=0.05, seed=3, **FAULTS)
    many = finish(server, tmp_path / "b", task, 40, *flags, "--concurrency", "64")
    assert one == many and len({row["id"] for row in one}) == 40
    labels = tasks.load(task).task.labels
    if labels:
        counts = Counter(row["answer"] for row in one)
        assert max(counts.values()) - min(counts.values()) <= 12, counts
    if task == "copa":
        assert Counter(row["question"] for row in one).keys() == {"cause", "effect"}


@pytest.mark.parametrize(
    ("task", "flags"),
    [
        slow("rte", "--method targen --verify 2"),
        slow("agnews", "--method attrprompt --self-correct drop"),
        slow("sst2", "--method simprompt --balance"),
        slow("creak", "--strategy tree --balance --verify 1"),
        slow("boolq", "--strategy random --verify 3 --verify-rule relabel"),
    ],
)
def test_killed_and_resumed_it_gives_the_same_rows(
    task: str, flags: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, flight, kills = 100, 16, 3
    wrong = {"wrong_label_rate": 0.15, "wrong_vote_rate": 0.1}
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "whole"))
    server.reset(**FAULTS, **wrong)
    whole = finish(server, tmp_path / "a", task, rows, *flags.split())
    server.reset(shuffle=0.04, seed=5, **FAULTS, **wrong)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "killed"))
    call = command(server, tmp_path / "b", task, rows, *flags.split(), "--concurrency", str(flight))
    drawn = random.Random(f"{task}{os.getpid()}")
    for number in range(kills):
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at = (number + drawn.random()) / kills * 150
        while server.calls() < at and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert finish(server, tmp_path / "b", task, rows, *flags.split(), "--concurrency", str(flight)) == whole
    answered = Counter(entry["id"] for entry in server.log() if entry["status"] == 200)
    assert sum(count - 1 for count in answered.values()) <= kills * flight, (
        "at most the calls in flight are paid twice"
    )


@pytest.mark.parametrize(("folder", "task"), [("agnews", "agnews"), ("sst-2", "sst2")])
def test_attrprompt_with_attributes_from_real_replies(
    folder: str, task: str, server: Server, shared: Path, tmp_path: Path
) -> None:
    replies = shared / "attribute_replies" / folder / "attrprompt" / "gpt-3.5-turbo"
    labels = {re.sub(r"[^a-z]", "", label.lower()): label for label in tasks.load(task).task.labels or ()}
    subtopics = {
        labels[re.sub(r"[^a-z]", "", path.stem)]: read_list(path.read_text("utf-8"))
        for path in (replies / "subtopics").iterdir()
    }
    style = read_list((replies / "style" / "style.txt").read_text("utf-8"))
    assert isinstance(style, list) and all(isinstance(values, list) for values in subtopics.values())
    given = tmp_path / "attributes.json"
    given.write_text(json.dumps({"style": style, "subtopic": subtopics, "length": ["30 to 80 words"]}), "utf-8")
    server.reset(latency=0.001, **FAULTS)
    rows = finish(server, tmp_path / "out", task, 80, "--method", "attrprompt", "--attributes", str(given))
    counts = Counter(row["answer"] for row in rows)
    assert set(counts) == set(labels.values()) and max(counts.values()) - min(counts.values()) <= 6
    with find(str(tmp_path / "out")).open() as journal:
        turns = list(journal.turns())
    assert all(turn.asked == 1 for turn in turns), "nothing is left to be asked of the model"
    drawn = Counter(turn.drawn["style"] for turn in turns)
    assert max(drawn.values()) - min(drawn.values()) <= len(labels)
    assert {turn.drawn["subtopic"] for turn in turns} <= {one for values in subtopics.values() for one in values}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["wrong_label_rate", "wrong_vote_rate"])
@pytest.mark.parametrize("rate", [0.3, pytest.param(0.1, marks=pytest.mark.slow)])
def test_verification_recovers_the_rate_of_wrong_answers(
    wrong: str, rate: float, server: Server, tmp_path: Path
) -> None:
    server.reset(**{wrong: rate})
    finish(server, tmp_path / "out", "creak", 400, "--verify", "1", "--verify-rule", "keep")
    with find(str(tmp_path / "out")).open() as journal:
        found = judged_tables(journal, tasks.load("creak").task)[0]
    assert found.n == 400 and found.low <= 1 - rate <= found.high, found.said()


@pytest.mark.slow
def test_balance_on_a_server_that_says_true_four_times_in_five(server: Server, tmp_path: Path) -> None:
    for number, flags in enumerate((["--balance"], ["--balance", "hold"])):
        server.reset(label_weights={"True": 4, "False": 1}, **FAULTS)
        rows = finish(server, tmp_path / str(number), "creak", 80, *flags)
        counts: Counter[str] = Counter()
        for row in rows:
            counts[row["answer"]] += 1
            assert abs(counts["True"] - counts["False"]) <= 1
        grown = finish(server, tmp_path / str(number), "creak", 120, *flags, "--concurrency", "5")
        assert grown[:80] == rows and len(grown) == 120


@pytest.mark.slow
def test_verification_of_a_finished_run_buys_only_the_votes(server: Server, tmp_path: Path) -> None:
    server.reset(wrong_label_rate=0.2)
    rows = finish(server, tmp_path / "out", "creak", 200)
    server.reset(wrong_label_rate=0.2)
    left = finish(server, tmp_path / "out", "creak", 100, "--verify", "3")
    lanes = Counter(entry["id"].split("/")[1] for entry in server.log())
    assert lanes.keys() == {"-1"} and lanes["-1"] % 3 == 0
    judged = lanes["-1"] // 3
    assert 100 <= judged <= 100 / 0.8 * 1.3
    assert [row for row in rows if row in left] == left
