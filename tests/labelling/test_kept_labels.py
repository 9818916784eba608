"""`llm-created label` on rows that have labels, or a model that gives none: what is there stays, and it gives up."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from test_labelling import QUESTIONS, Serve, answer, call, is_long, lines_of, served, write

from llm_created import label_rows
from llm_created.tasks.task import Task

__all__ = ["served"]


def test_a_label_that_is_there_stays(tmp_path: Path, served: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty rows: thirty have a person's label, all of them `no`, and the model is for `True`."""
    server = served(lambda asked: answer("True"))
    rows = [{"question": f"is it {n}", "answer": "no" if n < 30 else [None, ""][n % 2], "n": n} for n in range(40)]
    path = write(tmp_path / "rows.jsonl", rows)
    assert call(path, server) == 0
    written = lines_of(tmp_path / "rows-labelled.jsonl")
    assert [{name: one[name] for name in row} for one, row in zip(written, rows, strict=True)] == rows
    assert {one["llm_answer"] for one in written} == {"True"}
    out = " ".join(capsys.readouterr().out.split())
    assert "verification agrees with 0 of 30 given labels" in out
    assert "30 labels of the file stay as they are: the model's are in the column 'llm_answer'" in out


@pytest.mark.parametrize("name", ["Answer", "label"])
def test_by_whatever_name_it_is_there(name: str, tmp_path: Path, served: Serve) -> None:
    server = served(lambda asked: answer("True"))
    path = write(tmp_path / "rows.jsonl", [{"question": "is it", name: "no"}, {"question": "is that"}])
    assert call(path, server) == 0
    first, second = lines_of(tmp_path / "rows-labelled.jsonl")
    assert list(first) == ["question", name, "llm_answer", "votes", "agreement"]
    assert (first[name], first["llm_answer"], second["llm_answer"]) == ("no", "True", "True")
    # The model's column is no answer to whoever reads the file for one, and is not asked about again.
    again = write(tmp_path / "again.jsonl", [first])
    assert call(again, server) == 0
    (third,) = lines_of(tmp_path / "again-labelled.jsonl")
    assert (third["llm_answer"], third["llm_llm_answer"], third[name]) == ("True", "True", "no")


@pytest.mark.parametrize(("suffix", "between"), [("csv", ","), ("tsv", "\t")])
def test_out_is_what_its_name_says(suffix: str, between: str, tmp_path: Path, served: Serve) -> None:
    server = served(is_long)
    path, out = tmp_path / "rows.csv", tmp_path / f"out.{suffix}"
    path.write_text('question,answer,note\n"is it, or not, so ""they"" say",,"ä\nö"\nis it,yes,\n', "utf-8")
    assert call(path, server, "--out", out) == 0
    with out.open(encoding="utf-8", newline="") as lines:
        first, second = csv.DictReader(lines, delimiter=between)
    assert (first["question"], first["note"], first["answer"]) == ('is it, or not, so "they" say', "ä\nö", "")
    assert (first["llm_answer"], json.loads(first["votes"]), first["agreement"]) == ("True", {"True": 1}, "1.0")
    assert (second["answer"], second["llm_answer"], second["note"]) == ("yes", "False", "")
    # The same again is bought once, and the file is still its own.
    assert call(path, server, "--out", out) == 0 and len(server.asked) == 2
    out.write_text("mine", "utf-8")
    assert call(path, server, "--out", out) == 2 and out.read_text("utf-8") == "mine"


def test_out_as_an_array_and_as_nothing_that_is_known(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(is_long)
    path = write(tmp_path / "rows.jsonl", [{"question": "is it"}, [1], {"question": "is it so, or is it not"}])
    assert call(path, server, "--out", tmp_path / "out.json") == 0
    told = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [one.get("answer") for one in told] == ["False", None, "True"] and told[1]["unread"] == [1]
    server.forget()
    for name in ("out.parquet", "out.xlsx", "out"):
        assert call(path, server, "--out", tmp_path / name) == 2
        assert "labels are written as .jsonl, .json, .csv, .tsv" in capsys.readouterr().err
    assert not server.asked


def test_it_gives_up_where_no_reply_names_an_option(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(lambda asked: "I would rather not say.")
    path = write(tmp_path / "rows.jsonl", [{"question": f"is it {n}"} for n in range(253)])
    assert call(path, server, "--concurrency", 4) == 3
    said = capsys.readouterr()
    assert 20 <= len(server.forget()) <= 24
    assert "calls to make: 20 replies in a row name no option (" in said.err and "to go on" in said.err
    assert len(lines_of(tmp_path / "rows-labelled.jsonl")) == 253
    # The command that it names goes on, and a model that answers is not stopped by what was bought before.
    server.rule = is_long
    assert call(path, server, "--concurrency", 4) == 0
    assert 229 <= len(server.asked) <= 233
    assert sum(one["answer"] is not None for one in lines_of(tmp_path / "rows-labelled.jsonl")) == len(server.asked)


@pytest.mark.slow
def test_patience_is_chosen_and_a_good_reply_renews_it(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(lambda asked: "Hm." if int(asked.row["question"].split()[-1]) % 3 else answer("True"))
    path = write(tmp_path / "rows.jsonl", [{"question": f"is it {n}"} for n in range(60)])
    assert call(path, server, "--concurrency", 1, "--patience", 3) == 0 and len(server.asked) == 60
    other = write(tmp_path / "other.jsonl", [{"question": f"is it {n}"} for n in range(61, 121)])
    assert call(other, server, "--concurrency", 1, "--patience", 2) == 3
    assert call(other, server, "--patience", 0) == 2


def test_few_rows_without_one_label_are_no_success(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(lambda asked: "I would rather not say.")
    path = write(tmp_path / "rows.jsonl", [{"question": one} for one in QUESTIONS[:5]])
    assert call(path, server) == 3
    assert "no row got a label: none of the replies about 5 rows names an option" in capsys.readouterr().err


def test_an_echo_of_the_row_is_no_vote(tmp_path: Path, served: Serve) -> None:
    """A row with a field called as what is asked for, shown again whole, and then only its fields."""
    task = Task("grading", ("question", "answer"), "grade", "choices", labels=("yes", "no"))
    (tmp_path / "task.json").write_text(json.dumps(task.to_json()), "utf-8")
    rows = [{"question": f"Is {n} odd?", "answer": "yes"} for n in range(4)]
    path = write(tmp_path / "rows.jsonl", rows)

    def echo(asked: Any) -> str:
        number = int(asked.row["question"].split()[1])
        told = asked.row if number == 0 else {name: asked.row[name] for name in ("question", "answer")}
        return json.dumps(told) if number < 2 else answer("no") if number == 2 else json.dumps({"grade": "no"})

    server = served(echo)
    assert call(path, server, task=str(tmp_path / "task.json")) == 0
    written = lines_of(tmp_path / "rows-labelled.jsonl")
    assert [one["grade"] for one in written] == [None, None, "no", "no"]
    assert [one["answer"] for one in written] == ["yes"] * 4


def test_rows_in_memory_keep_their_labels_too(served: Serve) -> None:
    server = served(lambda asked: answer("True"))
    rows = [
        {"question": "is it\u2028so\x85", "answer": "no"},
        {"question": "is that", "answer": 1},
        {"question": "is"},
    ]
    told = label_rows(rows, "boolq", model="rule", base_url=server.url)
    assert [{name: one[name] for name in row} for one, row in zip(told, rows, strict=True)] == rows
    assert [one["llm_answer"] for one in told] == ["True"] * 3
