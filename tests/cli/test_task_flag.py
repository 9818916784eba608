"""`--task` means the same to every command that takes rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_created.cli.main import main

COMMANDS = (
    "check rows.jsonl",
    "label rows.jsonl --model demo --out labelled-{}.jsonl",
    "evaluate rows.jsonl --on test.jsonl",
)
TASK = {
    "name": "mood", "inputs": ["text"], "options": "options", "answer": "answer", "labels": ["yes", "no"],
    "num_options": None,
}  # fmt: skip
BUILDER = """
import llm_created

class Mood(llm_created.Builder):
    task = llm_created.Task("mood", ("text",), "answer", "options", ("yes", "no"))
    example = {"text": "Is it fine?", "answer": "yes"}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))
    for name in ("rows", "test"):
        rows = [{"text": f"Is it {name} {n}?", "answer": ("yes", "no")[n % 2]} for n in range(8)]
        Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    Path("folder").mkdir()
    Path("bare").mkdir()
    Path("task.json").write_text(json.dumps(TASK | {"example": {"text": "Is it fine?", "answer": "yes"}}))
    Path("folder/task.json").write_text(json.dumps(TASK | {"example": None}))
    Path("mood.py").write_text(BUILDER)
    # An example that says all of its task, and one that does not.
    Path("mood.json").write_text(json.dumps({"text": "Fine?", "options": ["yes", "no"], "answer": "yes"}))
    Path("my.json").write_text(json.dumps({"text": "Fine?", "options": ["fine", "sad"], "answer": "fine"}))
    Path("list.json").write_text("[1]")
    Path("broken.json").write_text(json.dumps(TASK | {"example": None, "labels": "yes"}))


def said_of(task: str, capsys: pytest.CaptureFixture[str]) -> list[tuple[int, str]]:
    """For each command how it ended, and what it said of the task."""
    found = []
    for number, command in enumerate(COMMANDS):
        code = main([*command.format(number).split(), "--task", task])
        said = capsys.readouterr()
        found.append((code, said.err.strip().split("\n")[-1] if code else said.out + said.err))
    return found


@pytest.mark.parametrize("task", ["task.json", "folder", "mood.py", "mood.json", "./folder/task.json"])
def test_the_same_task_for_all(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    for code, said in said_of(task, capsys):
        assert code == 0
        assert "mood" in said


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("my.json", "error: --task 'my.json' is no task.json, and no example that says all of its task: give the "),
        ("list.json", "error: --task 'list.json' is no task.json"),
        ("bare", "error: the folder 'bare' has no task.json"),
        ("absent.json", "error: there is no file 'absent.json': give a JSON file that holds a task.json"),
        ("broken.json", "error: this is not a task.json: 'labels' must be a list"),
        ("mod", "error: unknown task 'mod'"),
        ("absent.py", "error: there is no builder file 'absent.py'"),
    ],
)
def test_the_same_line_for_all(task: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = said_of(task, capsys)
    assert len(set(found)) == 1, found
    assert found[0][0] == 2
    assert found[0][1].startswith(wanted)
    assert not Path("cache").exists()


def test_a_built_in_name_goes_before_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sst2").mkdir()
    assert not any("folder" in said for _, said in said_of("sst2", capsys))
