"""Two outputs of one run live side by side: what a folder, a name and a digest mean, and what makes them mean it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llm_created import LLMCreatedError
from llm_created.cli.main import main
from llm_created.runs.folders import cache_folder, find
from llm_created.runs.journal import FILE_NAME, Journal
from llm_created.runs.kept import kept_rows
from llm_created.tasks.task import Task

Say = Callable[..., str]
CREAK = ("create", "creak", "--model", "demo", "--format", "jsonl")
CHECKED = ("-n", "20", "--verify", "3", "--balance", "hold", "--out", "checked")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """Runs a command that succeeds; gives what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> str:
        capsys.readouterr()
        assert main(list(argv)) == 0
        return "".join(capsys.readouterr())

    return run


def ids(folder: str) -> list[str]:
    return [json.loads(line)["id"] for line in Path(folder, "train.jsonl").read_text("utf-8").splitlines()]


def ids_by(run: str) -> list[str]:
    """What `show`, `report` and `push` take for the rows of a run."""
    with find(run).open() as journal:
        return [row.id for row in kept_rows(journal, Task.from_json(journal.get("task")))]


def test_a_folder_means_what_it_was_made_as(say: Say) -> None:
    say(*CREAK, "-n", "300", "--out", "big")
    say(*CREAK, "-n", "30", "--out", "small")
    assert "300/300 rows" in say("show", "big") and "30/30 rows" in say("show", "small")
    assert ids_by("big") == ids("big") and ids_by("small") == ids("small") == ids("big")[:30]
    report = say("report", "big", "--out", "big.html")
    assert "big.html" in report and '"target":300' in Path("big.html").read_text("utf-8")
    digest = json.loads(Path("big/run.json").read_text("utf-8"))["run"]
    shown = say("show", digest)
    assert "30/30 rows" in shown and "as last created; also made of it: 300 rows without checks" in " ".join(
        shown.split()
    )
    compared = say("compare", "big", "small", "--at", "rows")
    assert "at 30 rows each" in compared


def test_a_name_means_what_the_command_made_that_gave_it(say: Say) -> None:
    say(*CREAK, "-n", "400", "--name", "first-try", "--out", "rows")
    before = say("show", "first-try")
    said = say(*CREAK, *CHECKED)
    assert "'first-try' goes on meaning 400 rows without checks" in said
    assert "400/400 rows" in say("show", "first-try") and "verification" not in say("show", "first-try")
    assert ids_by("first-try") == ids_by("rows") == ids("rows") and len(ids("rows")) == 400
    assert before.split("asked")[1].split("\n")[0] == say("show", "first-try").split("asked")[1].split("\n")[0]
    assert "20/20 rows" in say("show", "checked") and "verification agrees" in say("show", "checked")
    assert ids_by("checked") == ids("checked")
    assert "first-try: 400 rows without checks" in say("runs")
    moved = say(*CREAK, *CHECKED, "--name", "first-try")
    assert "'first-try' now means 20 rows with --verify 3" in moved and "it meant 400 rows without checks" in moved
    assert ids_by("first-try") == ids("checked") and ids_by("rows") == ids("rows")


def test_what_one_output_cost_has_no_votes_of_another(say: Say) -> None:
    say(*CREAK, "-n", "60", "--out", "plain")
    say(*CREAK, "-n", "60", "--verify", "3", "--out", "voted")
    say(*CREAK, "-n", "20", "--verify", "1", "--out", "once")
    whole = [line.split() for line in say("compare", "plain", "once", "--at", "rows").splitlines()]
    votes = next(line for line in whole if line[:4] == ["·", "of", "them", "votes"])
    assert 20 <= float(votes[5]) <= 25, "one vote a row, and none of the 180 of the other output"


def test_a_killed_resume_leaves_what_was_read_before(say: Say) -> None:
    say(*CREAK, "-n", "60", "--balance", "hold", "--out", "rows", "--name", "even")
    with find("even").open() as journal:
        folder, identity, reading = journal.folder, journal.get("identity"), journal.readings()[0]
    journal = Journal(folder, identity).__enter__()
    journal.begin(reading.digest, reading.target, {"emission": {"balance": "hold"}})
    journal._db.close()  # killed: nothing more is written
    journal._lock.release()  # type: ignore[union-attr]
    assert ids_by("even") == ids_by("rows") == ids_by(folder.name) == ids("rows")


def test_what_cannot_be_told_any_more_is_one_line(say: Say) -> None:
    say(*CREAK, "-n", "20", "--out", "rows")
    about = json.loads(Path("rows/run.json").read_text("utf-8"))
    Path("rows/run.json").write_text(json.dumps(about | {"reading": "0" * 16}), "utf-8")
    with pytest.raises(LLMCreatedError, match="run the command that wrote them once more"), find("rows").open():
        pass
    Path("rows/run.json").write_text("[]", "utf-8")
    with pytest.raises(LLMCreatedError, match="does not say which run wrote it"):
        find("rows")


def as_version_1(path: Path) -> None:
    """The journal as it was written before readings stood side by side."""
    columns = {
        "turns": "position, lane, request, occurrence, example, depth, pieces, asked, about",
        "emitted": "number, row",
        "judged": "row, kind, given, judged, votes, detail",
    }
    with closing(sqlite3.connect(path)) as db, db:
        digest, target, name, about = db.execute("SELECT digest, target, name, about FROM readings").fetchone()
        header = json.loads(about) | {"reading": digest, "target": target, "name": name}
        header.pop("rows")
        for key, value in header.items():
            db.execute("INSERT OR REPLACE INTO header VALUES (?, ?)", (key, json.dumps(value)))
        for table, names in columns.items():
            db.execute(f"CREATE TABLE old AS SELECT {names} FROM {table}")
            db.execute(f"DROP TABLE {table}")
            db.execute(f"ALTER TABLE old RENAME TO {table}")
        db.execute("DROP TABLE readings")
        db.execute("DROP TABLE dropped")
        db.execute("PRAGMA user_version = 1")


def test_a_journal_of_version_1_is_read_and_goes_on(say: Say) -> None:
    say(*CREAK, "-n", "40", "--verify", "1", "--balance", "hold", "--name", "old", "--out", "rows")
    shown, digest = say("show", "old"), json.loads(Path("rows/run.json").read_text("utf-8"))["run"]
    as_version_1(cache_folder() / "runs" / digest / FILE_NAME)
    about = json.loads(Path("rows/run.json").read_text("utf-8"))
    for name in ("reading", "target", "emission"):
        del about[name]
    Path("rows/run.json").write_text(json.dumps(about), "utf-8")
    assert say("show", "old") == shown and ids_by("rows") == ids_by("old") == ids("rows")
    as_before = say(*CREAK, "-n", "40", "--verify", "1", "--balance", "hold", "--out", "again")
    assert "calls to buy" not in as_before and ids("again") == ids("rows")
    assert len(list((cache_folder() / "runs").iterdir())) == 1


def test_a_report_counts_a_row_by_what_its_own_output_took(say: Say) -> None:
    def shares(folder: str) -> dict[str, float]:
        say("report", folder, "--out", f"{folder}.html")
        page = Path(f"{folder}.html").read_text("utf-8")
        made, _ = json.JSONDecoder().raw_decode(page, page.index('"of_rows":') + len('"of_rows":'))
        return dict(made)

    say(*CREAK, "-n", "30", "--out", "plain")
    alone = shares("plain")
    say(*CREAK, "-n", "10", "--verify", "3", "--out", "judged")
    assert shares("plain") == alone, "votes on another output's rows are no cost of these"
    assert shares("judged")["calls"] > alone["calls"] and shares("judged") != alone
