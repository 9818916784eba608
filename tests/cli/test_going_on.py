"""What a run that stopped prints goes on; another server is noticed; what gave nothing, or all, can be dropped."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from llm_created.checks.leakage import EvaluationSets
from llm_created.cli.main import main
from llm_created.runs.folders import cache_folder, find
from tests.server import Server


@pytest.fixture
def server(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-going-on")
    return server


class Cli:
    """Runs commands; keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = ""

    def __call__(self, *argv: str) -> int:
        self._capsys.readouterr()
        try:
            code = main(list(argv))
        except SystemExit as left:
            code = int(left.code or 0)
        self.said = "".join(self._capsys.readouterr())
        return code

    @property
    def printed(self) -> list[str]:
        """The command that goes on."""
        line = next(line for line in self.said.splitlines() if line.startswith("to go on: llm-created "))
        return shlex.split(line.removeprefix("to go on: llm-created "))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def run_of(server: Server, *flags: str, n: int = 40) -> list[str]:
    what = ("create", "csqa", "--model", "m", "--strategy", "random", "-n", str(n), "--concurrency", "4")
    return [*what, "--base-url", server.url, "--format", "jsonl", "--out", "out", *flags]


def spent() -> tuple[int, int]:
    """Calls and tokens over the life of the run."""
    digest = next((cache_folder() / "runs").iterdir()).name
    with find(digest).open() as journal:
        found = journal.spent()
    return found.calls, found.prompt_tokens + found.completion_tokens


@pytest.mark.parametrize("reply", ["useless", "empty", "deep"])
def test_what_is_printed_at_no_rows_makes_calls_and_then_rows(server: Server, cli: Cli, reply: str) -> None:
    server.reset(reply=reply)
    assert cli(*run_of(server, "--patience", "5")) == 3 and "stopped at 0 of 40 rows" in cli.said
    printed, calls = cli.printed, server.calls()
    assert cli(*printed) == 3, "the server is as it was: calls are made, and none is of use"
    assert server.calls() > calls and cli.printed == printed
    paid, calls = spent(), server.calls()
    assert paid[0] == calls, "what was dropped stays paid"
    server.reset()
    assert cli(*printed) == 0 and "40/40 rows" in cli.said
    rows = Path("out/train.jsonl").read_text("utf-8")
    assert spent()[0] == paid[0] + server.calls() and spent()[1] > paid[1]
    assert "--ask-again" not in cli.said.split("next:")[1], "what grows it drops nothing"
    # A run that was never in trouble has the same rows.
    assert cli("rm", next((cache_folder() / "runs").iterdir()).name, "--yes") == 0
    assert cli(*run_of(server)) == 0 and Path("out/train.jsonl").read_text("utf-8") == rows


def test_what_is_printed_goes_on_where_rows_repeat(server: Server, cli: Cli) -> None:
    row = {"question": "Where is the one seat?", "options": ["a", "b", "c", "d", "e"], "answer": "a"}
    server.reset(reply=f"text:{json.dumps(row)}")
    assert cli(*run_of(server, "--patience", "5")) == 3 and "stopped at 1 of 40 rows" in cli.said
    calls = server.calls()
    assert cli.printed[-2:] == ["--patience", "10"]
    assert cli(*cli.printed) == 3 and server.calls() > calls and cli.printed[-2:] == ["--patience", "20"]


@pytest.mark.parametrize(
    "cap", ["--max-calls 3", "--max-tokens-total 2000", "--max-cost 0.002 --price 1,1"], ids=lambda cap: cap.split()[0]
)
def test_what_is_printed_at_a_cap_goes_on(server: Server, cli: Cli, cap: str) -> None:
    assert cli(*run_of(server, *cap.split())) == 3
    for _ in range(8):
        calls = server.calls()
        if cli(*cli.printed) == 0:
            break
        assert server.calls() > calls
    assert "40/40 rows" in cli.said


