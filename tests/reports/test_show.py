"""What a person sees in a terminal, at 80 columns and at others."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import pytest

from llm_created.cli.live import describe, watch
from llm_created.cli.main import main
from llm_created.clients.base import Usage
from llm_created.clients.prices import Price
from llm_created.creation.budget import Budget
from llm_created.creation.progress import Tally

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_run_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_created.cli.commands import runs

    monkeypatch.setattr(runs, "terminal_width", lambda: 80)
    assert main(["create", "creak", "--model", "demo", "-n", "60", "--out", str(tmp_path / "rows")]) == 0
    said = capsys.readouterr().out.replace(str(tmp_path), "TMP")
    shown = said[: said.index("next:")]
    assert all(len(line) <= 80 for line in shown.splitlines())
    expected = GOLDEN / "creak-60.txt"
    assert shown == expected.read_text("utf-8"), f"if the change is meant, write it to {expected}"


def tally() -> Tally:
    budget = Budget(price=Price(1.0, 2.0))
    reserved = budget.reserve([{"role": "user", "content": "a question"}], 1)
    assert reserved is not None
    budget.settle(reserved.usage, Usage(12_000, 40_000, False))
    reasons = Counter(duplicate=7, not_json=3, answer_not_in_options=1)
    return Tally(1000, 250, 60, 0, 32, reasons, 150, 100.0, budget)


def test_the_live_view_fits_and_says_everything() -> None:
    lines = describe(tally(), 130.0, 79)
    assert lines == [
        "250/1000 rows · 60 calls +32 · 52k tokens · $0.0920 of ~$13.89 · 1:15 left",
        "  11 rejected: duplicate 7, not_json 3, answer_not_in_options 1",
    ]
    assert all(len(line) <= 40 for line in describe(tally(), 130.0, 40))


def test_it_is_plain_where_there_is_no_terminal() -> None:
    import asyncio

    to = io.StringIO()

    async def look() -> None:
        still = tally()
        still.started = 0.0  # or the time left ticks on
        watcher = asyncio.create_task(watch(still, to))
        await asyncio.sleep(0.05)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)

    from llm_created.cli import live

    live._PLAIN_EVERY, before = 0.01, live._PLAIN_EVERY
    try:
        asyncio.run(look())
    finally:
        live._PLAIN_EVERY = before
    assert "250/1000 rows" in to.getvalue() and "duplicate 7" in to.getvalue()
    assert not re.search(r"[\x1b\r]", to.getvalue())
    assert to.getvalue().count("\n") == 1, "what has not changed is not said again"


def test_hostile_text_cannot_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from llm_created.reports.terminal import rows_lines
    from llm_created.tasks.task import Row, Task

    task = Task("t", ("text",), labels=("a", "b"))
    row = task.read({"text": "\x1b[2Jwiped\x07 \x9b31m <script>", "answer": "a"})
    assert isinstance(row, Row)
    assert rows_lines(task, [row], 80) == ["text       [2Jwiped 31m <script>", "answer     a", ""]


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, width: int = 80) -> str:
    """What a command says, none of it wider than the terminal; the lines for shells that end `create` left out."""
    from llm_created.cli.commands import runs

    monkeypatch.setattr(runs, "terminal_width", lambda: width)
    assert main(line.split()) == 0
    said = capsys.readouterr().out.split("\nnext:")[0]
    assert all(len(one) <= width for one in said.splitlines() if " rows in " not in one), said
    return said


def test_judges_are_shown_as_a_table_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = f"create rte --method targen --verify 3 --model demo -n 60 --out {tmp_path / 'rows'}"
    said = shown(capsys, monkeypatch, line)
    agree = re.findall(r"(\S+) agrees with (\d+) of (\d+) given labels \((\d+\.\d)%, 95 % interval\s", said)
    assert [name for name, *_ in agree] == ["self-correction", "verification"]
    cells = re.findall(r"^  (?:not_)?entailment +(\d+) +(\d+) +(\d+)$", said, re.MULTILINE)
    assert len(cells) == 4
    for (_, right, n, share), table in zip(agree, (cells[:2], cells[2:]), strict=True):
        assert sum(int(one) for row in table for one in row) == int(n)
        assert int(table[0][0]) + int(table[1][1]) == int(right)
        assert f"{int(right) / int(n):.1%}" == f"{share}%"
    assert "rows by depth" not in said and "balance held back" not in said
    run = re.search(r"^run (\w+)", said)
    assert run and shown(capsys, monkeypatch, f"show {run[1]} --sample 0", 60).count("agrees with") == 2


def test_of_many_labels_the_cells_that_differ_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = f"create nyt --method simprompt --self-correct keep --model demo -n 300 --out {tmp_path / 'rows'}"
    said = shown(capsys, monkeypatch, line)
    agree = re.search(r"agrees with (\d+) of (\d+) given", said)
    cells = re.findall(r"^  given (.+), (?:judged (.+)|no majority): (\d+)$", said, re.MULTILINE)
    rest = re.search(r"^  and (\d+) rows in (\d+) other pairs$", said, re.MULTILINE)
    counts = [int(number) for *_, number in cells]
    assert agree and counts == sorted(counts, reverse=True) and all(given != judged for given, judged, _ in cells)
    assert sum(counts) + int(rest[1] if rest else 0) == int(agree[2]) - int(agree[1]) > 0
    assert "given \\ judged" not in said
    # A terminal that is wide enough gets all of it.
    run = re.search(r"^run (\w+)", said)
    assert run and "given \\ judged" in shown(capsys, monkeypatch, f"show {run[1]}", 500)


@pytest.mark.parametrize("how", ["", "ask", "hold"])
def test_what_balance_cost_is_said_in_one_line(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    balance = f"--balance {how}" if how else ""
    said = shown(capsys, monkeypatch, f"create sst2 {balance} --model demo -n 61 --out {tmp_path / 'rows'}")
    line = re.findall(r"^balance held back .*$", said, re.MULTILINE)
    assert len(line) == bool(how)
    if how:
        surplus = re.search(r"^  (\d+) surplus, ", said, re.MULTILINE)
        unique = re.search(r"unique (\d+)", said)
        assert unique
        held = int(surplus[1]) if surplus else 0
        share = held / int(unique[1])
        expected = f"{held} of {unique[1]} rows: about {share:.1%} of the calls went into them" if held else "no row"
        assert line == [f"balance held back {expected}"]


def test_leaks_that_stay_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "create creak --model demo -n 20 --out"
    shown(capsys, monkeypatch, f"{line} {tmp_path / 'rows'} --format jsonl")
    rows = (tmp_path / "rows" / "train.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "test.jsonl").write_text("\n".join(rows[:2]), "utf-8")
    against = f"--check-against {tmp_path / 'test.jsonl'}"
    said = shown(capsys, monkeypatch, f"{line} {tmp_path / 'kept'} {against} --leaks report")
    assert re.search(r"^2 of 20 rows repeat one of \S+,? and\s+stay$", said, re.MULTILINE)
    assert "2 rows repeated one of" in shown(capsys, monkeypatch, f"{line} {tmp_path / 'dropped'} {against}")


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("rte --method targen", ["1: contexts", "2: seeds in a context", "3: a row"]),
        ("agnews --method simprompt", ["1: a row"]),
        (
            "nyt --method attrprompt",
            [
                "1: labels that are alike",
                "27: values of an attribute",
                "108: values that fit other labels, too",
                "134: a row",
            ],
        ),
        ("creak", []),
    ],
)
def test_preview_shows_each_kind_of_call_up_to_the_first_row(
    line: str, kinds: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = shown(capsys, monkeypatch, f"preview {line} --verify 3 --model demo -n 100 --price 1,2")
    assert re.findall(r"^── call (.+?) ─+$", said, re.MULTILINE) == kinds
    assert said.count("── system ─") == said.count("── reply ─") == max(len(kinds), 1)
    assert re.search(r"── what became of it ─+\nkept [0-9a-f]{16}\n", said)
    # Contexts, seeds for 20 of them, and the rows; or the calls before the first row, and the rows (creak: 4 a call).
    calls = {"rte": 1 + 20 + 100, "agnews": 100, "nyt": 79 + 100, "creak": 25}[line.split()[0]]
    checked = 300 + 100 * ("targen" in line)
    assert f"about {calls + checked} calls ({checked} of them to check labels)" in " ".join(said.split())
    assert " by the price given" in said
    # It is journaled: a second look is the same and asks for nothing.
    assert shown(capsys, monkeypatch, f"preview {line} --verify 3 --model demo -n 100 --price 1,2") == said


def test_preview_of_a_run_that_is_there_leaves_it_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "sst2 --balance --verify 3 --model demo"
    run = re.search(r"^run (\w+)", shown(capsys, monkeypatch, f"create {line} -n 40 --out {tmp_path / 'rows'}"))
    assert run
    before = shown(capsys, monkeypatch, f"show {run[1]} --sample 40")
    assert "rows a call: about" in shown(capsys, monkeypatch, f"preview {line} -n 400")
    assert shown(capsys, monkeypatch, f"show {run[1]} --sample 40") == before
