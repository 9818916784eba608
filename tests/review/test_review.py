"""What people say of rows: kept at once, counted as a check, and told with its interval."""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from law import TASK, Writer, identity, run

from llm_created import Budget, Journal, Row, Task, UsageError
from llm_created.analysis.audited import audit_tables, drawn, kappa, looked
from llm_created.analysis.intervals import share
from llm_created.checks.people import People
from llm_created.cli.main import main
from llm_created.creation.replay import export
from llm_created.hub.absorbed import read_replies
from llm_created.hub.strangers import Problems
from llm_created.review.desk import Desk
from llm_created.review.server import Server
from llm_created.runs import human
from llm_created.runs.folders import run_folder
from llm_created.runs.human import LABEL, UNSURE, WRONG, Said
from llm_created.runs.kept import places

LABELS = ("good", "bad", "odd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of thirty rows without checks."""
    run(tmp_path / "run", identity("tree"), Writer(good=True), 30)
    return tmp_path / "run"


def people(folder: Path, rule: str) -> People:
    with Journal(folder) as journal:
        return People(rule, journal.said())


def say(folder: Path, row: str, verdict: str, label: str | None = None, by: str = "me", **more: Any) -> None:
    human.add(folder / "journal.sqlite", Said(row, by, verdict, label, **more))


def ids(lines: list[str]) -> list[str]:
    return [json.loads(line)["id"] for line in lines]


def made(folder: Path, num_rows: int, strategy: str = "tree", **checks: Any) -> tuple[list[str], int]:
    """The rows, and how many calls they took."""
    writer = Writer(good=True)
    return run(folder, identity(strategy), writer, num_rows, **checks), len(writer.calls)


def test_rows_that_people_hold_wrong_are_left_out_and_the_others_stay(folder: Path) -> None:
    before, _ = made(folder, 30)
    wrong = ids(before)[3:23:4]
    for row in wrong:
        say(folder, row, WRONG, json.loads(before[ids(before).index(row)])["answer"])
    rest = [line for line in before if json.loads(line)["id"] not in wrong]
    assert made(folder, 25, people=people(folder, "drop")) == (rest, 0)
    longer, calls = made(folder, 60, people=people(folder, "drop"))
    assert longer[:25] == rest and len(longer) == 60 and calls == 7
    assert made(folder, 30) == (before, 0)


def test_a_label_that_people_give_is_the_row_s_and_moves_nothing_else(folder: Path) -> None:
    before, _ = made(folder, 30)
    given = [json.loads(line) for line in before]
    for row in given[::3]:
        say(folder, row["id"], LABEL, row["options"][-1])
    after = [json.loads(line) for line in made(folder, 30, people=people(folder, "relabel"))[0]]
    for at, (old, new) in enumerate(zip(given, after, strict=True)):
        other = {"answer": old["options"][-1], "answer_text": old["options"][-1]}
        assert new == (old | other if at % 3 == 0 else old)
    longer = [json.loads(line) for line in made(folder, 60, people=people(folder, "relabel"))[0]]
    assert longer[:30] == after


def test_what_people_leave_out_does_not_end_a_run_by_patience(folder: Path) -> None:
    before, _ = made(folder, 30)
    for line in before:
        say(folder, json.loads(line)["id"], WRONG)
    after, _ = made(folder, 10, people=people(folder, "drop"), patience=2)
    assert len(after) == 10 and not {*ids(after)} & {*ids(before)}


@pytest.mark.parametrize(
    ("said", "drop", "relabel"),
    [
        ([], 0, 0),
        ([(UNSURE, None)], 0, 0),
        ([(LABEL, "good")], 0, 0),
        ([(WRONG, "good")], None, None),
        ([(WRONG, None)], None, None),
        # Of a label that the row has not, that it is wrong says nothing.
        ([(WRONG, "bad")], 0, 0),
        ([(LABEL, "bad")], None, 1),
        ([(LABEL, "no label of it")], 0, 0),
        ([(LABEL, "good"), (LABEL, "bad")], None, None),
        ([(LABEL, "good"), (UNSURE, None)], 0, 0),
        ([(LABEL, "bad"), (LABEL, "bad"), (LABEL, "good")], None, 1),
        ([(LABEL, "good"), (LABEL, "good"), (WRONG, None)], 0, 0),
    ],
)
def test_more_than_half_of_those_who_are_sure_decide(
    said: list[tuple[str, str | None]], drop: int | None, relabel: int | None
) -> None:
    row = Task("t", ("text",), labels=LABELS).read({"text": "A text.", "answer": "good"})
    assert isinstance(row, Row)
    told = [Said(row.id, f"person {at}", verdict, label) for at, (verdict, label) in enumerate(said)]
    for rule, wanted in (("drop", drop), ("relabel", relabel)):
        verdict = People(rule, told).verdict(row)
        kept = row if verdict is None else None if verdict.reason else verdict.row
        assert (None if kept is None else kept.answer) == wanted


def test_the_last_answer_counts_and_costs_nothing(folder: Path) -> None:
    before, _ = made(folder, 30)
    with Journal(folder) as journal:
        spent, replies = journal.spent(), journal.num_replies()
    for verdict in (WRONG, UNSURE, WRONG):
        say(folder, ids(before)[0], verdict)
    say(folder, ids(before)[0], LABEL, json.loads(before[0])["answer"])
    assert made(folder, 30, people=people(folder, "drop")) == (before, 0)
    with Journal(folder) as journal:
        assert (journal.spent(), journal.num_replies(), len(journal.said())) == (spent, replies, 4)


def test_answers_go_along_with_the_replies_and_only_a_person_s_are_taken(folder: Path) -> None:
    row = ids(made(folder, 30)[0])[0]
    say(folder, row, LABEL, "option", by="Ada", blind=True, sample=9)
    with Journal(folder) as journal:
        data, said = export(journal), journal.said()
    problems = Problems("a stranger")
    found = read_replies(data, "journal.jsonl", problems)
    problems.refuse()
    with Journal(folder.parent / "other", identity("tree").as_json) as other:
        other.absorb(*found)
        assert other.said() == said and other.spent().calls == 0 + other.num_replies()
    for forged in (
        data.replace(b"Ada", b"Eve"),
        data.replace(b'\\"label\\", \\"label\\"', b'\\"sure\\", \\"label\\"'),
    ):
        assert forged != data
        problems = Problems("a stranger")
        read_replies(forged, "journal.jsonl", problems)
        with pytest.raises(Exception, match="no person can have said it"):
            problems.refuse()


# ---- The page's server --------------------------------------------------------------------------------------------


def demo(task: str = "sst2", num_rows: int = 40, *more: str) -> str:
    """A run of the demo writer in the cache; its digest."""
    assert main(["create", task, "--model", "demo", "-n", str(num_rows), "--out", "rows", *more]) == 0
    return str(json.loads(Path("rows/run.json").read_text())["run"])


@contextmanager
def served(digest: str, **how: Any) -> Iterator[tuple[Server, Callable[..., tuple[int, Any, Any]]]]:
    """The page of a run, and somebody who asks it: status, body, headers."""
    with Journal(run_folder(digest)) as journal:
        desk = Desk(journal, Task.from_json(journal.get("task")), **({"person": "me", "blind": False} | how))
        with Server(desk) as server:
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()

            def ask(name: str, body: Any = None, path: str | None = None, **headers: str) -> tuple[int, Any, Any]:
                there = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
                where = server.url.removeprefix(server.origin) + name if path is None else path
                given = {"Origin": server.origin, "Content-Type": "application/json"} if body is not None else {}
                given |= {name.replace("_", "-"): value for name, value in headers.items()}
                data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
                there.request("GET" if body is None else "POST", where, data, given)
                reply = there.getresponse()
                text = reply.read().decode()
                there.close()
                is_json = reply.headers["Content-Type"] == "application/json"
                return reply.status, json.loads(text) if is_json else text, reply.headers

            try:
                yield server, ask
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_server_speaks_to_its_own_page_and_to_nobody_else() -> None:
    digest = demo()
    with served(digest) as (server, ask):
        assert server.server_address[0] == "127.0.0.1"
        status, page, headers = ask("")
        policy = headers["Content-Security-Policy"]
        assert status == 200 and "default-src 'none'" in policy and "connect-src 'self'" in policy
        assert "unsafe" not in policy and headers["Referrer-Policy"] == "no-referrer"
        status, row, _ = ask("row?at=0")
        assert status == 200 and row["fields"][0][1] not in page
        wrong = {"at": 0, "verdict": "unsure"}
        for refused in (
            ask("", path="/"),
            ask("", path="/row?at=0"),
            ask("", path="/wrong/row?at=0"),
            ask("row?at=0", Host="localhost"),
            ask("row?at=0", Host=f"evil.example:{server.server_port}"),
            ask("row?at=0", Sec_Fetch_Site="cross-site"),
            ask("say", wrong, Origin="http://evil.example"),
            ask("say", wrong, Origin="null"),
            ask("say", wrong, Content_Type="text/plain"),
        ):
            assert refused[0] == 403 and refused[1] == "Forbidden"
        for body in (b"", b"[]", b"{", b"[" * 15_000, b" " * 20_001, json.dumps({"at": -1}).encode()):
            assert ask("say", body)[0] == 400
        for body in (
            {"at": 0, "verdict": "maybe"},
            {"at": 0, "verdict": "label", "label": 2},
            {"at": 0, "verdict": "label"},
            {"at": 0, "verdict": "label", "label": "positive"},
            {"at": 0, "verdict": ["unsure"]},
            {"at": 99, "verdict": "unsure"},
            {"at": "1e9", "verdict": "unsure"},
        ):
            status, said, _ = ask("say", body)
            assert status == 400 and "\n" not in said["error"]
        assert ask("else")[0] == 404
    with Journal(run_folder(digest)) as journal:
        assert journal.said() == []


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("task", ["sst2", "csqa"])
def test_who_is_blind_is_sent_no_label(task: str) -> None:
    digest = demo(task, 12, "--verify", "1", "--verify-rule", "keep")
    with served(digest) as (_, ask):
        seen = [ask(f"row?at={at}")[1] for at in range(12)]
        assert {row["given"] for row in seen} <= set(range(5)) and ask("find?answer=1&looked=nobody")[1]
    with served(digest, blind=True) as (_, ask):
        page = ask("")[1]
        hidden = [ask(f"row?at={at}")[1] for at in range(12)]
        assert all(set(row) == {"at", "id", "fields", "options", "own"} for row in hidden)
        assert '"answer","label":"Answer"' not in page and '"check"' not in page
        assert [row["options"] for row in hidden] == [row["options"] for row in seen]
        assert ask("find?answer=0")[1] == [] and ask("find?looked=otherwise")[1] == []


@pytest.mark.usefixtures("here")
def test_rows_are_found_by_what_the_report_finds_them_by() -> None:
    digest = demo("agnews", 40, "--method", "attrprompt")
    with served(digest) as (_, ask):
        about = json.loads(ask("")[1].split('id="data">')[1].split("</script>")[0])
        filters = {one["name"]: one["values"] for one in about["filters"]}
        for name in ("answer", "drawn"):
            assert filters[name]
            for value, _, number in filters[name]:
                found = ask(f"find?{name}={quote(value)}")[1]
                assert len(found) == number > 0
        row = ask("row?at=7")[1]
        word = row["fields"][0][1].split()[1]
        assert 7 in ask(f"find?text={quote(word)}")[1]
        assert ask("find?text=nowhere-in-it")[1] == []
        ask("say", {"at": 7, "verdict": "wrong"})
        assert ask("find?looked=me")[1] == [7] and 7 not in ask("find?looked=nobody")[1]
        assert ask("find?looked=otherwise")[1] == [7] and ask("find?looked=others")[1] == []


def start(*words: str) -> tuple[subprocess.Popen[str], str]:
    """A command that serves a page, and the page's address."""
    command = [sys.executable, "-m", "llm_created", *words, "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def post(url: str, name: str, body: Any) -> Any:
    host, _, token = url.removeprefix("http://").partition("/")
    there = http.client.HTTPConnection(host, timeout=20)
    headers = {"Origin": f"http://{host}", "Content-Type": "application/json"}
    there.request("POST", f"/{token}{name}", json.dumps(body), headers)
    reply = there.getresponse()
    assert reply.status == 200, reply.read()
    return json.loads(reply.read())


@pytest.mark.usefixtures("here")
def test_an_answer_is_kept_when_the_page_is_told_so_whatever_is_killed_or_grows() -> None:
    digest = demo("agnews", 60)
    process, url = start("review", digest)
    post(url, "say", {"at": 5, "verdict": "wrong"})
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Journal(run_folder(digest)) as journal:
        assert [(one.by, one.verdict) for one in journal.said()] == [("me", "wrong")]
    # Two pages, and the run grows meanwhile.
    (first, one), (second, two) = start("review", digest), start("review", digest, "--as", "Ada")
    grow = [sys.executable, "-m", "llm_created", "create", "agnews", "--model", "demo", "-n", "600", "--out", "grown"]
    growing = subprocess.Popen(grow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for at in range(30):
        post(one, "say", {"at": at, "verdict": "unsure"})
        post(two, "say", {"at": at, "verdict": "wrong"})
    assert growing.wait(60) == 0, growing.stderr and growing.stderr.read()
    assert post(one, "finish", {}) and first.wait(20) == 0
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=20)
    assert second.returncode == 0 and "Traceback" not in err and "Ada has looked at 30 of 60 rows" in out
    with Journal(run_folder(digest)) as journal:
        assert len(journal.said()) == 61 and len(places(journal)) == 600


@pytest.mark.usefixtures("here")
def test_review_and_growth_through_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    digest, create = demo("sst2", 40), ["create", "sst2", "--model", "demo", "--format", "jsonl"]
    with Journal(run_folder(digest)) as journal:
        rows = [place.row_id for place in places(journal)]
        given = {place.row_id: place.answer for place in places(journal)}
    capsys.readouterr()
    for row in rows[:6]:
        say(run_folder(digest), row, LABEL, ("positive", "negative")[given[row]])
    for rule, number in (("drop", 34), ("relabel", 40)):
        assert main([*create, "-n", str(number), "--reviewed", rule, "--out", f"{rule}-40"]) == 0
        assert "to buy" not in capsys.readouterr().err
        assert main([*create, "-n", "80", "--reviewed", rule, "--out", f"{rule}-80"]) == 0
        assert "review" in capsys.readouterr().out
        short, longer = (Path(f"{rule}-{number}/train.jsonl").read_text() for number in (40, 80))
        assert longer.startswith(short) and len(short.splitlines()) == number
    assert ids(Path("drop-40/train.jsonl").read_text().splitlines()) == rows[6:]
    card = Path("relabel-40/README.md").read_text()
    assert "What people said" in card and "looked at 6 rows" in card and "Ada" not in card


@pytest.mark.usefixtures("here")
def test_a_run_that_is_deleted_under_the_page_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    digest = demo("sst2", 10)
    with served(digest) as (_, ask):
        assert ask("say", {"at": 0, "verdict": "unsure"})[0] == 200
        assert main(["rm", digest, "--yes"]) == 0 and "1 answers of people" in capsys.readouterr().err
        status, said, _ = ask("say", {"at": 1, "verdict": "unsure"})
        assert status == 500 and "the answer was not kept" in said["error"] and "\n" not in said["error"]
        assert not run_folder(digest).exists()


def test_wrong_calls_are_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = demo("sst2", 5)
    capsys.readouterr()
    for words, said in (
        (["review", "nothing-like-it"], "there is no run"),
        (["review", digest, "--port", "70000"], "65535"),
        (["review", digest, "--as", ""], "printable"),
        (["review", digest, "--as", "a\nb"], "printable"),
        (["audit", digest, "-n", "0"], "at least 1"),
        (["create", "sst2", "--model", "demo", "--reviewed", "keep"], "--reviewed"),
    ):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        err = capsys.readouterr().err
        assert code == 2 and said in err and "Traceback" not in err and len(err.splitlines()) <= 3, err
    with Server(_desk(digest)) as server:
        assert main(["review", digest, "--no-browser", "--port", str(server.server_port)]) == 2
    assert "--port" in capsys.readouterr().err
    run(here / "empty", identity("tree"), Writer(fail=1.0), 5)
    with Journal(here / "empty") as journal, pytest.raises(UsageError, match="no rows to look at"):
        Desk(journal, TASK, "me", blind=False)


def _desk(digest: str) -> Desk:
    journal = Journal(run_folder(digest)).__enter__()
    return Desk(journal, Task.from_json(journal.get("task")), "me", blind=False)


# ---- Audits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "sample", "right"), [(5000, 100, 0.93), (200, 100, 0.93), (120, 100, 0.8), (900, 30, 0.99)]
)
def test_the_interval_covers_the_true_rate_as_often_as_it_says(rows: int, sample: int, right: float) -> None:
    labels = [at < rows * right for at in range(rows)]
    true = sum(labels) / rows
    drawn_by = random.Random(f"{rows}/{sample}/{right}")
    known = {found: share(found, sample, rows) for found in range(sample + 1)}
    found = [known[sum(drawn_by.sample(labels, sample))] for _ in range(1000)]
    covers = sum(low <= true <= high for low, high in found)
    # Three standard deviations below 950; an interval that covers always would be none.
    assert 929 <= covers < 1000
    assert all(low <= found / sample <= high for found, (low, high) in known.items() if rows > sample)


def test_all_rows_looked_at_leave_nothing_open() -> None:
    assert share(37, 40, 40) == (37 / 40, 37 / 40)
    assert share(0, 1, 1000) == (0.0, 0.974) and share(5, 5, 1_000_000)[1] == 1.0


def test_kappa_is_cohens() -> None:
    both = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert kappa(both) == pytest.approx(0.4)
    assert kappa([("yes", "yes")] * 5) is None and kappa([]) is None


@pytest.mark.usefixtures("here")
def test_an_audit_is_told_in_show_card_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    digest = demo("sst2", 200)
    with Journal(run_folder(digest)) as journal:
        order = drawn(places(journal))
    for at, place in enumerate(order[:50]):
        names = ("negative", "positive")
        other = at in (3, 30)
        say(run_folder(digest), place.row_id, LABEL, names[place.answer ^ other], blind=True, sample=50)
        verdict, label = UNSURE if at == 7 else LABEL, names[place.answer ^ (at % 10 == 3)]
        say(run_folder(digest), place.row_id, verdict, label, "Ada", blind=True, sample=60)
    capsys.readouterr()
    create = ["create", "sst2", "--model", "demo", "-n", "200"]
    low, high = share(48, 50, 200)
    said = f"labels are right in 96 %, 95 % interval {100 * low:.3g}-{100 * high:.3g} (50 of 200 rows"
    assert main(["audit", digest, "--no-browser"]) == 0  # mine is done
    out = capsys.readouterr().out
    assert said in out and "http" not in out and "10 of the sample are still to be looked at" in out
    assert "Ada and me agree on" in out and "kappa" in out
    assert main(["show", digest]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown and "Ada" not in shown and "person 1 and person 2 agree on" in shown
    assert main(["report", digest, "--out", "r.html"]) == 0
    assert said in Path("r.html").read_text() and '"agreement":["person 1' in Path("r.html").read_text()
    assert main([*create, "--out", "rows"]) == 0
    card = " ".join(Path("rows/README.md").read_text().split())
    assert said[1:] in card and "| given ↓ judged → |" in card and "Ada" not in card
    # What people said is not what the sample is drawn from: the rows as they came are.
    assert (
        main(["create", "sst2", "--model", "demo", "-n", "200", "--reviewed", "relabel", "--out", "relabelled"]) == 0
    )
    with Journal(run_folder(digest)) as journal:
        task = Task.from_json(journal.get("task"))
        found = looked(journal, task)
        assert found and [one.right for one in found.audits if one.by == "me"] == [48]
        mine = list(audit_tables(found, task))[1]
        assert sum(map(sum, mine.counts)) == 50 and mine.counts[0][1] + mine.counts[1][0] == 2


def test_an_audit_of_a_run_that_grew_goes_on_with_what_is_new(folder: Path) -> None:
    with Journal(folder) as journal:
        first = [place.row_id for place in drawn(places(journal))[:10]]
    for row in first:
        say(folder, row, UNSURE, blind=True, sample=10)
    made(folder, 60)
    with Journal(folder) as journal:
        desk = Desk(journal, TASK, "me", blind=True, sample=10)
        own = {desk.row(at)["id"]: desk.row(at)["own"] for at in range(10)}
        assert 0 < sum(said is not None for said in own.values()) < 10
        assert {row for row, said in own.items() if said} <= {*first}
        assert looked(journal, TASK).audits[0].of == 60  # type: ignore[union-attr]


def test_what_is_looked_at_while_a_run_has_stopped_short_counts_when_it_goes_on(tmp_path: Path) -> None:
    stopped, _ = made(tmp_path, 40, "naive", budget=Budget(max_calls=4), concurrency=2)
    assert len(stopped) == 20
    say(tmp_path, ids(stopped)[0], WRONG)
    after, _ = made(tmp_path, 40, "naive", people=people(tmp_path, "drop"))
    assert after[: len(stopped) - 1] == stopped[1:] and len(after) == 40
