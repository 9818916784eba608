"""Questions that write no rows claim no method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_created.cli.main import main


def test_labels_are_by_no_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text('{"text": "The soup was fine."}\n')
    assert main(["label", str(tmp_path / "rows.jsonl"), "--task", "sst2", "--model", "demo"]) == 0
    (note,) = tmp_path.glob("cache/labels/*/*.json")
    identity = json.loads(note.read_text("utf-8"))
    assert (identity["method"], identity["strategy"]) == ("", "")
    assert main(["label", str(tmp_path / "rows.jsonl"), "--task", "sst2", "--model", "demo"]) == 0
    assert len(list(tmp_path.glob("cache/labels/*"))) == 1
