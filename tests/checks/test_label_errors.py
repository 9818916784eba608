"""`check --label-errors`: flipped labels are doubted first, sure ones are not, and too few rows are told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llm_created.checks.label_errors import doubts
from llm_created.cli.main import main
from llm_created.models.choose import choose
from llm_created.tasks.task import Row, Task

pytest.importorskip("sklearn", reason="scikit-learn is not installed: llm-created[linear]")

TASK = Task("mail", ("text",), "class", labels=("spam", "bill", "other"))
PICK = Task("pick", ("question",), num_options=3)
WORDS = {"spam": "win a free prize", "bill": "pay your invoice of", "other": "see you at lunch on"}
WRONG = (7, 31, 50)


def mails() -> list[dict[str, str]]:
    rows = [{"text": f"{WORDS[label]} {n}", "class": label} for n in range(30) for label in WORDS]
    for at in WRONG:
        rows[at]["class"] = "spam" if rows[at]["class"] != "spam" else "bill"
    return rows


def test_labels_that_are_wrong_are_doubted_and_others_are_not() -> None:
    rows = {at: row for at, one in enumerate(mails()) if isinstance(row := TASK.read(one), Row)}
    found = doubts(TASK, rows, choose("tfidf"))
    assert {one.number for one in found} == set(WRONG)
    for one in found:
        right = next(label for label, words in WORDS.items() if rows[one.number].inputs[0].startswith(words))
        assert (TASK.labels or ())[one.said] == right and one.rather > one.given


def test_options_that_vary_are_doubted_too() -> None:
    things = ["cup", "pen", "saw", "bed", "hat", "key"]
    rows = {}
    for n in range(120):
        thing = things[n % 6]
        others = [things[(n + 1) % 6], things[(n + 3) % 6]]
        answer = others[0] if n in WRONG else thing
        row = PICK.read({"question": f"which is the {thing} {n}", "options": [thing, *others], "answer": answer})
        assert isinstance(row, Row)
        rows[n] = row
    found = doubts(PICK, rows, choose("tfidf"))
    assert {one.number for one in found[:3]} == set(WRONG)


def test_the_command_lists_them_and_reports_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.json").write_text(json.dumps(TASK.to_json()))
    Path("rows.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in mails()))
    command = "check rows.jsonl --task task.json --label-errors --features tfidf --report doubts.jsonl"
    assert main(command.split()) == 0
    said = capsys.readouterr().out
    assert "labels that are likely wrong: 3 (3.3%)" in said and "look at them" in said
    lines = [json.loads(line) for line in Path("doubts.jsonl").read_text("utf-8").splitlines()]
    assert [(one["row"] - 1, one["code"]) for one in lines] == [(at, "label_doubted") for at in WRONG]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in mails()[:20]))
    assert main(command.split()) == 2
    assert "--label-errors compares rows with each other, and rows.jsonl has 20: 50" in capsys.readouterr().err
    assert main("check rows.jsonl --task task.json --features tfidf".split()) == 2
    assert "--features tfidf goes with --label-errors" in capsys.readouterr().err


def test_a_report_marks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("create sst2 --model demo -n 60 --out rows".split()) == 0
    assert main("report rows --label-errors --out with.html".split()) == 0
    assert main("report rows --out without.html".split()) == 0
    data = Path("with.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    doubted = json.loads(data)["doubted"]
    assert doubted["of"] == 60 and doubted["number"] == len(doubted["rather"])
    assert '"doubted":null' in Path("without.html").read_text("utf-8")
    capsys.readouterr()
    assert main("create sst2 --model demo -n 20 --out rows".split()) == 0
    assert main("report rows --label-errors --out with.html".split()) == 2
    assert re.search(r"the run \w{8} has 20: 50 of two labels are the least\n$", capsys.readouterr().err)
