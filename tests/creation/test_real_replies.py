"""Replies of a real small model, as it wrote them: what the parser, the frontier and the pool make of its mess.

`GOLDEN=write pytest tests/creation/test_real_replies.py` writes the counts anew: look at the difference first. The
replies are those of SmolLM2-135M-Instruct, by `scripts/real_replies.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llm_created import Journal, RunFailed, ScriptedClient, create
from llm_created.creation import define
from llm_created.creation.progress import Tally
from llm_created.runs.settings import Settings
from llm_created.tasks import builtin as tasks
from llm_created.utils.text import fold

REPLIES = sorted((Path(__file__).parents[1] / "real_replies").glob("*.jsonl"))
GOLDEN = Path(__file__).parents[1] / "golden" / "real_replies.json"
STRATEGY = {"self-reference": "random", "self-reference, tree": "tree"}


def replayed(file: Path, folder: Path, **more: Any) -> tuple[list[Any], Counter[str]]:
    """The rows of a run that is answered with the replies in their order, and why the others are none."""
    about, *texts = map(json.loads, file.read_text("utf-8").splitlines())
    settings = Settings(model="recorded", seed=about["seed"], **more)
    made = define.identity(settings, tasks.load(about["task"]), STRATEGY.get(about["method"], about["method"]))
    tally, rows = Tally(), []

    async def run() -> None:
        with Journal(folder, made.as_json) as journal:
            creation = create(
                made, ScriptedClient(texts), journal, 10_000, concurrency=1, patience=10_000, tally=tally
            )
            async for row in creation:
                rows.append(row)

    with pytest.raises(RunFailed, match="the script has run out"):
        asyncio.run(run())
    return rows, tally.reasons


@pytest.mark.parametrize("file", REPLIES, ids=lambda file: file.stem)
def test_what_becomes_of_them_is_as_golden(file: Path, tmp_path: Path) -> None:
    rows, reasons = replayed(file, tmp_path)
    found = {"kept": len(rows)} | dict(sorted(reasons.items()))
    golden = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(golden | {file.stem: found}, indent=1, sort_keys=True) + "\n", "utf-8")
    assert found == golden.get(file.stem, found)
    assert file.stem in golden or os.environ.get("GOLDEN")
    assert len(rows) > 20


@pytest.mark.parametrize("file", REPLIES, ids=lambda file: file.stem)
def test_no_row_only_repeats_a_label(file: Path, tmp_path: Path) -> None:
    rows, _ = replayed(file, tmp_path)
    # A premise may be one of its own causes; a text that stands alone may not be its label.
    alone = [row for row in rows if len(row.inputs) == 1]
    assert rows and not [row for row in alone if fold(row.inputs[0]) in map(fold, row.options)]


@pytest.mark.parametrize("file", REPLIES, ids=lambda file: file.stem)
def test_short_rows_are_left_out_where_that_is_asked(file: Path, tmp_path: Path) -> None:
    rows, reasons = replayed(file, tmp_path, min_words=4)
    assert reasons["too_short"] > 0
    assert all(max(len(text.split()) for text in row.inputs) >= 4 for row in rows)
