"""`llm-created label`: what is asked, what is bought, what is written, and what is said at the end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_created import Reply, Row, StoppedShort, Task, UsageError, label_rows
from llm_created.checks.answers import read_answer
from llm_created.checks.judge import Judge
from llm_created.cli.main import main as cli
from llm_created.creation import questions as asking
from llm_created.evaluation.scores import wilson
from llm_created.labelling.file import column, text
from llm_created.labelling.records import read
from llm_created.labelling.votes import steadiness
from llm_created.runs.identity import Identity
from llm_created.runs.settings import Settings
from llm_created.tasks import builtin as tasks


def main(argv: Sequence[str]) -> int:
    return cli(["label", *argv])


class Asked:
    """One request as the server saw it."""

    def __init__(self, body: dict[str, Any], name: str) -> None:
        self.messages: list[dict[str, str]] = body["messages"]
        self.name = name.split("/", 1)[-1]  # without the run
        self.schema = body.get("response_format")
        self.row: dict[str, Any] = json.loads(self.messages[-1]["content"])

    @property
    def vote(self) -> int:
        return int(self.name.split("/")[1])


class Labeler:
    """A server whose model labels by a rule: a function from a request to the text of the reply, or a status."""

    def __init__(self, rule: Callable[[Asked], str | int]) -> None:
        self.rule, self.asked, self.answered = rule, [], []
        labeler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                one = Asked(body, self.headers["X-Client-Request-Id"])
                labeler.asked.append(one)
                reply = labeler.rule(one)
                if isinstance(reply, int):
                    whole: dict[str, Any] = {"error": {"message": "no", "type": "invalid_request_error", "code": None}}
                else:
                    message = {"role": "assistant", "content": reply}
                    whole = {
                        "id": "x", "object": "chat.completion", "created": 0, "model": "rule",
                        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
                    }  # fmt: skip
                data = json.dumps(whole).encode()
                self.send_response(reply if isinstance(reply, int) else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                labeler.answered.append(one)

            def log_message(self, *args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *args: object) -> None:  # a client that was killed has hung up
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self) -> list[Asked]:
        before, self.asked, self.answered = self.asked, [], []
        return before


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[Asked], str | int]], Labeler]]:
    made: list[Labeler] = []

    def serve(rule: Callable[[Asked], str | int]) -> Labeler:
        made.append(Labeler(rule))
        return made[-1]

    yield serve
    for one in made:
        one.server.shutdown()
        one.server.server_close()


Serve = Callable[[Callable[[Asked], str | int]], Labeler]


def answer(value: str, explanation: str | None = None) -> str:
    return json.dumps(({} if explanation is None else {"explanation": explanation}) | {"answer": value})


def is_long(asked: Asked) -> str:
    """The rule: a question of more than five words is `True`."""
    return answer(str(len(asked.row["question"].split()) > 5))


QUESTIONS = [f"is {word} a {kind} or not at all" if n % 2 else f"is {word} {kind}" for n, (word, kind) in enumerate(
    (word, kind) for word in ("tea", "iron", "snow", "salt", "rain") for kind in ("metal", "drink", "stone", "plant")
)]  # fmt: skip


def write(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), "utf-8")
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def call(path: Path, server: Labeler, *more: object, task: str = "boolq") -> int:
    return main([str(path), "--task", task, "--model", "rule", "--base-url", server.url, *map(str, more)])


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write(tmp_path / "questions.jsonl", [{"n": n, "Question": one} for n, one in enumerate(QUESTIONS)])


def test_zero_shot(questions: Path, served: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = served(is_long)
    assert call(questions, server, "--description", "Questions about things.", "--price", "1,2") == 0
    written = lines_of(questions.with_name("questions-labelled.jsonl"))
    assert [(one["n"], one["Question"]) for one in written] == list(enumerate(QUESTIONS))
    for one in written:
        right = str(len(one["Question"].split()) > 5)
        assert list(one) == ["n", "Question", "answer", "votes", "agreement"]
        assert (one["answer"], one["votes"], one["agreement"]) == (right, {right: 1}, 1.0)
    assert len(server.asked) == len(QUESTIONS)
    for asked in server.asked:
        assert [message["role"] for message in asked.messages] == ["system", "user"]
        assert asked.messages[0]["content"].startswith("Questions about things.\n\n")
        assert list(asked.row) == ["question", "options"] and set(asked.row["options"]) == {"True", "False"}
    out = capsys.readouterr().out
    assert "20 rows read · 20 labelled · 0 without a majority · 0 not readable" in out
    assert "True      10  50.0%" in out and "False     10  50.0%" in out
    assert "20 calls · 2,000 + 200 tokens" in out and "$0.0024" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80  # but for the path


def test_the_guide_of_the_task_is_told(tmp_path: Path, served: Serve) -> None:
    server = served(lambda asked: answer("neutral"))
    path = write(tmp_path / "pairs.jsonl", [{"premise": "It rained.", "hypothesis": "It was wet."}])
    assert call(path, server, task="cb") == 0
    guide = tasks.load("cb").guide
    assert guide and server.asked[0].messages[0]["content"].startswith(guide.description)


def test_a_given_answer_is_never_shown_and_decides_no_vote(tmp_path: Path, served: Serve) -> None:
    server = served(is_long)
    (tmp_path / "plain").mkdir()
    (tmp_path / "given").mkdir()
    plain = write(tmp_path / "plain" / "rows.jsonl", [{"question": one} for one in QUESTIONS])
    given = write(
        tmp_path / "given" / "rows.jsonl",
        [{"question": one, "ANSWER": "no", "votes": 7, "explanation": "mine"} for one in QUESTIONS],
    )
    assert call(plain, server, "--votes", 3) == 0
    asked = server.forget()
    # The same rows under the same name: nothing is bought, whatever answers stand beside them.
    assert call(given, server, "--votes", 3) == 0
    assert len(asked) == 60 and not server.asked
    written = lines_of(given.with_name("rows-labelled.jsonl"))
    assert [one["llm_answer"] for one in written] == [
        one["answer"] for one in lines_of(plain.with_name("rows-labelled.jsonl"))
    ]
    for one in written:
        assert one["ANSWER"] == "no" and "answer" not in one and one["votes"] == 7 and one["explanation"] == "mine"
        assert one["llm_votes"] == {one["llm_answer"]: 3}


@pytest.mark.slow
def test_few_shot(questions: Path, tmp_path: Path, served: Serve) -> None:
    server = served(is_long)
    others = [{"question": f"was there ever thing {n}", "label": n % 3 == 0} for n in range(12)]
    mine = [{"question": one.upper(), "label": n % 2 == 0} for n, one in enumerate(QUESTIONS)]
    pool = write(tmp_path / "pool.jsonl", [*mine, *others, {"question": "is this labelled"}])

    def shown(*more: object) -> list[tuple[str, str]]:
        assert call(questions, server, "--shots", 5, "--shots-from", pool, *more) == 0
        found = set()
        for asked in server.forget():
            system, *pairs, last = asked.messages
            assert system["role"] == "system" and last["role"] == "user"
            assert [message["role"] for message in pairs] == ["user", "assistant"] * 5
            users = [json.loads(message["content"]) for message in pairs[::2]]
            assert all(list(one) == ["question", "options"] for one in users)
            replies = [json.loads(message["content"])["answer"] for message in pairs[1::2]]
            found.add(tuple((one["question"], reply) for one, reply in zip(users, replies, strict=True)))
        (one_and_the_same,) = found
        return list(one_and_the_same)

    drawn = shown("--out", tmp_path / "1.jsonl")
    right = {one["question"]: str(one["label"]) for one in others}
    assert len(set(drawn)) == 5 and all(right[question] == reply for question, reply in drawn)
    assert sorted(Counter(reply for _, reply in drawn).values()) == [2, 3]
    # Drawn by hash: the order of the file does not matter, and fewer are the first of more.
    write(pool, [*reversed(others), *mine])
    assert call(questions, server, "--shots", 5, "--shots-from", pool, "--out", tmp_path / "1.jsonl") == 0
    assert not server.asked
    assert shown("--seed", 7, "--out", tmp_path / "2.jsonl") != drawn


def test_too_few_to_draw_from(questions: Path, tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(is_long)
    pool = write(
        tmp_path / "pool.jsonl", [{"question": one, "answer": one[3] == "t"} for one in [*QUESTIONS, "is that"]]
    )
    assert call(questions, server, "--shots", 2, "--shots-from", pool) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --shots 2: too few rows labelled 'False'") and said.count("\n") == 1
    assert call(questions, server, "--shots-from", pool) == 2
    assert call(questions, server, "--shots", -1) == 2
    assert not server.asked


@pytest.mark.slow
def test_shots_from_the_human_training_split(questions: Path, shared: Path, served: Serve) -> None:
    server = served(is_long)
    assert call(questions, server, "--shots", 4, "--human-data", shared / "human") == 0
    train = {json.loads(line)["question"] for line in (shared / "human/yesno_close/boolq/train.jsonl").open("rb")}
    shots = [json.loads(message["content"]) for message in server.asked[0].messages[1:-1]]
    assert all(one["question"] in train for one in shots[::2])
    assert Counter(one["answer"] for one in shots[1::2]) == {"True": 2, "False": 2}


def test_chain_of_thought(questions: Path, tmp_path: Path, served: Serve, capsys: Any) -> None:
    def rule(asked: Asked) -> str:
        """The first vote is for another answer than the other two."""
        right = len(asked.row["question"].split()) > 5
        return answer(str(right != (asked.vote == 0)), f"vote {asked.vote}\x00 says so")

    server = served(rule)
    assert call(questions, server, "--chain-of-thought", "--votes", 3) == 0
    for asked in server.forget():
        assert '"explanation"' in asked.messages[0]["content"]
        assert list(asked.schema["json_schema"]["schema"]["properties"]) == ["explanation", "answer"]
    out = questions.with_name("questions-labelled.jsonl")
    for one in lines_of(out):
        # That of a vote for the label, not of the one against it.
        assert (one["answer"], one["explanation"]) == (str(len(one["Question"].split()) > 5), "vote 1 says so")
        assert one["agreement"] == 0.6667
    assert "3 votes a row agree on 0 of 20 rows (0.0%) · pairs of votes 33.3%" in capsys.readouterr().out
    # What was explained explains the next: demonstrations with their explanations, and none where there is none.
    more = write(tmp_path / "more.jsonl", [{"question": "is this the last of all the questions"}])
    assert call(more, server, "--chain-of-thought", "--shots", 2, "--shots-from", out) == 0
    (asked,) = server.forget()
    assert all(json.loads(m["content"])["explanation"] == "vote 1 says so" for m in asked.messages[2:-1:2])
    assert "without an explanation" not in asked.messages[0]["content"]
    plain = write(tmp_path / "plain.jsonl", [{"question": f"is {n}", "label": n == 1} for n in range(2)])
    arguments = ("--shots", 2, "--shots-from", plain, "--out", tmp_path / "out.jsonl")
    assert call(more, server, "--chain-of-thought", *arguments) == 0
    (asked,) = server.forget()
    assert all(list(json.loads(m["content"])) == ["answer"] for m in asked.messages[2:-1:2])
    assert "without an explanation; yours **must** have one" in asked.messages[0]["content"]


def test_votes_see_options_in_other_orders_and_the_majority_decides(
    questions: Path, served: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that always takes the first option has no label of its own: rows get what their orders say."""
    server = served(lambda asked: answer(asked.row["options"][0]))
    assert call(questions, server, "--votes", 4) == 0
    orders: dict[str, list[str]] = {}
    for asked in sorted(server.asked, key=lambda asked: asked.vote):
        orders.setdefault(asked.row["question"], []).append(asked.row["options"][0])
    assert 0.3 < fmean(first == "True" for firsts in orders.values() for first in firsts) < 0.7
    undecided = 0
    for one in lines_of(questions.with_name("questions-labelled.jsonl")):
        counts = Counter(orders[one["Question"]])
        assert one["votes"] == counts
        top, count = counts.most_common(1)[0]
        if count > 2:
            assert (one["answer"], one["agreement"]) == (top, count / 4) and "reason" not in one
        else:
            undecided += 1
            assert (one["answer"], one["agreement"]) == (None, None)
            assert one["reason"] == "no majority of 4 votes"
    assert undecided
    assert f"{20 - undecided} labelled · {undecided} without a majority" in capsys.readouterr().out


