"""A report of more than fits: it has a size, says what it left out, and its figures are of all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import large
import pytest

from llm_created.analysis.funnel import funnel
from llm_created.cli.main import main
from llm_created.reports import html_read
from llm_created.runs.journal import Journal
from llm_created.runs.kept import kept_rows
from llm_created.utils import progress


def written(cache: Path, monkeypatch: pytest.MonkeyPatch, *shape: Any) -> tuple[str, Path]:
    """A run and its report: digest, file."""
    monkeypatch.setenv("LLM_CREATED_CACHE", str(cache))
    digest = large.build(cache, *shape)
    assert main(["report", digest, "--out", str(cache / "r.html")]) == 0
    return digest, cache / "r.html"


def blocks(path: Path) -> tuple[dict[str, Any], list[str]]:
    found = re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', path.read_text("utf-8"), re.S)
    data, replies = map(json.loads, found)
    return data, replies


@pytest.mark.slow
def test_a_page_has_a_size_whatever_the_run_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = written(tmp_path, monkeypatch, 1_000, 16_000, 2)
    data, replies = blocks(path)
    assert path.stat().st_size < html_read.ROOM + html_read.ROOM_OF_REPLIES + 500_000
    # All rows find room when their texts are cut; each says how long it was.
    assert len(data["rows"]) == 1_000 and data["numbers"] is None and data["cut"] == 1_000
    assert all(re.fullmatch(r"Number \d+: .{986,990}… \(16,0\d\d characters\)", row[3][0]) for row in data["rows"])
    assert {size // 10 for size in data["sizes"]} <= {1_601, 1_602}
    assert data["lengths"][0]["n"] == 1_000 and data["lengths"][0]["least"] > 16_000
    assert len(replies) == len(data["turns"]) == 500 and all("characters)" in reply for reply in replies)


@pytest.mark.parametrize("held", [False, True])
def test_what_does_not_fit_is_drawn_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    monkeypatch.setattr(html_read, "ROOM", 60_000)
    monkeypatch.setattr(html_read, "ROOM_OF_REPLIES", 20_000)
    digest, path = written(tmp_path, monkeypatch, 700, 150, 5, held)
    data, replies = blocks(path)
    whole = path.read_bytes()
    with Journal(tmp_path / "runs" / digest) as journal:
        count, rows = funnel(journal), list(kept_rows(journal, large.TASK))
    assert len(rows) == 700 and len({row.id for row in rows}) == 700
    assert data["all"] == [700, 100] and dict(data["funnel"])["kept"] == count.kept == 700
    assert data["lengths"][0]["n"] == sum(one["n"] for one in data["drift"]) == 700
    assert dict(data["balance"]) == {"good": count.answers[0], "bad": count.answers[1]}
    # Those that are here: the row of that number, in order, no matter how long, and from the whole run.
    assert 100 < len(data["rows"]) < 600 and 0 < len(data["rejected"]) <= 100
    assert data["numbers"] == sorted(data["numbers"]) and max(data["numbers"]) > 600
    assert [row[1] for row in data["rows"]] == [rows[number].id for number in data["numbers"]]
    chosen = sorted(range(700), key=lambda number: html_read.rank(rows[number].id))[: len(data["rows"])]
    assert sorted(chosen) == data["numbers"]
    # Each with the beginning of its own reply.
    asked = {turn[0] for turn in data["turns"]}
    assert len(replies) == len(data["turns"]) == len(asked)
    for piece in data["rows"] + data["rejected"]:
        assert data["turns"][piece[0]][0] in asked and replies[piece[0]].startswith('{"text": "Number ')
    assert len("".join(replies).encode()) < 21_000
    assert main(["report", digest, "--out", str(path)]) == 0
    assert path.read_bytes() == whole


def test_it_says_how_far_it_is_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest, path = written(tmp_path, monkeypatch, 250, 20)
    assert not capsys.readouterr().err  # nobody waits for that
    monkeypatch.setattr(progress, "QUIET", 0)
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0)
    assert main(["report", digest, "--out", str(path)]) == 0
    assert capsys.readouterr().err.splitlines() == ["100 of 250 replies read", "200 of 250 replies read"]


@pytest.mark.slow
def test_a_journal_of_a_gigabyte_takes_300_mb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = large.build(tmp_path, 64_000, 16_500, 4)
    took = large.took(tmp_path, "report", digest, "--out", "r.html")
    with capsys.disabled():
        print(
            f"\n1.2 GB of journal: {took.seconds:.0f} s, {took.processor:.0f} s of processor, {took.megabytes:.0f} MB"
        )
    assert took.code == 0 and took.megabytes < 300, took.err
    data, _ = blocks(tmp_path / "r.html")
    assert data["all"][0] == data["lengths"][0]["n"] == 64_000 > len(data["rows"]) > 1_000