def test_votes_that_came_empty_are_asked_again(server: Server, cli: Cli) -> None:
    assert cli(*run_of(server, n=20)) == 0
    server.reset(reply="empty")
    assert cli(*run_of(server, "--verify", "1", "--patience", "3", n=20)) in (0, 3)
    calls = server.calls()
    server.reset()
    assert cli(*run_of(server, "--verify", "1", "--ask-again", "empty_reply", n=20)) == 0
    assert "set aside and asked for again" in cli.said and "20/20 rows" in cli.said and calls > 0
    before = server.calls()
    assert cli(*run_of(server, "--verify", "1", "--ask-again", "empty_reply", n=20)) == 0
    assert "no reply gave nothing for empty_reply" in cli.said and server.calls() == before


def test_another_server_behind_the_name_is_said(server: Server, cli: Cli) -> None:
    assert cli(*run_of(server, n=20)) == 0 and "another one" not in cli.said
    assert cli(*run_of(server, n=30)) == 0 and "another one" not in cli.said
    with Server() as other:
        assert cli(*run_of(other, n=60)) == 0
        assert "the server behind this model's name is another one" in cli.said
        assert "its replies are of 2 servers behind this model's name" in cli.said
        assert cli(*run_of(other, n=80)) == 0 and "is another one" not in cli.said
    journal = next((cache_folder() / "runs").iterdir()) / "journal.sqlite"
    assert b"127.0.0.1" not in journal.read_bytes(), "a digest, and no address"


def test_rm_deletes_a_run_and_nothing_else(
    server: Server, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*run_of(server, "--name", "mine", "--price", "1,1", n=20)) == 0
    folder = find("mine").folder
    assert cli("rm", "mine") == 2 and "nothing was deleted: add --yes" in cli.said and folder.is_dir()
    assert "calls and" in cli.said and "$0.0" in cli.said and "(mine)" in cli.said
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "journal.sqlite").write_bytes((folder / "journal.sqlite").read_bytes())
    assert cli("rm", str(elsewhere), "--yes") == 2 and "not among the runs" in cli.said and elsewhere.is_dir()
    (cache_folder() / "runs" / ("f" * 16)).symlink_to(elsewhere)
    assert cli("rm", "f" * 16, "--yes") == 2 and (elsewhere / "journal.sqlite").exists()
    (cache_folder() / "runs" / ("f" * 16)).unlink()
    for wrong in ("..", "../..", "nothing", str(cache_folder())):
        assert cli("rm", wrong, "--yes") == 2 and folder.is_dir()
    out = Path("out/train.jsonl").read_text("utf-8")
    assert cli("rm", "out", "--yes") == 0 and not folder.exists()
    assert Path("out/train.jsonl").read_text("utf-8") == out and list((cache_folder() / "removed").iterdir()) == []
    calls = server.calls()
    assert cli(*run_of(server, n=20)) == 0 and server.calls() > calls


def test_rm_of_what_is_damaged(server: Server, cli: Cli) -> None:
    assert cli(*run_of(server, n=20)) == 0
    folder = next((cache_folder() / "runs").iterdir())
    (folder / "journal.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    assert cli("rm", folder.name, "--yes") == 0 and "cannot be read" in cli.said and not folder.exists()


def test_a_mistyped_evaluation_set_changes_nothing(server: Server, cli: Cli) -> None:
    assert cli(*run_of(server)) == 0
    digest = find("out").folder.name
    assert cli("show", digest) == 0
    shown = cli.said
    assert "40/40 rows" in shown
    assert cli(*run_of(server, "--check-against", "typo.jsonl", "--leaks", "report")) == 2
    assert "typo.jsonl" in cli.said
    assert cli("show", digest) == 0 and cli.said == shown


@pytest.mark.parametrize("leaks", ["drop", "report"])
def test_evaluation_sets_are_loaded_once(
    server: Server, cli: Cli, monkeypatch: pytest.MonkeyPatch, leaks: str
) -> None:
    row = {"question": "Where?", "options": ["a", "b", "c", "d", "e"], "answer": "a"}
    Path("mine.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    loaded, load = [], EvaluationSets.load
    monkeypatch.setattr(EvaluationSets, "load", lambda *args: loaded.append(args) or load(*args))
    assert cli(*run_of(server, "--check-against", "mine.jsonl", "--leaks", leaks, n=10)) == 0
    assert len(loaded) == 1