def test_votes_that_name_no_option(questions: Path, served: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = served(lambda asked: ["I do not know.", answer("True"), "It is *true*."][asked.vote])
    assert call(questions, server, "--votes", 3) == 0
    for one in lines_of(questions.with_name("questions-labelled.jsonl")):
        assert (one["answer"], one["votes"], one["agreement"]) == ("True", {"True": 2}, 0.6667)
    out = capsys.readouterr().out
    assert "20 of 60 votes name no option: unclear 20" in out
    assert "agree on" not in out  # not one row has all its votes


@pytest.mark.parametrize(
    ("prose", "options", "wanted"),
    [
        ("I do not know.", ("yes", "no"), None),
        ("I cannot say.", ("yes", "no"), None),
        ("The answer is no.", ("yes", "no"), 1),
        ("It is an entailment", ("not_entailment", "entailment"), 1),
        ("It is not_entailment", ("not_entailment", "entailment"), 0),
        ("答案是猫。", ("猫", "狗"), 0),
        ("The C++ one", ("C++", "Java"), 0),
        ("Either yes or no.", ("yes", "no"), None),
    ],
)
def test_prose_names_an_option_as_words_of_its_own(prose: str, options: tuple[str, ...], wanted: int | None) -> None:
    assert read_answer(Reply(prose), options)[0] == wanted


def test_judges_ask_what_they_asked_before_there_were_shots() -> None:
    """Votes are journaled under these names: with other ones they would be bought anew."""
    source = tasks.load("boolq")
    assert source.example is not None
    row = source.task.read(source.example)
    assert isinstance(row, Row)
    for kind, about, name in (("verify", "About rivers.", "874e7dec26bba195"), ("think", "", "87526c111d5f0dec")):
        judge = Judge(source.task, kind, 3, "keep", about)
        assert judge.key(row.id, judge.ask(row, 1)) == name


def test_nothing_is_bought_twice(questions: Path, served: Serve) -> None:
    server = served(is_long)
    assert call(questions, server) == 0
    first = server.forget()
    assert call(questions, server) == 0 and not server.asked
    # More votes: only the new ones. More rows, the old ones in another order: only those.
    assert call(questions, server, "--votes", 3) == 0
    assert len(server.asked) == 40 and {one.vote for one in server.asked} == {1, 2}
    server.forget()
    write(questions, [{"question": one} for one in ["is this the new one", *reversed(QUESTIONS), QUESTIONS[3]]])
    assert call(questions, server, "--votes", 3) == 0
    assert len(first) == 20 and [one.row["question"] for one in server.forget()] == ["is this the new one"] * 3
    # Moved elsewhere, it keeps what it has.
    (questions.parent / "elsewhere").mkdir()
    moved = questions.rename(questions.parent / "elsewhere" / questions.name)
    assert call(moved, server, "--votes", 3) == 0 and not server.asked
    assert lines_of(moved.with_name("questions-labelled.jsonl"))[-1]["agreement"] == 1.0


def test_a_cap_keeps_the_prefix_and_says_how_to_go_on(
    questions: Path, served: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = served(is_long)
    assert call(questions, server, "--max-calls", 7, "--concurrency", 2) == 3
    said = capsys.readouterr()
    last = said.err.splitlines()[-1]
    assert last.startswith("stopped with 13 calls to make: --max-calls 7 is used up; to go on (after a cap, with a")
    assert f"llm-created label {questions} --task boolq" in last and last.endswith("--max-calls 7 --concurrency 2")
    assert "20 rows read · 7 labelled · 0 without a majority · 0 not readable · 13 not labelled yet" in " ".join(
        said.out.split()
    )
    out = questions.with_name("questions-labelled.jsonl")
    first = lines_of(out)
    assert [one["n"] for one in first] == list(range(20))
    assert all(one["answer"] for one in first[:7])
    assert all(one["answer"] is None and one["reason"].startswith("not labelled yet: ") for one in first[7:])
    assert len(server.forget()) == 7
    assert call(questions, server, "--max-calls", 100) == 0
    assert len(server.asked) == 13
    assert lines_of(out)[:7] == first[:7] and all(one["answer"] for one in lines_of(out))


def test_a_cap_in_dollars(questions: Path, served: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = served(is_long)
    # A call costs 100 * 10 + 10 * 100 millionths: 0.002 dollars.
    assert call(questions, server, "--max-cost", 0.02, "--price", "10,100", "--concurrency", 1) == 3
    assert 3 <= len(server.asked) <= 10
    assert "--max-cost 0.02 leaves no room" in capsys.readouterr().err


def start(questions: Path, server: Labeler, *more: object) -> subprocess.Popen[str]:
    arguments = ["label", questions, "--task", "boolq", "--model", "rule", "--base-url", server.url, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "llm_created", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_labelling_goes_on(questions: Path, served: Serve) -> None:
    def slowly(asked: Asked) -> str:
        time.sleep(0.05)
        return is_long(asked)

    server = served(slowly)
    process = start(questions, server, "--votes", 2, "--concurrency", 3)
    until(lambda: len(server.answered) >= 11)
    process.kill()
    process.communicate()
    before = Counter(one.name for one in server.forget())
    assert len(before) < 40 and not questions.with_name("questions-labelled.jsonl").exists()
    assert call(questions, server, "--votes", 2) == 0
    again = Counter(one.name for one in server.asked)
    assert set(before) | set(again) and len(set(before) | set(again)) == 40
    assert max(again.values()) == 1
    assert len(set(before) & set(again)) <= 3  # those in flight
    written = lines_of(questions.with_name("questions-labelled.jsonl"))
    assert [one["answer"] for one in written] == [str(len(one.split()) > 5) for one in QUESTIONS]


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send")
def test_ctrl_c_takes_in_what_is_paid_for(questions: Path, served: Serve) -> None:
    def slowly(asked: Asked) -> str:
        time.sleep(0.4)
        return is_long(asked)

    server = served(slowly)
    process = start(questions, server, "--concurrency", 4)
    until(lambda: len(server.answered) >= 4 and len(server.asked) >= 6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "requests that are paid for" in err and "interrupted; to go on" in err.splitlines()[-1]
    paid = server.forget()
    written = lines_of(questions.with_name("questions-labelled.jsonl"))
    assert sum(one["answer"] is not None for one in written) == len(paid) < 20
    assert f"{len(paid)} labelled" in out
    assert call(questions, server) == 0
    assert len(server.asked) == 20 - len(paid)


def test_records_that_cannot_be_read_are_kept(
    tmp_path: Path, served: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = served(is_long)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"question": "is it", "answer": "maybe"}\n\n{"question": ["a"], "answer": true}\r\n{"quest'
        b'\n[1, 2]\n{"question": "\xff"}\n{"question": "is\\ud800 this the one and only", "x": "\\ud800"}\n'
    )
    assert call(path, server) == 0
    written = lines_of(path.with_name("rows-labelled.jsonl"))
    assert written[0] == {
        "question": "is it", "answer": "maybe", "llm_answer": "False", "votes": {"False": 1}, "agreement": 1.0
    }  # fmt: skip
    assert written[1] == {
        "question": ["a"], "answer": True, "llm_answer": None, "reason": "missing_field: question"
    }  # fmt: skip
    assert written[2]["unread"] == '{"quest' and written[2]["reason"].startswith("not_json: ")
    assert written[3] == {"unread": [1, 2], "reason": "not_an_object: list instead of an object"}
    assert written[4]["unread"] == '{"question": "�"}' and written[4]["reason"].startswith("not_json: ")
    assert (written[5]["llm_answer"], written[5]["x"]) == ("True", "\ud800") and len(written) == 6
    out = capsys.readouterr().out
    assert "6 rows read · 2 labelled · 0 without a majority · 4 not readable" in out
    assert "2 not_json, e.g. record 4: " in out and "1 missing_field, e.g. record 3: question" in out
    assert "1 given answers are none of the options, e.g. 'maybe' in record 1" in out


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["question", "QUESTION", "answer", "Answer", "label", "options", "votes", "given", "reason"])
RECORD = st.dictionaries(FIELDS | st.text(max_size=4), JSON | st.sampled_from(["True", "no", "why"]), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(RECORD.map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=20).map(lambda t: t.replace("\n", "")))
)
def test_no_record_is_dropped_or_changed(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "any.jsonl"
    good = json.dumps({"question": "is it so"})
    path.write_text("\n".join([*lines, good]), "utf-8", errors="replace", newline="")
    kept = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    task = tasks.load("boolq").task
    cases = read(task, path)
    assert len(cases) == len(kept)
    written = [json.loads(line) for line in text(task, cases, {}).split("\n")[:-1]]
    assert len(written) == len(cases)
    mine = column(task, cases)
    for case, one in zip(cases, written, strict=True):
        if not isinstance(case.record, dict):
            assert same(one["unread"], case.record) and one["reason"]
            continue
        assert same({name: one[name] for name in case.record}, case.record)
        assert one[mine] is None and mine not in case.record
        assert case.given is None or case.row is not None


def same(one: Any, two: Any) -> bool:
    """Whether two JSON values are written alike: `NaN`, which Python reads, is not equal to itself."""
    return json.dumps(one) == json.dumps(two)


def test_other_files_and_options_of_each_row(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(lambda asked: answer(asked.row["options"][0] if asked.row["question"] == "Why?" else "b"))
    rows = [
        {"question": "Which?", "options": ["a", "b", "c", "d", "e"], "answer": "b"},
        {
            "question": "What?",
            "choices": {"label": list("ABCDE"), "text": ["e", "d", "c", "b", "a"]},
            "answerKey": "D",
        },
        {"question": "Twice?", "options": ["b", "a", "B", "c", "d"], "label": "b"},  # as CommonsenseQA has some
        {"question": "Four?", "options": ["a", "b", "c", "d"], "answer": "b"},
        {"question": "Which?", "options": ["e", "d", "c", "b", "a"], "answer": "b"},  # the first one again
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows), "utf-8")
    assert call(path, server, task="csqa") == 0
    first, second, third, fourth, again = lines_of(tmp_path / "rows-labelled.jsonl")
    assert first["answer"] == again["answer"] == "b" and third["label"] == "b"
    assert {one["llm_answer"] for one in (first, second, third, again)} == {"b"}
    assert second["answerKey"] == "D"
    assert fourth["llm_answer"] is None and fourth["reason"] == "wrong_options: 4 options instead of 5"
    assert {asked.row["question"]: len(asked.row["options"]) for asked in server.asked} == {
        "Which?": 5, "What?": 5, "Twice?": 4
    }  # fmt: skip
    assert len(server.asked) == 3
    out = capsys.readouterr().out
    assert "verification agrees with 4 of 4 given labels" in out
    assert "option 1      1  25.0%" in out and "option 4      2  50.0%" in out
    table = tmp_path / "rows.csv"
    table.write_text('question,options,note\nWhich?,"[""a"", ""b"", ""c"", ""d"", ""e""]",mine\n', "utf-8")
    server.forget()
    assert call(table, server, "--out", tmp_path / "of_csv.jsonl", task="csqa") == 0
    (one,) = lines_of(tmp_path / "of_csv.jsonl")
    assert (one["answer"], one["note"], len(server.asked)) == ("b", "mine", 1)


def test_a_task_of_ones_own(tmp_path: Path, served: Serve, capsys: Any) -> None:
    server = served(lambda asked: answer("spam"))
    path = write(tmp_path / "mails.jsonl", [{"mail": "Buy now"}])
    task = Task("mails", ("mail",), "kind", labels=("spam", "ham"))
    told = tmp_path / "task.json"
    told.write_text(json.dumps(task.to_json() | {"guide": {"description": "Mails."}}), "utf-8")
    assert call(path, server, task=str(told)) == 0
    assert lines_of(tmp_path / "mails-labelled.jsonl") == [
        {"mail": "Buy now", "kind": "spam", "votes": {"spam": 1}, "agreement": 1.0}
    ]
    assert server.asked[0].messages[0]["content"].startswith("Mails.\n\n")
    told.write_text('{"mail": "Buy now", "kind": "spam"}', "utf-8")
    assert call(path, server, task=str(told)) == 2
    assert "is no task.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl", "--task", "boolq"], "there is no file 'nowhere.jsonl'"),
        (["rows.jsonl", "--task", "boolk"], "unknown task 'boolk': did you mean 'boolq'?"),
        (["rows.jsonl", "--task", "nowhere.json"], "there is no file 'nowhere.json'"),
        (["other.jsonl", "--task", "boolq"], "none of 2 records can be read, missing_field (question) in record 1; "),
        (["empty.jsonl", "--task", "boolq"], "'empty.jsonl' has no records"),
        (["rows.txt", "--task", "boolq"], "records are read from .jsonl, .json, .csv, .tsv, .xlsx, .parquet, .ar"),
        (["broken.json", "--task", "boolq"], "'broken.json' cannot be read: "),
        (["rows.jsonl", "--task", "boolq", "--out", "there.jsonl"], "'there.jsonl' is there already, and not as"),
        (["rows.jsonl", "--task", "boolq", "--out", "rows.jsonl"], "'rows.jsonl' is there already, and not as"),
        (["rows.jsonl", "--task", "boolq", "--out", "."], "'.' is there already, and not as"),
        (["rows.jsonl", "--task", "boolq", "--votes", "0"], "--votes takes the number of calls for each row, from 1 "),
        (["rows.jsonl", "--task", "boolq", "--shots", "2"], "cannot load 'google/boolq' from the Hub"),
        (["rows.jsonl", "--task", "boolq", "--shots", "2", "--human-data", "no"], "human data: 'no' is no folder"),
        (["rows.jsonl", "--task", "boolq", "--max-cost", "1"], "--max-cost needs a price"),
        (["rows.jsonl", "--task", "boolq", "--concurrency", "0"], "--concurrency must be at least 1, not 0"),
        (["rows.jsonl", "--task", "boolq", "--model", ""], "which model should label? Give --model NAME"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.jsonl", [{"question": "is it"}])
    write(tmp_path / "other.jsonl", [{"text": "is it"}, {}])
    write(tmp_path / "there.jsonl", [{"mine": 1}])
    for name in ("empty.jsonl", "rows.txt"):
        (tmp_path / name).write_text("", "utf-8")
    (tmp_path / "broken.json").write_text("[1,", "utf-8")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model = [] if "--model" in arguments else ["--model", "rule"]
    code = main([*arguments, *model, "--base-url", "http://127.0.0.1:9/v1"])
    printed = capsys.readouterr()
    assert code == (1 if "the Hub" in said else 2)
    assert printed.err.startswith("error: ") and said in printed.err and printed.err.count("\n") == 1
    assert not printed.out
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_somebody_worked_on_is_left_alone(questions: Path, tmp_path: Path, served: Serve) -> None:
    server = served(is_long)
    out = tmp_path / "out.jsonl"
    assert call(questions, server, "--out", out) == 0
    assert call(questions, server, "--out", out, "--votes", 3) == 0
    corrected = out.read_text("utf-8").replace('"answer": "True"', '"answer": "False"', 1)
    out.write_text(corrected, "utf-8")
    assert call(questions, server, "--out", out) == 2
    assert out.read_text("utf-8") == corrected
    out.unlink()
    assert call(questions, server, "--out", out) == 0
    # Another file's labels do not take their place, nor those of another model.
    server.forget()
    other = write(tmp_path / "other.jsonl", [{"question": "is it"}])
    assert call(other, server, "--out", out) == 2
    assert call(questions, server, "--out", out, "--temperature", 0) == 2
    assert not server.asked


@pytest.mark.parametrize("concurrency", [1, 32])
def test_a_server_that_refuses_ends_it_with_one_line(
    questions: Path, served: Serve, capsys: pytest.CaptureFixture[str], concurrency: int
) -> None:
    """Also where the refused calls are the last ones: no row goes without a word."""
    server = served(lambda asked: 401 if asked.row["question"] == QUESTIONS[-1] else is_long(asked))
    assert call(questions, server, "--concurrency", concurrency) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: ") and "Traceback" not in said
    assert not questions.with_name("questions-labelled.jsonl").exists()
    server.forget()
    server.rule = is_long
    assert call(questions, server) == 0
    assert len(server.asked) < 20 if concurrency == 1 else server.asked


def test_a_question_that_fails_is_asked_once_more_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure at the very end is none less."""
    from contextlib import AsyncExitStack

    from llm_created.clients.base import Request
    from llm_created.creation import connect
    from llm_created.errors import RequestFailed, RunFailed

    calls: Counter[str] = Counter()

    class Flaky:
        def __init__(self, failures: int) -> None:
            self.failures = failures

        async def complete(self, request: Request) -> Reply:
            calls[request.key] += 1
            await asyncio.sleep(0)
            if request.key == "last" and calls[request.key] <= self.failures:
                raise RequestFailed("the server is on fire")
            return Reply(answer("True"))

    def all_replies(failures: int) -> list[Reply]:
        async def client(*args: object) -> Flaky:
            assert isinstance(args[-1], AsyncExitStack)
            return Flaky(failures)

        monkeypatch.setattr(connect, "client", client)
        calls.clear()
        made = Identity(tasks.load("boolq").task, None, "x", f"{failures}", strategy="simprompt")
        asked = [asking.Question([{"role": "user", "content": name}], None, name) for name in ("first", "last")]
        return asking.all_replies(made, Settings(model="x"), "tests", asked)

    assert [reply.text for reply in all_replies(1)] == [answer("True")] * 2
    assert calls == {"first": 1, "last": 2}
    with pytest.raises(RunFailed, match="1 requests got no reply: the server is on fire"):
        all_replies(9)


def test_agreement_with_given_answers_on_real_rows(shared: Path, tmp_path: Path, served: Serve, capsys: Any) -> None:
    """40 real rows, of which a scripted model has four wrong: three of the true ones, one of the false ones."""
    with (shared / "human/yesno_close/boolq/dev.jsonl").open("rb") as lines:
        rows = [json.loads(line) for _, line in zip(range(40), lines, strict=False)]
    right = {row["question"]: row["label"] for row in rows}
    wrong = [question for question, one in right.items() if one][:3] + [q for q, one in right.items() if not one][:1]
    server = served(lambda asked: answer(str(right[asked.row["question"]] != (asked.row["question"] in wrong))))
    path = write(tmp_path / "boolq.jsonl", rows)
    assert call(path, server, "--votes", 3) == 0
    written = lines_of(tmp_path / "boolq-labelled.jsonl")
    assert [one["question"] for one in written if one["llm_answer"] != str(one["label"])] == [
        question for question in right if question in wrong
    ]
    low, high = wilson(36, 40)
    out = capsys.readouterr().out
    share = f"(90.0%, 95 % interval {100 * low:.1f}-{100 * high:.1f})"
    assert f"verification agrees with 36 of 40 given labels {share}" in " ".join(out.split())
    true = sum(right.values())
    cells = [line.split() for line in out.splitlines()]
    assert ["True", str(true - 3), "3", "0"] in cells and ["False", "1", str(39 - true), "0"] in cells
    assert "3 votes a row agree on 40 of 40 rows (100.0%) · pairs of votes 100.0%" in out and "kappa 1.00" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_fleiss_kappa_by_hand() -> None:
    """Ten subjects, fourteen raters, five categories: https://en.wikipedia.org/wiki/Fleiss%27_kappa#Worked_example."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    found = steadiness(table)
    assert found is not None and found.kappa is not None
    assert (round(found.pairwise, 3), round(found.kappa, 3), found.unanimous, found.n) == (0.378, 0.210, 1, 10)
    # Two rows, two votes: one of two pairs agrees; shares 3/4 and 1/4, so by chance 10/16: (1/2 - 5/8) / (3/8).
    assert steadiness([[2, 0], [1, 1]]) == (2, 1, 0.5, pytest.approx(-1 / 3))
    assert steadiness([[3, 0], [3, 0]]) == (2, 2, 1.0, None)
    assert steadiness([[1, 1], [0, 2, 0]], same_labels=False) == (2, 1, 0.5, None)
    assert steadiness([]) is None


@given(st.integers(2, 6).flatmap(lambda n: st.lists(st.lists(st.integers(0, 2), min_size=n, max_size=n), min_size=1)))
def test_pairs_of_votes_are_those_of_a_plain_count(votes: list[list[int]]) -> None:
    found = steadiness([[line.count(option) for option in range(3)] for line in votes])
    assert found is not None
    assert found.pairwise == pytest.approx(fmean(fmean(a == b for a, b in combinations(line, 2)) for line in votes))
    assert found.unanimous == sum(len(set(line)) == 1 for line in votes)


def test_from_python(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = served(is_long)
    # The same row with another answer is the same question; what is of no use has a reason.
    rows: list[dict[str, Any]] = [{"question": one, "answer": "True", "mine": at} for at, one in enumerate(QUESTIONS)]
    rows += [{"question": QUESTIONS[0], "answer": "False"}, {"no question": 1}]
    how: dict[str, Any] = {"model": "rule", "base_url": server.url, "votes": 2}
    with pytest.raises(StoppedShort, match="max_calls"):
        label_rows(rows, "boolq", max_calls=30, **how)
    found = label_rows(rows, "boolq", max_calls=30, allow_partial=True, **how)
    assert sum(one["llm_answer"] is not None for one in found) in (15, 16) and len(server.asked) == 30

    async def in_a_notebook() -> list[dict[str, Any]]:
        return label_rows(rows, tasks.load("boolq").task, **how)

    found = asyncio.run(in_a_notebook())
    assert len(server.asked) == 40
    wanted = ["True" if len(row["question"].split()) > 5 else "False" for row in rows[:-1]]
    assert [one["llm_answer"] for one in found] == [*wanted, None]
    assert [one["answer"] for one in found[:-1]] == [row["answer"] for row in rows[:-1]]
    assert [one["question"] for one in found[:-1]] == [row["question"] for row in rows[:-1]]
    assert found[3]["mine"] == 3 and found[0]["votes"] == found[-2]["votes"] and "question" in found[-1]["reason"]
    with pytest.raises(UsageError, match="`votes`"):
        label_rows(rows, "boolq", model="rule", votes=0)


def test_from_python_with_rows_to_learn_from(served: Serve) -> None:
    server = served(is_long)
    how: dict[str, Any] = {"model": "rule", "base_url": server.url, "chain_of_thought": True}
    shots = [{"question": "is one", "answer": "False", "explanation": "It is short."}]
    label_rows([{"question": QUESTIONS[0]}], "boolq", shots=shots, **how)
    (asked,) = server.asked
    shown = "\n".join(message["content"] for message in asked.messages)
    assert shown.index("is one") < shown.index("It is short.") < shown.index(QUESTIONS[0])
    with pytest.raises(UsageError, match=r"`shots`: the 1\. is no labelled row of 'boolq': no answer"):
        label_rows([{"question": QUESTIONS[0]}], "boolq", shots=[{"question": "is one"}], **how)


@pytest.mark.slow
def test_from_python_whoever_leaves_stops_the_asking(served: Serve) -> None:
    def slowly(asked: Asked) -> str:
        time.sleep(0.1)
        return is_long(asked)

    server = served(slowly)
    code = (
        "import sys; from llm_created import label_rows;"
        "rows = [{'question': f'is {n} large'} for n in range(1000)]; print('on', flush=True);"
        f"label_rows(rows, 'boolq', model='rule', base_url={server.url!r}, concurrency=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    until(lambda: len(server.asked) > 3)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1].splitlines()[-1]
    assert len(server.asked) < 1000


def test_the_demo_writer_labels_for_a_plumbing_check(questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(questions), "--task", "boolq", "--model", "demo"]) == 0
    said = capsys.readouterr()
    assert "a plumbing check, and no label" in said.err and "free" in said.out
    assert len(lines_of(questions.with_name("questions-labelled.jsonl"))) == 20


def test_likelihoods_label_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    records = [{"question": f"is {thing} cold", "Probability": "mine"} for thing in ("ice", "fire", "snow", "ice")]
    path = write(tmp_path / "rows.jsonl", [*records, {"question": ""}])
    line = [str(path), "--task", "boolq", "--model", "demo", "--likelihood"]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "3 calls to buy" in said.err and "4 labelled · 0 without a label · 1 not readable" in said.out
    *written, unread = lines_of(tmp_path / "rows-labelled.jsonl")
    assert [{name: one[name] for name in ("question", "Probability")} for one in written] == records
    # The demo writer's likelihoods: one of two answers is e squared times as likely as without the question.
    assert [one["llm_probability"] for one in written] == [0.8808] * 4
    assert all(one["answer"] in ("True", "False") for one in written) and written[0] == written[3]
    assert set(written[0]) == {"question", "Probability", "answer", "llm_probability"}
    assert unread["answer"] is None and unread["reason"].startswith("empty_field")
    before = (tmp_path / "rows-labelled.jsonl").read_bytes()
    assert main(line) == 0 and "0 calls to buy" not in capsys.readouterr().err
    assert (tmp_path / "rows-labelled.jsonl").read_bytes() == before
    given = write(tmp_path / "given.jsonl", [{"question": "is ice cold", "answer": "True"}])
    assert main([str(given), *line[1:]]) == 0
    assert re.search(r"likelihood agrees with [01] of 1 given labels", capsys.readouterr().out)
    assert lines_of(tmp_path / "given-labelled.jsonl")[0]["llm_answer"] == written[0]["answer"]


def test_likelihoods_from_python_with_rows_to_learn_from() -> None:
    shots = [{"question": "is snow cold", "answer": "True"}, {"question": "is fire cold", "answer": "False"}]
    labelled = label_rows([{"question": "is ice cold"}], "boolq", model="demo", shots=shots, likelihood=True)
    assert labelled[0]["answer"] in ("True", "False") and labelled[0]["probability"] == 0.8808
    with pytest.raises(UsageError, match="'rule' is one of a server: give `model` local:NAME, or `votes` N votes"):
        label_rows([{"question": "is ice cold"}], "boolq", model="rule", likelihood=True)
