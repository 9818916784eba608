"""Tables as other programs write them: read as they are, or one line that says what to do."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from llm_created.cli.main import main
from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.tasks.task import Task

TASK = Task("mood", ("text",), "label", labels=("gut", "schlecht", "None", "nan", "NA", "مختلط"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.json").write_text(json.dumps(TASK.to_json()), "utf-8")


def found(name: str, content: str | bytes, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Text and label of each row of a file."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return [(row.inputs[0], row.options[row.answer]) for row in sources.load(name, TASK).rows]


ROWS = [("Schön, sehr schön", "gut"), ('Ein "Übel"; ja', "schlecht"), ("x\ny", "None"), ("z", "nan"), ("a", "NA"),
        ("b", "مختلط")]  # fmt: skip


def table(between: str, rows: list[tuple[str, str]] = ROWS, end: str = "\r\n") -> str:
    cells = [("text", "label"), *rows]
    return "".join(between.join('"' + cell.replace('"', '""') + '"' for cell in row) + end for row in cells)


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "ROWS.CSV"])
def test_what_stands_between_cells_and_how_letters_are_written(name: str, between: str, encoding: str) -> None:
    assert found(name, table(between), encoding) == ROWS


def test_excel_says_what_stands_between_cells() -> None:
    assert found("rows.csv", "sep=;\r\n" + table(";")) == ROWS


def test_windows_letters_are_read_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert found("rows.csv", table(";", ROWS[:2]), "cp1252") == ROWS[:2]
    assert "'rows.csv' is not UTF-8 and is read as Windows-1252" in capsys.readouterr().err


def test_commas_in_texts_and_empty_lines() -> None:
    rows = "label;text\ngut;Ja, ja, ja\n\n;\nschlecht;Nein, nein\n"
    assert found("rows.csv", rows) == [("Ja, ja, ja", "gut"), ("Nein, nein", "schlecht")]
    assert found("rows.csv", "text,label,\nJa,gut,\n") == [("Ja", "gut")]


def test_a_single_column_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("text\nJa, schön; wirklich\nNein\n", "utf-8")
    line = ["label", "rows.csv", "--task", "task.json", "--model", "demo", "--out", "out.jsonl"]
    main(line)
    told = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [one["text"] for one in told] == ["Ja, schön; wirklich", "Nein"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", "text,label\nJa,gut\nJa, ja,gut\n", "line 3: 3 cells under 2 columns: put a text that"),
        ("rows.csv", "text,text,label\na,b,gut\n", "'rows.csv' has two columns 'text': rename one"),
        ("rows.csv", "text,label\na,\n", "row 1: missing_field (answer); expected the fields text and labels gut"),
        ("rows.csv", "", "rows.csv has no rows"),
        ("rows.csv", b"text,label\n\x81\x8d,gut\n", "'rows.csv' is not UTF-8 (byte 11): save it as UTF-8"),
        ("rows.xlsx", b"PK", "'rows.xlsx' is an Excel workbook: save it as CSV, or `pip install pandas openpyxl`"),
        ("rows.xls", b"\xd0\xcf", "'rows.xls': records are read from .jsonl, .json, .csv, .tsv, .xlsx, .p"),
        ("rows.txt", "Ja", "'rows.txt': records are read from .jsonl, .json, .csv, .tsv"),
        ("rows.parquet", b"PAR1", "'rows.parquet' cannot be read: "),
        ("rows.arrow", b"x", "'rows.arrow' cannot be read: "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["check", "evaluate", "label"])
def test_what_cannot_be_read_is_one_line(
    command: str, name: str, content: Any, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    here = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openpyxl" else here(name))
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    more = {"evaluate": ["--on", "demo"], "label": ["--model", "demo"]}.get(command, [])
    code = main([command, name, "--task", "task.json", *more])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    if "missing_field" in said and command != "evaluate":  # a row is rejected, or gets the label that it lacks
        assert code in (0, 2, 3)
    elif command == "label" and content == "":
        assert "'rows.csv' has no records" in err
    else:
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and said in err


def test_options_stand_in_a_cell_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task("pick", ("question",), num_options=3)
    Path("pick.csv").write_text('question;options;answer\nWhich?;"[""a"", ""b"", ""c""]";b\n', "utf-8")
    (row,) = sources.load("pick.csv", task).rows
    assert row.options[row.answer] == "b"


def test_a_folder_of_rows_says_what_the_task_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("create creak --model demo -n 12 --out mine".split()) == 0
    Path("rows.csv").write_text("question,answer\nIs ice cold?,True\nIs ice hot?,False\n", "utf-8")
    capsys.readouterr()
    assert main("check rows.csv --task mine".split()) == 0
    assert "2 rows of rows.csv" in capsys.readouterr().out
    assert main("evaluate mine --on rows.csv --task mine".split()) == 0
    assert main("label rows.csv --task mine --model demo".split()) in (0, 3)
    Path("empty").mkdir()
    capsys.readouterr()
    for command in ("check rows.csv", "evaluate rows.csv --on demo", "label rows.csv --model demo"):
        assert main([*command.split(), "--task", "empty"]) == 2
        assert "error: the folder 'empty' has no task.json" in capsys.readouterr().err


def test_labels_that_differ_in_no_width_are_one_label(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "text,label\na,gut\u200b\nb,\u200dschlecht\nc,مخ\u200cتلط\n"
    assert found("rows.csv", rows) == [("a", "gut"), ("b", "schlecht"), ("c", "مختلط")]
    other = Task("mood", ("text",), "label", labels=tuple(f"{label}\ufeff" for label in TASK.labels or ()))
    rows_of = sources.load("rows.csv", TASK)
    assert [row.answer for row in sources.in_labels(rows_of, other)] == [0, 1, 5]
    with pytest.raises(UsageError, match=r"\['a', 'a\\u200b', 'b'\]: a difference in characters without width"):
        Task("mood", ("text",), labels=("a", "a\u200b", "b"))
    Path("example.json").write_text('{"text": "Oh", "label": "go\u200bod"}', "utf-8")
    line = "create --example example.json --labels good,bad --model demo -n 5 --out out".split()
    assert main(line) == 0
