"""Every task of the paper, begun from a real human example, with every strategy that shows one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from law import HashSimilarity, run
from paper_tasks import NAMES

from llm_created import Identity, Row
from llm_created.clients.demo.client import DemoClient
from llm_created.data import human_rows
from llm_created.prompts.examples import instruction
from llm_created.runs.identity import SELF_REFERENCE
from llm_created.tasks import builtin as tasks


def seed_rows(shared: Path, name: str) -> list[Row]:
    source = tasks.load(name)
    folder = next((shared / "human").glob(f"{source.family}/{name.removesuffix('_open')}"))
    rows = human_rows.load_local(source.task, folder)
    return rows.get("train") or rows["validation"]


@pytest.mark.parametrize("name", [*NAMES[:4], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[4:])])
def test_all_strategies_reach_their_target_from_a_real_seed_example(name: str, shared: Path, tmp_path: Path) -> None:
    task = tasks.load(name).task
    rows = seed_rows(shared, name)
    for number, strategy in enumerate(SELF_REFERENCE):
        seed = human_rows.draw(rows, seed=number)
        who = Identity(task, task.example(seed), "demo", instruction(task, 5), strategy)
        lines = run(tmp_path / strategy, who, DemoClient(), 60, similarity=HashSimilarity("none"))  # type: ignore[arg-type]
        made = [json.loads(line) for line in lines]
        assert len({row["id"] for row in made}) == 60
        assert seed.id not in {row["id"] for row in made}
        for row in made:
            assert set(row) == {"id", *task.columns, task.text_column, "parent_id", "depth"}
            assert row[task.answer] in (task.labels or row[task.options])
