"""Runs in Python: keywords that can be completed, and a run that shows itself in a notebook."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path

import pytest
from hostile import HOSTILE

import llm_created
from llm_created import Identity, Journal, Run, ScriptedClient, Task, UsageError, create
from llm_created.loading.keywords import Keywords, OfAnExample
from llm_created.runs.folders import run_folder
from llm_created.runs.settings import KNOBS


def test_the_keywords_are_those_of_the_settings() -> None:
    named = {name: kind.__forward_arg__ for name, kind in Keywords.__annotations__.items()}
    assert {name: kind for name, kind in named.items() if name in KNOBS} == {
        name: one.type for name, one in KNOBS.items()
    }
    assert named.keys() - KNOBS.keys() == OfAnExample.__annotations__.keys()
    seen = inspect.signature(llm_created.load_dataset).parameters
    assert set(named) <= set(seen) and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in seen.values())
    assert {name: seen[name].default for name in KNOBS} == {name: one.stands_for for name, one in KNOBS.items()}
    with pytest.raises(UsageError, match="unknown keyword 'num_row': did you mean 'num_rows'"):
        llm_created.load_dataset("csqa", model="demo", num_row=5)  # type: ignore[call-arg]


def test_a_run_has_rows_figures_and_a_view(tmp_path: Path) -> None:
    made = llm_created.load_dataset("sst2", "tree", model="demo", num_rows=30, split="train")
    run = Run(Run.all()[0][:8])
    assert run.rows.features == made.features and run.rows[:] == made[:]
    assert run.funnel.kept == 30 and run.spent.calls > 0 and run.cost == 0 and run.digest[:8] in repr(run)
    assert run.report(tmp_path / "r.html").stat().st_size > 100_000
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(UsageError, match="is no report"):
        run.report(tmp_path / "mine.html")
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        Run("nothing")


def test_what_a_model_wrote_is_text_in_a_notebook() -> None:
    task = Task(f"t {HOSTILE}", ("text",), labels=("good", f"bad {HOSTILE}"))
    example = {"text": "An example.", "answer": "good"}
    identity = Identity(task, example, f"m {HOSTILE}", "Write.", num_examples=1)
    row = json.dumps({"text": f"{HOSTILE} <img src=x onerror=alert(1)>", "answer": "good"})

    async def fill() -> None:
        with Journal(run_folder(identity.digest), identity.as_json) as journal:
            async for _ in create(identity, ScriptedClient([row]), journal, 1):
                pass

    asyncio.run(fill())
    view = Run(identity.digest)._repr_html_()
    assert "<img" not in view and "<script" not in view and "&lt;img" in view and "\u202e" not in view
