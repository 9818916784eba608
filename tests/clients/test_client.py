"""`OpenAIClient` against a server that misbehaves: what becomes a reply, what is asked again, what ends the run."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import datasets  # noqa: F401 -- a run imports it beside its requests; the next test wants it whole
import pytest
from conftest import PROXIES
from quick import slow_but
from server import SCHEMA_ERRORS, Server

from llm_created.cli.main import main
from llm_created.clients import openai as openai_client
from llm_created.clients import replies
from llm_created.clients.base import Reply, Request
from llm_created.clients.openai import OpenAIClient, resolve_url
from llm_created.clients.prices import parse_price
from llm_created.clients.rate_limits import Limits
from llm_created.clients.schemas import used, without
from llm_created.creation.budget import Budget, CapReached
from llm_created.errors import LLMCreatedError, RequestFailed, RunFailed, UsageError
from llm_created.prompts import examples as prompt
from llm_created.prompts import schemas
from llm_created.tasks.task import Task

KEY = "sk-proj-of-this-very-test"
EXAMPLE = {"question": "Where is a seat?", "options": ["sofa", "pond", "sky"], "answer": "sofa"}
TASK = Task.from_example(EXAMPLE, label_space="variable")
MESSAGES = prompt.render(TASK, TASK.seed_row(EXAMPLE), prompt.instruction(TASK, 5))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and waits between attempts that are a fiftieth of the real ones."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.1)
    monkeypatch.setattr(openai_client, "ODD_WAIT", 0.01)


class Raw:
    """A server that sends what it is given, byte by byte if it is told to: bodies that no honest server sends."""

    def __init__(self, *bodies: bytes, status: int = 200, kind: str = "application/json", pause: float = 0.0) -> None:
        self.sent = 0
        raw, self._leave = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                body = bodies[min(raw.sent, len(bodies) - 1)]
                raw.sent += 1
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    for at in range(0, len(body), 1 if pause else len(body)):
                        self.wfile.write(body[at : at + 1] if pause else body)
                        if pause and raw._leave.wait(pause):
                            return

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Raw:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._http.shutdown()
        self._http.server_close()


def request(lane: int = 0, occurrence: int = 0, run: str = "run") -> Request:
    return Request(MESSAGES, lane, "key", occurrence, f"{run}/{lane}/{occurrence}/key", schemas.of_rows(TASK, 5))


def ask(url: str, requests: Sequence[Request] | None = None, **how: Any) -> list[Any]:
    """A reply or an error for each request, all asked at once."""

    async def every() -> list[Any]:
        async with OpenAIClient("m", base_url=url, **how) as client:
            asked = [client.complete(one) for one in requests or [request()]]
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(every())


def one(url: str, **how: Any) -> Reply:
    (reply,) = ask(url, **how)
    if isinstance(reply, BaseException):
        raise reply
    assert isinstance(reply, Reply)
    return reply


def completion(content: Any = "hello", **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]} | more).encode()


def test_a_reply(server: Server) -> None:
    reply = one(server.url)
    (entry,) = server.log()
    assert len(prompt.parse(TASK, reply.text)) == 5 and reply.reason == ""
    assert (reply.model, reply.fingerprint, reply.finish_reason) == ("m", "fp_loopback", "stop")
    assert reply.usage == (entry["prompt_tokens"], entry["completion_tokens"], False)
    assert entry["params"] == {"model": "m", "temperature": 1.0, "top_p": 1.0, "response_format": True}
    assert entry["id"] == "run/0/0/key"


# Bodies


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; charset=utf-8", "text/html", "application/octet-stream", ""]
)
def test_a_good_body_is_read_whatever_it_says_it_is(kind: str) -> None:
    with Raw(completion("schön", usage={"prompt_tokens": 7, "completion_tokens": 2}), kind=kind) as server:
        reply = one(server.url)
    assert (reply.text, reply.usage.prompt_tokens, reply.reason, server.sent) == ("schön", 7, "", 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [("empty", "empty_reply"), ("null", "empty_reply"), ("reasoning", "empty_reply"), ("refusal", "refusal")],
)
def test_nothing_to_read_is_a_reply_with_a_reason(server: Server, reply: str, reason: str) -> None:
    server.reset(reply=reply)
    got = one(server.url)
    assert got.reason == reason and server.calls() == 1
    assert got.usage.prompt_tokens > 0 and not got.usage.estimated
    assert ("can't help" in got.text) == (reason == "refusal")


def test_an_empty_reply_that_was_filtered(server: Server) -> None:
    server.reset(reply="empty", finish_reason="content_filter")
    assert one(server.url).reason == "content_filter"


@pytest.mark.parametrize("reply", ["huge", "deep", "control", "useless", "cut_off"])
def test_wild_texts_are_read_and_can_be_stored(server: Server, reply: str) -> None:
    server.reset(reply=reply, structured=False)
    got = one(server.url).storable()
    assert 0 < len(got.text) <= replies.MAX_TEXT
    got.text.encode()
    began = time.process_time()
    pieces = [TASK.read(piece) for piece in prompt.parse(TASK, got.text) if not isinstance(piece, tuple)]
    assert time.process_time() - began < 5
    assert bool(pieces) == (reply not in ("deep", "useless"))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("html", "`base_url` end in /v1"),
        ("list", r"'\[\]'"),
        ("no_choices", "without choices"),
        ("error_200", "Provider"),
    ],
)
def test_a_200_that_is_no_completion_is_asked_again_and_then_fails(server: Server, reply: str, said: str) -> None:
    server.reset(reply=reply)
    with pytest.raises(RequestFailed, match=said):
        one(server.url)
    assert server.calls() == openai_client.ODD_ANSWERS


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [',
        b"",
        b"[" * 200_000,
        b"\xff\xfe{}",
        b"null",
        b'"text"',
        b"17",
        b"{}",
        b'{"choices": {}}',
        b'{"choices": [null]}',
        json.dumps({"error": {"message": f"bad key {KEY}"}}).encode(),
        json.dumps(f"the key {KEY} is not known").encode(),
    ],
    ids=lambda body: repr(body[:16]),
)
def test_broken_bodies(body: bytes) -> None:
    with Raw(body) as raw:
        with pytest.raises(RequestFailed) as caught:
            one(raw.url)
        assert raw.sent == openai_client.ODD_ANSWERS
    assert "200" in str(caught.value) and KEY not in str(caught.value) and "\n" not in str(caught.value)


def test_an_odd_answer_that_passes() -> None:
    with Raw(b"[]", b"{", completion()) as raw:
        assert one(raw.url).text == "hello"
        assert raw.sent == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [([{"type": "text", "text": "a"}, {"type": "image"}, "x", {"text": "b"}], "ab"), (17, ""), ({"a": 1}, "")],
)
def test_content_of_other_kinds(content: Any, text: str) -> None:
    with Raw(completion(content)) as raw:
        reply = one(raw.url)
    assert (reply.text, reply.reason) == (text, "" if text else "empty_reply")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "3", "completion_tokens": 2},
        {"prompt_tokens": 1.5, "completion_tokens": 2},
        {"prompt_tokens": 10**30, "completion_tokens": 2},
    ],
    ids=str,
)
def test_usage_that_is_absent_or_odd_is_estimated_and_marked(usage: Any) -> None:
    with Raw(completion("hello" * 100, usage=usage)) as raw:
        got = one(raw.url).usage
    assert got.estimated and 0 < got.prompt_tokens < 2_000 and 100 < got.completion_tokens < 200


# Errors of the server


def test_a_wrong_key(server: Server) -> None:
    server.reset(error="unauthorized")
    with pytest.raises(RunFailed, match=r"refused the API key \(401\): check OPENAI_API_KEY") as caught:
        one(server.url)
    assert KEY not in str(caught.value) and server.calls() == 1


def test_an_unknown_model(server: Server) -> None:
    server.reset(error="unknown_model")
    with pytest.raises(RunFailed, match=r"unknown model 'm'.*check `model` and `base_url`"):
        one(server.url)
    assert server.calls() == 1


@pytest.mark.parametrize("settings", [{"error": "no_credit"}, {"status": 402}])
def test_no_credit_is_not_waited_for(server: Server, settings: dict[str, Any]) -> None:
    server.reset(**settings)
    with pytest.raises(RunFailed, match="no credit left"):
        one(server.url)
    assert server.calls() == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"error": "context_length"}, "prompt_too_long"),
        ({"error": "content_filter"}, "content_filter"),
        ({"status": 413}, "prompt_too_long"),
        ({"status": 400}, "bad_request"),
        ({"status": 422}, "bad_request"),
    ],
)
def test_a_refusal_of_this_one_prompt_is_a_reply(server: Server, settings: dict[str, Any], reason: str) -> None:
    server.reset(**settings)
    reply = one(server.url)
    assert (reply.reason, reply.usage[:2]) == (reason, (0, 0)) and reply.text
    assert server.calls() == 1


@pytest.mark.parametrize("status", [403, 405, 418])
def test_other_refusals_end_the_run(server: Server, status: int) -> None:
    server.reset(status=status)
    with pytest.raises(RunFailed, match=str(status)):
        one(server.url)
    assert server.calls() == 1


def test_a_server_that_stays_down_is_asked_with_patience_from_the_first_request_on(server: Server) -> None:
    server.reset(error="server_down", retry_after=0.001)
    with pytest.raises(RequestFailed, match="still answered 503 after every retry"):
        one(server.url)
    assert server.calls() == 1 + openai_client.FIRST_RETRIES + 1 + openai_client.MAX_RETRIES


# Parameters that a server refuses


@pytest.mark.parametrize("name", ["temperature", "top_p", "seed", "response_format"])
def test_a_refused_parameter_is_left_out_and_remembered(server: Server, name: str) -> None:
    server.reset(refuses=[name])

    async def twice() -> dict[str, Any]:
        async with OpenAIClient("m", base_url=server.url, seed=3) as client:
            for occurrence in range(2):
                assert not (await client.complete(request(0, occurrence))).reason
            return client.transport

    transport = asyncio.run(twice())
    assert [name in entry["params"] for entry in server.log()] == [True, False, False]
    assert all({"temperature", "top_p", "seed", "response_format"} - {name} <= set(e["params"]) for e in server.log())
    assert transport == {"refused": [name], "renamed": {}}
    server.reset(refuses=[name])
    assert one(server.url, seed=3, transport=transport).text
    assert server.calls() == 1


def test_max_tokens_under_its_new_name(server: Server) -> None:
    server.reset(refuses=["max_tokens"])
    assert one(server.url, max_tokens=77).text
    first, second = (entry["params"] for entry in server.log())
    assert first["max_tokens"] == 77 and "max_tokens" not in second and second["max_completion_tokens"] == 77
    transport = {"renamed": {"max_tokens": "max_completion_tokens"}}
    server.reset(refuses=["max_tokens", "max_completion_tokens"])
    assert one(server.url, max_tokens=77, transport=transport).text
    assert [set(e["params"]) & {"max_tokens", "max_completion_tokens"} for e in server.log()][-1] == set()


def test_many_at_once_meet_a_refusal(server: Server) -> None:
    server.reset(refuses=["temperature", "response_format", "max_tokens"], latency=0.01)
    requests = [request(lane) for lane in range(30)]
    assert all(isinstance(reply, Reply) and not reply.reason for reply in ask(server.url, requests, max_tokens=99))


# Between them they hold every keyword that a server may refuse.
LISTED = Task("listed", ("claim",), labels=("True", "False"))
SCHEMAS = [schemas.of_rows(one, 5) for one in (TASK, LISTED)]


def ask_with_schemas(client: OpenAIClient, times: int) -> Any:
    made = [replace(request(lane), schema=one) for lane, one in enumerate(SCHEMAS * times)]
    return asyncio.gather(*map(client.complete, made))


@pytest.mark.parametrize(("who", "structured"), [*zip(SCHEMA_ERRORS, ("on", "auto", "on"), strict=True)])
@pytest.mark.parametrize(
    "refused", [["uniqueItems"], ["const"], ["minItems"], ["maxItems", "uniqueItems"], ["minItems", "const"]]
)
def test_a_keyword_of_the_schema_that_is_refused_is_left_out_and_remembered(
    server: Server, who: str, structured: str, refused: list[str]
) -> None:
    server.reset(refuses_keywords=refused, schema_error=who, latency=0.002)

    async def twice(transport: Any = None) -> dict[str, Any]:
        async with OpenAIClient("m", base_url=server.url, structured=structured, transport=transport) as client:
            for times in (10, 1):
                assert not any(reply.reason for reply in await ask_with_schemas(client, times))
            return client.transport

    transport = asyncio.run(twice())
    learnt = [name.removeprefix("response_format.") for name in transport["refused"]]
    assert set(refused) <= set(learnt), "of what refuses without a name, the least known goes first"
    assert "response_format" not in learnt and (who != "named" or set(learnt) == set(refused))
    assert all("response_format" in entry["params"] for entry in server.log())
    server.reset(refuses_keywords=refused, schema_error=who)
    assert asyncio.run(twice(json.loads(json.dumps(transport)))) == transport
    assert server.calls() == 22, "what an earlier session learnt is not tried again"


@pytest.mark.parametrize("who", list(SCHEMA_ERRORS))
def test_a_server_that_refuses_the_whole_schema_is_asked_without(server: Server, who: str) -> None:
    server.reset(refuses_keywords=["type"], schema_error=who)

    async def once() -> list[str]:
        async with OpenAIClient("m", base_url=server.url) as client:
            assert not (await client.complete(replace(request(), schema=SCHEMAS[1]))).reason
            return list(client.transport["refused"])

    tried = [f"response_format.{name}" for name in ("const", "minItems", "maxItems")]
    assert asyncio.run(once()) == [*tried, "response_format"]
    with pytest.raises(RunFailed, match="refuses response_format: use `structured` auto or off"):
        one(server.url, structured="on")


def test_fields_that_are_named_like_keywords_stay() -> None:
    task = Task("odd", ("minItems", "const", "items", "properties"), num_options=2)
    asked = schemas.of_rows(task, 5)
    assert used(asked) == ["uniqueItems", "minItems", "maxItems"]
    less: Any = without(asked, ["uniqueItems", "const", "minItems", "maxItems"])
    row = less["json_schema"]["schema"]["properties"]["examples"]["items"]
    assert list(row["properties"]) == row["required"] == list(task.fields) and used(less) == []
    assert without({"type": "json_object"}, ["const"]) == {"type": "json_object"}
    pinned = {"json_schema": {"schema": {"type": "string", "const": "yes"}}}
    assert without(pinned, ["const"]) == {"json_schema": {"schema": {"type": "string", "enum": ["yes"]}}}


def test_structured_output_on_is_an_error_where_the_server_has_none(server: Server) -> None:
    server.reset(refuses=["response_format"])
    for transport in (None, {"refused": ["response_format"]}):
        with pytest.raises(RunFailed, match="refuses response_format: use `structured` auto or off"):
            one(server.url, structured="on", transport=transport)
    server.reset()
    assert one(server.url, structured="off").text
    assert "response_format" not in server.log()[0]["params"]
    with pytest.raises(UsageError, match="'maybe'"):
        OpenAIClient("m", base_url=server.url, structured="maybe")


# Connections


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        RunFailed, match=rf"127\.0\.0\.1:{port}: .*(refused|Connect call failed).*Is the server running"
    ):
        one(f"http://127.0.0.1:{port}/v1")


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RunFailed, match=r"http://nonexistent\.invalid: .*[Nn]ame.*`base_url` right\?"):
        one("http://nonexistent.invalid/v1")


def test_a_server_that_hangs(server: Server) -> None:
    server.reset(hang=1.0)
    with pytest.raises(RunFailed, match=r"no answer within 0.05 seconds \(`timeout`\)"):
        one(server.url, timeout=0.05)
    assert server.calls() == 1 + openai_client.FIRST_RETRIES


def test_a_server_that_trickles_meets_the_timeout_too() -> None:
    with Raw(completion() * 100, pause=0.02) as raw, pytest.raises(RunFailed, match=r"no answer within 0\.2 seconds"):
        one(raw.url, timeout=0.2)


@pytest.mark.parametrize("fault", ["rate_drop", "rate_cut"])
def test_a_connection_that_breaks_once_the_server_was_there(server: Server, fault: str) -> None:
    async def good_then_bad() -> None:
        async with OpenAIClient("m", base_url=server.url) as client:
            await client.complete(request())
            server.reset(**{fault: 1.0})
            await client.complete(request(1))

    with pytest.raises(RequestFailed, match=r"cannot get an answer from http://127\.0\.0\.1:\d+: \S"):
        asyncio.run(good_then_bad())
    assert server.calls() == 1 + openai_client.MAX_RETRIES


@pytest.mark.parametrize("storm", slow_but(lambda storm: storm == 0, range(3)))
def test_a_storm_loses_nothing(server: Server, storm: int) -> None:
    requests = [request(number % 8, number // 8) for number in range(200)]
    calm = ask(server.url, requests)
    # Every other attempt goes wrong; by the server's seeds no request does so at all of its attempts.
    server.reset(seed=storm, rate_429=0.2, rate_500=0.2, rate_drop=0.1, retry_after=0.01)
    stormy = ask(server.url, requests)
    assert [reply for reply in stormy if not isinstance(reply, Reply)] == []
    assert stormy == calm
    assert server.calls() > 300


def test_connections_dropped_at_the_start_do_not_end_the_run_where_others_got_through(server: Server) -> None:
    server.reset(rate_drop=0.6)
    outcomes = ask(server.url, [request(lane) for lane in range(40)])
    assert [error for error in outcomes if isinstance(error, RunFailed)] == []


def test_retry_after_is_honoured(server: Server) -> None:
    server.reset(fail_first=1, retry_after=0.4)
    assert one(server.url).text
    first, second = server.log()
    assert second["time"] - first["done"] >= 0.39


# What is sent


def test_an_api_seed_depends_on_the_place_alone(server: Server) -> None:
    places = [(0, 0), (0, 1), (1, 0)]

    def seeds(**how: Any) -> list[Any]:
        server.reset()
        ask(server.url, [request(*place, run=f"run-{how}") for place in places], **how)
        sent = {entry["id"].partition("/")[2]: entry["params"].get("seed") for entry in server.log()}
        return [sent[f"{lane}/{occurrence}/key"] for lane, occurrence in places]

    assert seeds() == [None] * 3
    assert seeds(seed=1) == seeds(seed=1, temperature=0.5)
    assert len({*seeds(seed=1), *seeds(seed=2)}) == 6
    assert all(0 <= value < 2**31 for value in seeds(seed=1))


def count_in(seconds: float, url: str, limits: Limits, requests: int) -> float:
    """Ask many things and leave after a while; how long that really took."""

    async def hurry() -> None:
        async with OpenAIClient("m", base_url=url, limits=limits) as client:
            await asyncio.wait(
                [asyncio.create_task(client.complete(request(i))) for i in range(requests)], timeout=seconds
            )

    began = time.monotonic()
    asyncio.run(hurry())
    return time.monotonic() - began


def test_requests_a_minute_are_kept_retries_included(server: Server) -> None:
    # Half of all attempts fail; a tenth of a minute's share may go at once.
    server.reset(rate_500=0.5, retry_after=0.001)
    took = count_in(0.7, server.url, Limits(rpm=120), 60)
    assert 12 <= server.calls() <= 12 + 2 * took + 1


def test_tokens_a_minute_are_kept_where_one_call_is_more_than_a_tenth_of_them(server: Server) -> None:
    limits = Limits(tpm=6_000, completion_tokens=1_000)
    took = count_in(0.7, server.url, limits, 20)
    assert server.calls() * 1_000 <= 600 + 100 * took + 1_000


def test_tokens_a_minute_learn_what_a_reply_takes() -> None:
    limits = Limits(tpm=1_000_000)
    for _ in range(40):
        limits.learn(4_000)

    async def waits() -> bool:
        done, _ = await asyncio.wait([asyncio.create_task(limits.wait(400)) for _ in range(40)], timeout=0.1)
        return len(done) < 40

    assert asyncio.run(waits())


# The key, the address


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UsageError, match="OPENAI_API_KEY is not set: export your key, point `base_url` at a local"):
        OpenAIClient("m")
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(UsageError, match="MY_KEY holds white space") as caught:
        OpenAIClient("m", api_key_env="MY_KEY")
    assert "two words" not in str(caught.value)


def test_a_local_server_needs_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert one(server.url).text


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://x/v1",
        "http://",
        "http://:8000/v1",
        "http://a b/v1",
        "http://[x/v1",
        "http://x:9999999",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_url(url)
    assert repr(url) in str(caught.value)


def test_the_address_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with Raw(b"{") as raw, pytest.raises(RequestFailed) as caught:
        one(raw.url.replace("http://", "http://me:secret@"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-pr***********test.",
        f"Authorization: Bearer {KEY}",
        "token hf_abcdefghijkl is not valid",
    ],
)
def test_redact(said: str) -> None:
    shown = replies.redact(said, KEY)
    assert "[key]" in shown and not any(part in shown for part in (KEY, "sk-pr", "hf_abc"))


# Caps: over the life of the run, by the server's own account


def create(url: str, out: Path, *flags: str) -> tuple[int, list[str]]:
    """`llm-created create`, and the lines it has written."""
    what = ("create", "csqa", "--model", "m", "--strategy", "random", "-n", "150", "--format", "jsonl")
    code = main([*what, "--base-url", url, "--concurrency", "8", "--out", str(out), *flags])
    lines = (out / "train.jsonl").read_text("utf-8").splitlines() if (out / "train.jsonl").exists() else []
    return code, lines


def bought(server: Server) -> list[str]:
    """The ids of requests that were answered."""
    return [entry["id"] for entry in server.log() if entry["status"] == 200]


def tokens(server: Server) -> int:
    return sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in server.log())


def test_max_calls_counts_every_attempt_over_the_life_of_the_run(server: Server, tmp_path: Path) -> None:
    storm = {"rate_429": 0.2, "rate_500": 0.2, "rate_drop": 0.1, "retry_after": 0.002, "refuses": ["temperature"]}
    server.reset(**storm)
    prefixes = []
    for cap in (3, 12, 12, 30):
        code, lines = create(server.url, tmp_path / "out", "--max-calls", str(cap))
        assert code == 3
        assert cap - 1 <= server.calls() <= cap
        prefixes.append(lines)
    code, lines = create(server.url, tmp_path / "out")
    assert code == 0 and len(lines) == 150
    assert all(prefix == lines[: len(prefix)] for prefix in prefixes)
    assert 0 < len(prefixes[-1]) < 150
    assert len(bought(server)) == len(set(bought(server)))


@pytest.mark.parametrize("bound", [(), ("--max-tokens", "400")], ids=["unbounded", "max_tokens"])
@pytest.mark.parametrize("flag", ["--max-tokens-total", "--max-cost"])
def test_a_cap_holds_and_stops_at_a_prefix(
    server: Server, tmp_path: Path, flag: str, bound: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    price = ("--price", "1,1") if flag == "--max-cost" else ()
    prefixes = []
    for cap in (4_000, 9_000):
        shown = str(cap / 1e6) if price else str(cap)
        code, lines = create(server.url, tmp_path / "out", flag, shown, *price, *bound)
        assert code == 3 and flag in capsys.readouterr().err
        assert cap / 2 < tokens(server) <= cap
        prefixes.append(lines)
    code, lines = create(server.url, tmp_path / "out", *price, *bound)
    assert code == 0 and len(lines) == 150
    assert all(prefix == lines[: len(prefix)] for prefix in prefixes)
    assert 0 < len(prefixes[0]) < len(prefixes[1]) < 150
    assert len(bought(server)) == len(set(bought(server))) == 30


def test_a_retry_needs_room_under_the_cap() -> None:
    budget = Budget(max_calls=2)
    reserved = budget.reserve(MESSAGES, 5)
    assert reserved is not None
    budget.retry(reserved.usage, lost=False)
    with pytest.raises(CapReached, match="`max_calls` 2 is used up"):
        budget.retry(reserved.usage, lost=False)
    assert budget.reserve(MESSAGES, 5) is None


@pytest.mark.parametrize("text", ["", "1", "a,b", "-1,2", "1,2,3", "nan,1", "inf,1", "1;2"])
def test_prices_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"as in 0\.15,0\.60") as caught:
        parse_price(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("error", ["unauthorized", "unknown_model", "no_credit", "server_down"])
def test_every_error_is_one_short_line(server: Server, error: str) -> None:
    server.reset(error=error, retry_after=0.001)
    with pytest.raises(LLMCreatedError) as caught:
        one(server.url)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
