"""The loopback server is what the flagship tests lean on: it answers by request alone, and misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, DefaultAioHttpClient
from pytest_socket import SocketConnectBlockedError
from quick import slow_but
from server import ERRORS, REFUSAL, REPLIES, Server

from llm_created import Guide, Task
from llm_created.checks.answers import read_answer
from llm_created.checks.judge import Judge
from llm_created.cli import main as cli
from llm_created.clients.base import Reply
from llm_created.prompts import examples as prompt
from llm_created.prompts.lists import read_list
from llm_created.tasks.task import Reason, Row

EXAMPLE = {"question": "Where is a seat?", "options": ["sofa", "pond", "sky"], "answer": "sofa"}
FIXED = {"options": ["True", "False"], "answer": "True", "claim": "Foxes are birds."}
KEY = "sk-of-this-test"
CLAIMS = Task("claims", ("claim",), labels=("True", "False"))
TOPICS = Task("topics", ("text",), labels=tuple("sport business science travel food music health law".split()))
EVENTS = Task("events", ("premise", "question"), num_options=2)
GUIDE = Guide("What such a row is.")


def ask(example: dict[str, Any], same: bool = False) -> list[dict[str, str]]:
    """The two messages of a call, as the library renders them."""
    text = "- You are creating 5 examples that follow the format of the example provided."
    text += "\n- The created examples **must** have the same options as the provided example." if same else ""
    return [{"role": "system", "content": text}, {"role": "user", "content": json.dumps(example, indent=2)}]


def send(url: str, ids: list[str], example: dict[str, Any] = EXAMPLE, retries: int = 8, **params: Any) -> list[Any]:
    """Send one request for each id through the real SDK, all at once: completions, or the errors it raised."""

    async def one(client: AsyncOpenAI, call_id: str) -> Any:
        try:
            return await client.chat.completions.create(
                messages=ask(example, example is FIXED),  # type: ignore[arg-type]
                model="m",
                extra_headers={"X-Client-Request-Id": call_id},
                **params,
            )
        except openai.OpenAIError as error:
            return error

    async def every() -> list[Any]:
        http = DefaultAioHttpClient(timeout=5)
        async with AsyncOpenAI(base_url=url, api_key=KEY, http_client=http, max_retries=retries) as client:
            return await asyncio.gather(*(one(client, call_id) for call_id in ids))

    return asyncio.run(every())


def post(url: str, messages: Sequence[Any], occurrence: int = 0, **body: Any) -> str:
    """The text of the answer to these messages."""
    call = {"messages": list(messages), "model": "m"} | body
    headers = {"Content-Type": "application/json", "X-Client-Request-Id": f"run/0/{occurrence}/key"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(call).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


def texts(completions: list[Any]) -> list[str]:
    return [completion.choices[0].message.content for completion in completions]


def ids(count: int, run: str = "run") -> list[str]:
    return [f"{run}/{lane % 8}/{lane // 8}/key" for lane in range(count)]


@pytest.fixture(scope="module")
def _server() -> Any:
    with Server() as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    _server.reset()
    return _server


def test_an_answer_depends_on_messages_lane_and_occurrence_alone(server: Server) -> None:
    first = texts(send(server.url, ids(40)))
    with Server(shuffle=0.05) as other:
        assert texts(send(other.url, ids(40, "another-run")[::-1]))[::-1] == first
    assert texts(send(server.url, ids(1), EXAMPLE | {"question": "Another?"})) != first[:1]
    assert len(set(first)) == 40
    rows = [json.loads(line) for text in first for line in text.splitlines()]
    assert len({row["question"] for row in rows}) == len(rows) == 200
    assert all(list(row) == list(EXAMPLE) and row["answer"] in row["options"] for row in rows)
    assert all(len(set(row["options"])) == 3 for row in rows)


def test_fixed_options_stay_and_answers_follow_their_weights(server: Server) -> None:
    server.reset(label_weights={"True": 4, "False": 1})
    rows = [json.loads(line) for text in texts(send(server.url, ids(100), FIXED)) for line in text.splitlines()]
    assert all(row["options"] == FIXED["options"] and list(row) == list(FIXED) for row in rows)
    assert sum(row["answer"] == "True" for row in rows) / len(rows) == pytest.approx(0.8, abs=0.06)


def test_bad_rows_come_at_their_rates(server: Server) -> None:
    server.reset(duplicate_rate=0.2, bad_json_rate=0.1, wrong_answer_rate=0.1)
    lines = [line for text in texts(send(server.url, ids(200))) for line in text.splitlines()]
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    wrong = [row for row in whole if row["answer"] not in row["options"]]
    distinct = {row["question"] for row in whole}
    assert len(lines) == 1000
    assert 1 - len(whole) / 1000 == pytest.approx(0.1, abs=0.03)
    assert len(wrong) / 1000 == pytest.approx(0.1, abs=0.03)
    assert (len(whole) - len(distinct) + 20) / 1000 == pytest.approx(0.2, abs=0.04)


def test_faults_come_at_their_rates_and_retries_get_through(server: Server) -> None:
    server.reset(rate_429=0.2, rate_500=0.2)
    completions = send(server.url, ids(200))
    log = server.log()
    first = [entry["status"] for entry in log if entry["retry"] == "0"]
    server.reset()
    assert texts(completions) == texts(send(server.url, ids(200, "another-run")))
    assert first.count(429) / 200 == pytest.approx(0.2, abs=0.08)
    assert first.count(500) / 200 == pytest.approx(0.2, abs=0.08)
    assert sum(entry["status"] == 200 for entry in log) == 200
    assert any(entry["retry"] == "2" for entry in log)


@pytest.mark.parametrize(("fault", "status"), [("rate_drop", "dropped"), ("rate_cut", "cut"), ("hang", "hung")])
def test_connections_break(server: Server, fault: str, status: str) -> None:
    server.reset(**{fault: 1.0})
    (error,) = send(server.url, ids(1), retries=0, timeout=0.3)
    assert isinstance(error, openai.APIConnectionError)
    assert [entry["status"] for entry in server.log()] == [status]


def test_fail_first_and_stop_after(server: Server) -> None:
    server.reset(fail_first=2)
    assert len(texts(send(server.url, ids(3)))) == 3
    assert server.calls() == 9
    server.reset(stop_after=4)
    outcomes = send(server.url, ids(10), retries=0)
    assert sum(isinstance(outcome, openai.APIConnectionError) for outcome in outcomes) == 6


@pytest.mark.parametrize("name", ["response_format", "temperature", "top_p", "max_tokens", "seed"])
def test_refuses_a_parameter_and_names_it(server: Server, name: str) -> None:
    value = {"type": "json_object"} if name == "response_format" else 1
    server.reset(refuses=[name])
    refused = send(server.url, ids(1), **{name: value})[0]
    assert isinstance(refused, openai.BadRequestError)
    assert refused.param == name and f"'{name}'" in refused.message
    assert name in server.log()[0]["params"]
    assert texts(send(server.url, ids(1)))


@pytest.mark.parametrize("name", list(ERRORS))
def test_errors_as_openai_words_them(server: Server, name: str) -> None:
    server.reset(error=name, error_share=0.5)
    outcomes = send(server.url, ids(60), retries=0)
    errors = [outcome for outcome in outcomes if isinstance(outcome, openai.APIStatusError)]
    assert len(errors) / 60 == pytest.approx(0.5, abs=0.2)
    assert {(error.status_code, error.code) for error in errors} == {(ERRORS[name][0], ERRORS[name][4])}
    assert (KEY in errors[0].message) == (name == "unauthorized")


@pytest.mark.parametrize("reply", [*REPLIES, "text:hello"])
def test_every_reply_can_be_sent(server: Server, reply: str) -> None:
    server.reset(reply=reply, rows=3)
    (completion,) = send(server.url, ids(1), retries=0)
    message = getattr(completion, "choices", None) and completion.choices[0].message
    if reply in ("html", "list", "no_choices", "error_200"):
        assert not message
    elif reply in ("null", "refusal"):
        assert message.content is None and bool(message.refusal) == (reply == "refusal")
    elif reply == "control":
        assert "\ud800" in message.content and r"\ud800" in message.content and "\x00" in message.content
    elif reply == "huge":
        assert len(message.content) > 10_000_000
    elif reply.startswith("text:"):
        assert message.content == "hello"
    else:
        assert (message.content.count('"question"') == 3) == (reply not in ("empty", "reasoning", "useless", "deep"))


def test_structured_output_usage_and_log(server: Server) -> None:
    (completion,) = send(server.url, ids(1), response_format={"type": "json_object"}, temperature=1, seed=3)
    assert len(json.loads(completion.choices[0].message.content)["examples"]) == 5
    (entry,) = server.log()
    assert entry["params"] == {"model": "m", "temperature": 1, "seed": 3, "response_format": True}
    assert entry["completion_tokens"] == completion.usage.completion_tokens > 0
    assert entry["id"] == ids(1)[0] and entry["status"] == 200 and 0 <= entry["done"] - entry["time"] < 5
    server.reset(usage=False, log=False)
    assert send(server.url, ids(1))[0].usage is None
    assert server.log() == [] and server.calls() == 1
    server.reset(usage={"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16})
    assert send(server.url, ids(1))[0].usage.total_tokens == 16


def test_latencies(server: Server) -> None:
    server.reset(latency=0.1)
    send(server.url, ids(1))
    assert 0.1 <= server.log()[0]["done"] - server.log()[0]["time"] < 0.2
    server.reset(latency=0.05, sigma=0.6)
    send(server.url, ids(50))
    took = [entry["done"] - entry["time"] for entry in server.log()]
    assert min(took) < 0.04 < 0.08 < max(took)
    assert server.stats()["peak"] > 10


def test_it_ends_with_whoever_started_it() -> None:
    code = "from server import Server\nimport time\nwith Server() as s:\n print(s.url, flush=True); time.sleep(60)"
    folder = Path(__file__).parent
    with subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        port = int(parent.stdout.readline().split(":")[2].split("/")[0])
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)
    raise AssertionError("the server outlived its parent")


def test_wrong_settings_are_named() -> None:
    with pytest.raises(TypeError, match="latencyy"):
        Server(latencyy=1)
    with pytest.raises(ValueError, match="'nonsense'"):
        Server(reply="nonsense")


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_there_is_no_way_out() -> None:
    with pytest.raises(SocketConnectBlockedError), socket.socket() as out:
        out.connect(("192.0.2.1", 80))
    code = "import urllib.request as r; r.urlopen('http://192.0.2.1/', timeout=20)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Connection refused" in result.stderr


# Prompts that show no example.


def one_row(task: Task, label: int | None = None, **drawn: str) -> list[Any]:
    instruction = prompt.instruction_for_one(task, GUIDE)
    return list(prompt.compose(task, GUIDE, instruction, label, drawn)[0])


def rows_of(server: Server, task: Task, count: int, label: int | None = None, **drawn: str) -> list[Row]:
    """A row from each of so many calls."""
    found = []
    for occurrence in range(count):
        pieces = prompt.read_one(task, post(server.url, one_row(task, label, **drawn), occurrence), None, {})
        assert len(pieces) == 1 and isinstance(pieces[0], Row)
        found.append(pieces[0])
    assert len({row.key for row in found}) == count
    return found


def test_one_row_with_the_label_and_the_value_that_are_demanded(server: Server) -> None:
    for label in (0, 5):
        assert {row.answer for row in rows_of(server, TOPICS, 20, label, style="plain")} == {label}
    assert {row.inputs[1] for row in rows_of(server, EVENTS, 20, question="effect")} == {"effect"}
    assert {row.answer for row in rows_of(server, EVENTS, 20)} == {0, 1}
    whole = post(server.url, one_row(CLAIMS, 1), response_format={"type": "json_schema"})
    assert [row["answer"] for row in json.loads(whole)["examples"]] == ["False"]
    server.reset(label_weights={"True": 4, "False": 1})
    share = sum(row.answer == 0 for row in rows_of(server, CLAIMS, 200, label=1)) / 200
    assert share == pytest.approx(0.8, abs=0.08)
    server.reset(bad_json_rate=1.0)
    (piece,) = prompt.read_one(CLAIMS, post(server.url, one_row(CLAIMS, 1)), 1, {})
    assert isinstance(piece, Reason)


def test_a_label_demanded_below_the_example_is_given_unless_weights_say_otherwise(server: Server) -> None:
    demanded = ask(FIXED, same=True)
    demanded[-1]["content"] += '\n\nOf all created examples:\n- "answer" **must** be "False".\n- style: plain'
    rows = [json.loads(line) for line in post(server.url, demanded).splitlines()]
    assert [row["answer"] for row in rows] == ["False"] * 5
    server.reset(label_weights={"True": 4, "False": 1})
    lines = [line for occurrence in range(60) for line in post(server.url, demanded, occurrence).splitlines()]
    share = sum(json.loads(line)["answer"] == "True" for line in lines) / len(lines)
    assert len(lines) == 300 and share == pytest.approx(0.8, abs=0.08)


def test_options_that_are_named_once_are_not_given_back(server: Server) -> None:
    claims = Task.from_example(FIXED)
    messages = prompt.render(claims, claims.seed_row(FIXED), prompt.instruction(claims, 40))
    rows = [json.loads(line) for line in post(server.url, messages).splitlines()]
    assert len(rows) == 40 and all(list(row) == ["answer", "claim"] for row in rows)
    assert {row["answer"] for row in rows} == {"True", "False"}
    assert all(isinstance(claims.read(row), Row) for row in rows)


def test_lists(server: Server) -> None:
    give, _ = prompt.list_of(GUIDE, "Context: a farm\n\nIn this context, give 40 different seeds.", 40, 40)
    found = [read_list(post(server.url, give, occurrence)) for occurrence in (0, 0, 1)]
    assert all(isinstance(items, list) and len(set(items)) == 40 for items in found)
    assert found[0] == found[1] != found[2]
    alike = f'The labels are: {"; ".join(TOPICS.labels or ())}.\nGive the 5 labels that are most like "food".'
    labels = read_list(post(server.url, prompt.list_of(GUIDE, alike, 5, 5)[0]))
    assert isinstance(labels, list) and len(set(labels)) == 5 and set(labels) < {*(TOPICS.labels or ())} - {"food"}
    wanted = "Here are values.\n- a\n- b\n- c\n\nGive those that would fit. If there are none, give an empty list."
    drop, _ = prompt.list_of(GUIDE, wanted, 0, 3)
    named = [read_list(post(server.url, drop, occurrence)) for occurrence in range(60)]
    assert sum(isinstance(items, Reason) for items in named) > 30 and ["a"] in named
    server.reset(refuse_lists_rate=0.3)
    replies = [post(server.url, give, occurrence) for occurrence in range(200)]
    assert replies.count(REFUSAL) / 200 == pytest.approx(0.3, abs=0.1)
    assert all((reply == REFUSAL) == isinstance(read_list(reply), Reason) for reply in replies)


def test_attributes_are_proposed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "attributes.json"
    line = [
        "create",
        "agnews",
        "--method",
        "attrprompt",
        "--attributes",
        "ask",
        "--attributes-out",
        str(path),
        "--yes",
    ]
    line += ["--model", "m", "--base-url", server.url, "-n", "20", "--out", str(tmp_path / "out")]
    assert cli.main(line) == 0
    assert {type(value) for value in json.loads(path.read_text("utf-8")).values()} == {list, dict}


@pytest.mark.parametrize("kind", ["verify", "think", "self_correct"])
@pytest.mark.parametrize(
    "task", slow_but(lambda task: task is CLAIMS, [CLAIMS, EVENTS, TOPICS]), ids=lambda task: task.name
)
def test_votes_are_right_but_for_the_rate(server: Server, task: Task, kind: str) -> None:
    judge = Judge(task, kind, 1, "keep", "A task.")

    def wrong(rows: list[Row], votes: int = 1) -> float:
        asked = [(row, vote) for row in rows for vote in range(votes)]
        answers = [
            read_answer(Reply(post(server.url, judge.ask(row, vote)[0], vote)), row.options) for row, vote in asked
        ]
        assert all((said != "") == (kind != "verify") for _, said in answers)
        pairs = zip(asked, answers, strict=True)
        return sum(judged != row.answer for (row, _), (judged, _) in pairs) / len(asked)

    rows = rows_of(server, task, 60)
    assert wrong(rows) == 0
    server.reset(wrong_vote_rate=0.25)
    assert 0.1 < wrong(rows, votes=3) < 0.4
    server.reset(wrong_label_rate=0.25)
    mislabelled = rows_of(server, task, 120)
    server.reset()
    assert 0.1 < wrong(mislabelled) < 0.4
    assert {row.answer for row in mislabelled} == set(range(len(rows[0].options)))


# Eight runs of 200 rows each.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "votes", "labels"),
    [("targen", 0.2, 0.0), ("tree", 0.0, 0.15)],
)
def test_verification_finds_the_rate_of_a_server_that_errs(
    method: str, votes: float, labels: float, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = 0
    for salt in range(8):
        server.reset(wrong_vote_rate=votes, wrong_label_rate=labels, salt=str(salt))
        line = ["create", "creak", "--model", f"m-{salt}", "--base-url", server.url, "-n", "200"]
        line += ["--out", str(tmp_path / str(salt)), "--verify", "1", "--verify-rule", "keep"]
        if method == "targen":
            line += [
                "--method",
                "targen",
                "--description",
                "A claim, and whether it is true.",
                "--self-correct",
                "off",
            ]
        assert cli.main(line) == 0
        shown = capsys.readouterr().out
        said = re.search(r"verification agrees with \d+ of 200 .*interval ([\d.]+)-([\d.]+)\)", shown)
        assert said
        found += float(said[1]) <= 100 * (1 - votes - labels) <= float(said[2])
    assert found >= 6, "an interval of 95 % holds the rate in most runs, if not in all"


def test_every_method_runs_against_it(server: Server, tmp_path: Path) -> None:
    for name in ("targen", "attrprompt", "simprompt"):
        server.reset(refuse_lists_rate=0.1, bad_json_rate=0.05)
        line = ["create", "agnews", "--method", name, "--model", "m", "--base-url", server.url, "-n", "60"]
        assert cli.main([*line, "--out", str(tmp_path / name), "--format", "jsonl"]) == 0
        rows = [json.loads(text) for text in (tmp_path / name / "train.jsonl").read_text("utf-8").splitlines()]
        assert len({row["text"] for row in rows}) == 60
        assert {row["answer"] for row in rows} == {"World", "Sports", "Business", "Sci/Tech"}
