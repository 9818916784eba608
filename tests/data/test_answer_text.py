"""Rows show their answers as text beside the index, in every format, and no reader takes it for a field."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import llm_created
from llm_created.cli.main import main
from llm_created.data import sources
from llm_created.errors import UsageError
from llm_created.tasks.task import Row, Task

STARS = (
    "create --fields text --labels 1,2,3,4,5 --description 'Stars, one to five' --method simprompt --model demo -n 15"
)
UPSIDE_DOWN = "create --fields text --labels 1,0 --description 'Is it good' --method simprompt --model demo -n 10"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def created(line: str, folder: str, form: str = "parquet") -> Any:
    """What `datasets` makes of a new folder of rows."""
    import datasets

    assert main([*shlex.split(line), "--out", folder, "--format", form]) == 0
    return datasets.load_dataset(folder, split="train", cache_dir="cache")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "arrow"])
@pytest.mark.parametrize("line", [STARS, UPSIDE_DOWN])
def test_labels_that_are_numbers_are_seen_as_they_are(line: str, form: str) -> None:
    labels = line.split()[4].split(",")
    loaded = created(line, "rows", form)
    assert loaded.features["answer"].names == labels
    assert [labels[index] for index in loaded["answer"]] == list(loaded["answer_text"])
    assert set(loaded["answer_text"]) == set(labels)


def test_pandas_shows_the_label_of_a_row() -> None:
    pandas = pytest.importorskip("pandas")
    created(UPSIDE_DOWN, "rows")
    rows = pandas.read_parquet("rows/train.parquet")
    assert set(zip(rows.answer, rows.answer_text, strict=True)) == {(0, "1"), (1, "0")}


def test_options_of_each_row() -> None:
    for form in ("parquet", "jsonl", "arrow"):
        loaded = created("create csqa --model demo -n 10", f"rows-{form}", form)
        for row in loaded:
            index = row["options"].index(row["answer_text"])
            assert row["answer"] == (row["answer_text"] if form == "jsonl" else index)
            assert list(loaded.features) == [
                "id", "question", "options", "answer", "answer_text", "parent_id", "depth"
            ]  # fmt: skip


def test_load_dataset_gives_it_too() -> None:
    rows = llm_created.load_dataset("creak", "naive", model="demo", num_rows=10, split="train")
    assert rows["answer_text"] == [rows.features["answer"].int2str(answer) for answer in rows["answer"]]


def test_no_field_has_its_name() -> None:
    task = Task("odd", ("answer_text", "Answer_Text_"), labels=("a", "b"))
    row = task.read({"answer_text": "one", "Answer_Text_": "two", "answer": "b"})
    assert isinstance(row, Row)
    record = task.record(row)
    assert (record["answer_text"], record["Answer_Text_"], record["answer_text__"]) == ("one", "two", "b")
    assert task.read(record | {"answer": "b"}) == row and list(record) == list(task.features)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "arrow"])
def test_every_reader_reads_them_and_what_was_made_of_them(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    rows = created(STARS, "rows", form).to_pandas()
    rows.to_csv("rows.csv", index=False)
    rows.to_csv("numbered.csv", sep=";")
    rows.drop(columns=["parent_id", "depth", "id"]).to_json("rows.jsonl", orient="records", lines=True)
    rows.to_parquet("rows.parquet")
    gaps = rows.astype({"answer": "float"})
    gaps.to_parquet("gaps.parquet")
    wanted = sources.load("rows").rows
    task = sources.load("rows").task
    for name in (f"rows/train.{form}", "rows.csv", "numbered.csv", "rows.jsonl", "rows.parquet", "gaps.parquet"):
        found = sources.load(name, task).rows
        assert [(row.inputs, row.answer) for row in found] == [(row.inputs, row.answer) for row in wanted], name
        capsys.readouterr()
        assert main(["check", name, "--task", "rows"]) == 0
        assert "rejected" not in capsys.readouterr().out


def test_rows_from_before_are_read() -> None:
    created(UPSIDE_DOWN, "rows")
    table = pq.read_table("rows/train.parquet")
    before = sources.load("rows")
    pq.write_table(table.drop_columns(["answer_text"]), "rows/train.parquet")
    assert sources.load("rows").rows == before.rows
    assert sources.load("rows/train.parquet", before.task).rows == [
        row._replace(parent_id=old.parent_id, depth=old.depth)
        for row, old in zip(before.rows, sources.load("rows").rows, strict=True)
    ]


def test_a_row_that_was_half_corrected_is_told() -> None:
    """Somebody changed one of the two: which one is right, nobody knows."""
    created(UPSIDE_DOWN, "rows", "jsonl")
    lines = [json.loads(line) for line in Path("rows/train.jsonl").read_text("utf-8").splitlines()]
    lines[2]["answer_text"] = "0" if lines[2]["answer_text"] == "1" else "1"
    Path("rows/train.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    with pytest.raises(UsageError, match=r"row 3: two_answers \(answer is (1|0), answer_text (1|0)\)"):
        sources.load("rows")


def test_the_stars_of_a_strangers_table_are_stars() -> None:
    pandas = pytest.importorskip("pandas")
    task = Task("stars", ("text",), "stars", labels=("1", "2", "3", "4", "5"))
    for kind in ("int64", "float64", "Int8"):
        frame = pandas.DataFrame({"text": list("abcde"), "stars": [1, 2, 3, 4, 5]}).astype({"stars": kind})
        frame.to_parquet("theirs.parquet")
        found = sources.load("theirs.parquet", task).rows
        assert [row.options[row.answer] for row in found] == list("12345"), kind
    yes_no = Task("claims", ("text",), "answer", labels=("True", "False"))
    pandas.DataFrame({"text": ["a", "b"], "answer": [True, False]}).to_parquet("bools.parquet")
    assert [row.answer for row in sources.load("bools.parquet", yes_no).rows] == [0, 1]
    # A text of theirs that happens to have our column's name is theirs.
    Path("said.jsonl").write_text('{"text": "a", "answer": true, "answer_text": "because"}\n', "utf-8")
    assert [row.answer for row in sources.load("said.jsonl", yes_no).rows] == [0]
