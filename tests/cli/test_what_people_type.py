"""What people type: labels with commas, patterns that fit several folders, examples of other kinds of task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llm_created
from llm_created.cli.main import main
from llm_created.runs.folders import cache_folder
from llm_created.tasks import builtin as tasks
from llm_created.tasks.task import Task

ONE = "one answer out of options is what this library makes"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*argv: str) -> int:
    try:
        return main(list(argv))
    except SystemExit as left:
        return int(left.code or 0)


def labels_of(folder: str) -> list[str]:
    return list(json.loads(Path(folder, "task.json").read_text("utf-8"))["labels"])


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ('a,"billing, invoice",b', ["a", "billing, invoice", "b"]),
        (' a , "b, c" ,d', ["a", "b, c", "d"]),
        ('"say ""hi""",5" pipe', ['say "hi"', '5" pipe']),
        ("ja,nein", ["ja", "nein"]),
        ("مرحبا،,وداعا", ["مرحبا،", "وداعا"]),
        ("None,nan,NA", ["None", "nan", "NA"]),
    ],
)
def test_a_label_may_hold_a_comma(given: str, labels: list[str]) -> None:
    words = ("--description", "Kinds of mail", "--method", "simprompt", "--model", "demo", "-n", "6")
    assert run("create", "--fields", "text", "--labels", given, *words, "--out", "a") == 0
    assert labels_of("a") == labels
    example = {"text": "Hello.", "kind": labels[1]}
    Path("my.json").write_text(json.dumps(example), "utf-8")
    assert run("create", "--example", "my.json", "--labels", given, "--model", "demo", "-n", "2", "--out", "b") == 0
    assert labels_of("b") == labels
    rows = llm_created.load_dataset("my.json", "naive", labels=given, model="demo", num_rows=2, split="train")
    assert rows.features["kind"].names == labels


@pytest.mark.parametrize("given", ['a,"b', 'a,"b"c', "a,,b", "a,b,", "a,b\nc"])
def test_labels_that_cannot_be_read_cost_nothing(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--description", "Kinds of mail", "--method", "simprompt", "--model", "demo", "-n", "6")
    assert run("create", "--fields", "text", "--labels", given, *words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: --labels ") and err.count("\n") == 1
    assert not (cache_folder() / "runs").exists()


@pytest.mark.parametrize("command", ["show", "report", "check", "evaluate", "push", "compare"])
def test_a_pattern_that_fits_two_folders(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("1", "2"):
        assert (
            run("create", "csqa", "--model", "demo", "-n", "5", "--seed", seed, "--out", f"made/csqa-tree-{seed}") == 0
        )
    capsys.readouterr()
    more = {"evaluate": ["--on", "demo"], "push": ["me/x"]}.get(command, [])
    # As a shell hands it over, and as one does that leaves patterns alone.
    for given in (["made/csqa-tree-1", "made/csqa-tree-2"], ["made/csqa-tree-*"]):
        if command == "compare" and len(given) == 2:
            continue  # it takes several
        assert run(command, *given, *more) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
        assert "name one" in err or "fits several" in err or "unrecognized arguments: me/x" in err, err
    if command in ("show", "check"):
        assert run(command, "made/*-1", *more) == 0
    if command == "push":
        assert run("push", "made/csqa-tree-1", "made/csqa-tree-2") == 2
        assert "is a folder of rows, and OWNER/NAME is wanted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("example", "flags"),
    [
        ({"question": "Why is the sky blue?", "answer": "Because blue light is scattered most."}, ()),
        ({"question": "Which are fruits?", "options": ["fig", "rock", "pear"], "answer": ["fig", "pear"]}, ()),
        (
            {"question": "Which are fruits?", "options": ["fig", "rock", "pear"], "answer": ["fig", "pear"]},
            ("--options-field", "options", "--answer-field", "answer", "--label-space", "variable"),
        ),
        (
            {"question": "Which?", "options": ["fig", "rock"], "right": ["fig"]},
            ("--options-field", "options", "--label-space", "variable"),
        ),
        ({"question": "What is 6 times 7?", "answer": 42}, ()),
        ({"text": "A fine soup.", "score": 4.5}, ()),
        ({"text": "A fine soup.", "score": 4.5}, ("--labels", "good,bad")),
        ({"context": "Paris is old.", "question": "What is old?", "answers": {"text": ["Paris"], "start": [0]}}, ()),
        ({"tokens": ["Paris", "is"], "ner_tags": ["LOC", "O"]}, ()),
        ({"question": "Pick.", "options": ["a", "b"], "answer": 0}, ("--label-space", "variable")),
    ],
)
def test_another_kind_of_task_is_told_what_this_one_makes(
    example: Any, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my.json").write_text(json.dumps(example), "utf-8")
    assert run("create", "--example", "my.json", "--model", "demo", *flags) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert ONE in err and "name it with --answer-field" not in err
    assert not (cache_folder() / "runs").exists()


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_a_few_rows_are_scored(rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenth of twelve rows with two options is one row, and one comparison."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: llm-created[linear]")
    assert run("create", "copa", "--model", "demo", "-n", str(rows), "--out", "few") == 0
    assert run("evaluate", "few", "--on", "demo") == 0
    # Texts without one word, and a file of one label.
    for name, answers in (("signs", ["a", "b"]), ("single", ["a"])):
        task = Task(name, ("text",), labels=("a", "b"))
        Path(f"{name}.json").write_text(json.dumps(task.to_json()), "utf-8")
        lines = [{"text": "!" * (n + 1), "answer": answers[n % len(answers)]} for n in range(rows)]
        Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
        assert run("evaluate", f"{name}.jsonl", "--task", f"{name}.json", "--on", f"{name}.jsonl") == 0
    assert "Traceback" not in capsys.readouterr().err


def test_every_built_in_task_can_still_be_named() -> None:
    for name in tasks.names():
        assert tasks.load(name).task.name
