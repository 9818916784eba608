"""What hangs or loses: a run ends and says why, and keeps every reply that was paid for, whatever comes back."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from law import EXAMPLE, TASK, HashSimilarity, Writer, identity, run, run_told
from server import MALFORMED, Server

from llm_created import Identity, Journal, Reply, Request, Row, RunFailed, Usage
from llm_created.cli.main import main
from llm_created.clients import openai as openai_client
from llm_created.clients import transport
from llm_created.clients.prices import Price
from llm_created.creation.budget import Budget
from llm_created.errors import RequestFailed, StoppedShort
from llm_created.runs.journal import Spent


@pytest.fixture
def server(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-of-this-very-test")
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.1)
    monkeypatch.setattr(openai_client, "ODD_WAIT", 0.01)
    return server


def create(url: str, out: Path, *flags: str) -> tuple[int, list[str]]:
    """`llm-created create`, and the lines it has written."""
    what = ("create", "csqa", "--model", "m", "--strategy", "naive", "-n", "200", "--format", "jsonl")
    code = main([*what, "--base-url", url, "--out", str(out), *flags])
    return code, (out / "train.jsonl").read_text("utf-8").splitlines() if (out / "train.jsonl").exists() else []


def journal_of(tmp_path: Path) -> Path:
    (folder,) = (Path(os.environ["LLM_CREATED_CACHE"]) / "runs").iterdir()
    return folder


def replies_and_spent(tmp_path: Path) -> tuple[int, Spent]:
    with Journal(journal_of(tmp_path)) as journal:
        return journal.num_replies(), journal.spent()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CREATED_CACHE", str(tmp_path / "cache"))


# Nothing hangs, nothing that arrived is lost


@pytest.mark.parametrize(
    "kind", [one if n % 2 else pytest.param(one, marks=pytest.mark.slow) for n, one in enumerate(MALFORMED)]
)
def test_a_malformed_answer_among_many_is_asked_for_again(kind: str, server: Server, tmp_path: Path) -> None:
    good = create(server.url, tmp_path / "good", "--name", "good")
    server.reset(rate_malformed=0.2, malformed=kind)
    code, lines = create(server.url, tmp_path / "bad", "--concurrency", "64", "--top-p", "0.9")
    assert (code, lines) == (0, good[1])
    statuses = Counter(entry["status"] for entry in server.log())
    assert statuses["malformed"] > 3 and statuses[200] == 40


@pytest.mark.parametrize("concurrency", [64, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["header", "short", "chunk", "status"])
def test_an_answer_that_stays_malformed_ends_the_run_with_all_that_came(
    kind: str, concurrency: int, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(openai_client, "MAX_RETRIES", 2)
    with Server(latency=0.01, fail_first=0) as other:
        proxied = _Sometimes(other.url, lambda request: request.occurrence in (5,), MALFORMED[kind])
        with proxied:
            code, lines = create(proxied.url, tmp_path / "out", "--concurrency", str(concurrency))
        answered = sum(entry["status"] == 200 for entry in other.log())
    assert code == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and "same command" in said and "Traceback" not in said
    assert replies_and_spent(tmp_path)[0] == answered, "all that was sent is journaled"
    assert not lines


class _Sometimes:
    """A server in front of another: some requests get bytes of its own, the others what the other one answers."""

    def __init__(self, url: str, which: Callable[[Request], bool], answer: bytes) -> None:
        self._port, self._which, self._answer = int(url.rpartition(":")[2].removesuffix("/v1")), which, answer
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            ready.set()
            await asyncio.Event().wait()

        def begin() -> None:
            task = self._loop.create_task(serve())
            self._end = lambda: self._loop.call_soon_threadsafe(task.cancel)
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)

        self._thread = threading.Thread(target=begin, daemon=True)
        self._thread.start()
        ready.wait()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        fields = {name.lower(): value for name, value in fields.items()}
        body = await reader.readexactly(int(fields["content-length"]))
        _, lane, occurrence, key = fields["x-client-request-id"].split("/")
        if self._which(Request([], int(lane), key, int(occurrence))):
            writer.write(self._answer)
        else:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            back.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
            writer.write(await there.read())
            back.close()
        await writer.drain()
        writer.close()

    def __enter__(self) -> _Sometimes:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._thread.join()


class Broken(Writer):
    """A client with a fault of its own, which no library knows."""

    def __init__(self, error: BaseException | None, at: int = 5, wait: float = 0.01) -> None:
        super().__init__(wait=wait)
        self.error, self.at = error, at

    async def complete(self, request: Request) -> Reply:
        if request.occurrence == self.at:
            if self.error is None:
                return "no reply"  # type: ignore[return-value]
            raise self.error
        return await super().complete(request)


@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("choices"), "the client broke with KeyError: 'choices'"),
        (ZeroDivisionError("a\nb"), "the client broke with ZeroDivisionError: a b"),
        (asyncio.CancelledError(), "the request was cancelled"),
        (None, "the client returned 'no reply': it must return a Reply"),
    ],
    ids=["key", "zero", "cancelled", "no_reply"],
)
def test_an_exception_that_nobody_knows_ends_the_run_in_a_line(
    error: BaseException | None, said: str, concurrency: int, tmp_path: Path
) -> None:
    who, writer = identity("naive"), Broken(error)
    lines, ended = run_told(tmp_path / "run", who, writer, 400, concurrency=concurrency)
    assert isinstance(ended, RunFailed) and said in str(ended) and "\n" not in str(ended)
    with Journal(tmp_path / "run") as journal:
        assert journal.num_replies() == len(writer.calls) >= 5
    again = Writer()
    whole = run(tmp_path / "run", who, again, 400)
    assert whole[: len(lines)] == lines and not set(again.calls) & set(writer.calls), "nothing is bought twice"


@pytest.mark.parametrize("cap", [{"max_cost": 0.5, "price": Price(1.0, 2.0)}, {"max_tokens_total": 500_000}])
def test_the_first_request_of_every_chain_may_fail_under_a_cap(cap: dict[str, Any], tmp_path: Path) -> None:
    class Down(Writer):
        async def complete(self, request: Request) -> Reply:
            if self.down:
                await asyncio.sleep(0.01)
                raise RequestFailed("the server answered 500")
            return await super().complete(request)

    who, writer = identity("random"), Down()
    writer.down = True  # type: ignore[attr-defined]
    _, ended = run_told(tmp_path / "run", who, writer, 100, budget=Budget(**cap))
    assert isinstance(ended, RunFailed) and "8 requests got no reply: the server answered 500" in str(ended)
    writer.down = False  # type: ignore[attr-defined]
    with Journal(tmp_path / "run") as journal:
        spent = journal.spent()
    assert (spent.prompt_tokens, spent.completion_tokens, spent.lost) == (0, 0, 0)
    lines, ended = run_told(tmp_path / "run", who, writer, 100, budget=Budget(**cap, spent=spent))
    assert ended is None and lines == run(tmp_path / "whole", who, Writer(), 100)


def test_every_chain_fails_first_over_http_under_a_cap(server: Server, tmp_path: Path) -> None:
    server.reset(fail_first=76, retry_after=0.0)
    flags = ("--strategy", "random", "--max-tokens-total", "900000")
    code, _ = create(server.url, tmp_path / "out", *flags)
    assert code == 1
    server.reset()
    assert create(server.url, tmp_path / "out", *flags)[0] == 0


def test_what_failed_and_has_no_room_is_a_cap_and_not_a_hang(tmp_path: Path) -> None:
    class Dear(Writer):
        """Half of the requests fail; what the others use leaves no room for those."""

        async def complete(self, request: Request) -> Reply:
            await asyncio.sleep(0.01)
            if request.occurrence % 2:
                raise RequestFailed("the server answered 500")
            return (await super().complete(request))._replace(usage=Usage(100, 4000, False))

    _, ended = run_told(
        tmp_path / "run", identity("naive"), Dear(), 100, concurrency=4, budget=Budget(max_tokens_total=9_000)
    )
    assert isinstance(ended, StoppedShort) and "`max_tokens_total` 9000 leaves no room" in str(ended)


class BrokenSimilarity(HashSimilarity):
    def __init__(self, error: BaseException) -> None:
        super().__init__("none")
        self.error = error

    async def compare(self, example: Row, rows: Sequence[Row]) -> dict[str, float]:
        await super(HashSimilarity, self).compare(example, rows)
        raise AssertionError("the model breaks first")

    def _load(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error", [KeyError("weights"), MemoryError("no room"), AssertionError("of the model's own"), OSError(28, "full")]
)
def test_an_embedding_model_that_breaks_ends_the_run_in_a_line(error: BaseException, tmp_path: Path) -> None:
    who, writer = identity("similar"), Writer(wait=0.01)
    _, ended = run_told(tmp_path / "run", who, writer, 100, similarity=BrokenSimilarity(error))
    assert isinstance(ended, RunFailed)
    assert f"the embedding model 'none' broke: {type(error).__name__}: " in str(ended)
    with Journal(tmp_path / "run") as journal:
        assert journal.num_replies() == len(writer.calls) > 0
    assert len(run(tmp_path / "run", who, Writer(), 100)) == 100


@pytest.mark.slow
def test_a_folder_that_is_no_embedding_model_is_one_line(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "modules.json").write_text('{"not": "a list"}')
    code, _ = create(
        server.url, tmp_path / "out", "-n", "20", "--strategy", "similar", "--embedding-model", str(tmp_path / "model")
    )
    said = capsys.readouterr().err
    assert code == 1 and said.splitlines()[-1].startswith("error: ") and "Traceback" not in said


@pytest.mark.parametrize(
    "number", ["SIGHUP", *(pytest.param(one, marks=pytest.mark.slow) for one in ("SIGTERM", "SIGINT"))]
)
def test_a_signal_takes_in_what_is_on_its_way(number: str, server: Server, tmp_path: Path) -> None:
    server.reset(latency=0.6)
    command = [sys.executable, "-m", "llm_created", "create", "csqa", "--model", "m", "--base-url", server.url]
    command += ["-n", "2000", "--strategy", "naive", "--concurrency", "33", "--out", str(tmp_path / "out")]
    # A terminal of its own, as ssh gives one, and it goes when the session drops.
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    _wait_for(server, 33)
    if number == "SIGHUP":
        os.close(ours)
    process.send_signal(getattr(signal, number))
    reader = threading.Thread(target=_read_all, args=(ours,), daemon=True)
    if number != "SIGHUP":
        reader.start()
    assert process.wait(60) == 3
    answered = server.stats()["answered"]
    assert 33 <= answered < 100 and replies_and_spent(tmp_path)[0] == answered
    if number != "SIGHUP":
        reader.join(5)
        os.close(ours)


def _wait_for(server: Server, calls: int) -> None:
    end = time.monotonic() + 30
    while server.calls() < calls:
        assert time.monotonic() < end, f"{server.calls()} calls came, not {calls}"
        time.sleep(0.02)


def _read_all(stream: int) -> None:
    with suppress(OSError):
        while os.read(stream, 4096):
            pass


@pytest.mark.slow
def test_nohup_is_kept(server: Server, tmp_path: Path) -> None:
    server.reset(latency=0.2)
    command = [sys.executable, "-m", "llm_created", "create", "csqa", "--model", "m", "--base-url", server.url]
    command += ["-n", "200", "--strategy", "naive", "--concurrency", "8", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        ["nohup", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _wait_for(server, 8)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0


def test_interrupted_runs_do_not_wait_for_attempts_that_are_not_on_their_way(tmp_path: Path) -> None:
    class Retries(Writer):
        attempts = 0

        async def complete(self, request: Request) -> Reply:
            for _ in range(100):
                request.attempt(False)
                self.attempts += 1
                await asyncio.sleep(0.05)
            raise AssertionError("it ends before")

    async def interrupted() -> None:
        stop, writer = asyncio.Event(), Retries()
        asyncio.get_running_loop().call_later(0.12, stop.set)
        with pytest.raises(StoppedShort, match="interrupted"):
            who = identity("naive")
            from llm_created.creation.loop import create as create_rows

            with Journal(tmp_path / "run", who.as_json) as journal:
                async for _ in create_rows(who, writer, journal, 20, concurrency=2, stop=stop):
                    pass
        assert writer.attempts < 20

    asyncio.run(interrupted())


def test_useless_replies_behind_one_that_does_not_come_are_not_bought_for_ever(tmp_path: Path) -> None:
    class Useless(Writer):
        async def complete(self, request: Request) -> Reply:
            if not request.occurrence:
                await asyncio.sleep(0.5)
                raise RequestFailed("the server answered 500")
            return (await super().complete(request))._replace(text="no row at all")

    writer = Useless()
    _, ended = run_told(tmp_path / "run", identity("naive"), writer, 100, concurrency=8, patience=10)
    assert isinstance(ended, RunFailed) and len(writer.calls) <= 10 + 2 * 8 + 1


def test_a_cookie_that_cannot_be_sent_back_ends_nothing(server: Server, tmp_path: Path) -> None:
    cookie = b'HTTP/1.1 500 Oops\r\nSet-Cookie: a="\x01"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    seen = itertools.count()
    with _Sometimes(server.url, lambda request: next(seen) < 3, cookie) as front:
        assert create(front.url, tmp_path / "out", "--concurrency", "2")[0] == 0


def test_large_headers_are_read(server: Server, tmp_path: Path) -> None:
    body = json.dumps({"choices": [{"message": {"content": "no row"}, "finish_reason": "stop"}]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Security-Policy: " + b"x" * 20_000 + b"\r\nConnection: close\r\n\r\n"
    with _Sometimes(server.url, lambda request: True, head + body) as front:
        assert create(front.url, tmp_path / "out", "--max-calls", "2")[0] == 3
    assert replies_and_spent(tmp_path)[0] == 2


# Money


def test_attempts_that_time_out_are_spent(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.reset(latency=0.05, hang=0.3)
    flags = ("--timeout", "1", "--max-cost", "0.02", "--price", "1,2", "--max-tokens", "300", "-n", "60")
    code, _ = create(server.url, tmp_path / "out", *flags)
    log = server.log()
    hung = sum(entry["status"] in ("hung", "gone") for entry in log)
    assert hung > 0 and code in (0, 3)
    _, spent = replies_and_spent(tmp_path)
    # Whatever a server has written for those attempts: it kept its bound.
    most = sum(entry["prompt_tokens"] + 2 * entry["completion_tokens"] for entry in log) / 1e6
    assert spent.calls == len(log) and spent.lost_completion_tokens == 300 * hung
    assert most + hung * 2 * 300 / 1e6 <= (spent.prompt_tokens + 2 * spent.completion_tokens) / 1e6 <= 0.02
    shown = " ".join(capsys.readouterr().out.split())
    assert "of it $0.0" in shown and "for replies that never came, counted as what was reserved for them" in shown
    if (tmp_path / "out" / "README.md").exists():
        assert "for replies that never came" in (tmp_path / "out" / "README.md").read_text()
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "report.html")]) == 0
    assert "for replies that never came" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("fault", ["rate_cut", "rate_drop"])
def test_attempts_that_are_cut_are_spent(fault: str, server: Server, tmp_path: Path) -> None:
    server.reset(**{fault: 0.3})
    assert create(server.url, tmp_path / "out", "--max-tokens", "300")[0] == 0
    cut = sum(entry["status"] != 200 for entry in server.log())
    replies, spent = replies_and_spent(tmp_path)
    assert cut > 3 and spent.lost_completion_tokens == 300 * cut and spent.calls == replies + cut


@pytest.mark.parametrize("fault", ["rate_429", "rate_500"])
def test_attempts_that_are_refused_cost_nothing(fault: str, server: Server, tmp_path: Path) -> None:
    server.reset(**{fault: 0.3}, retry_after=0.001)
    assert create(server.url, tmp_path / "out", "--max-tokens", "300")[0] == 0
    refused = sum(entry["status"] != 200 for entry in server.log())
    replies, spent = replies_and_spent(tmp_path)
    assert refused > 3 and spent.lost == 0 and spent.calls == replies + refused


def test_a_killed_run_counts_what_was_in_flight(server: Server, tmp_path: Path) -> None:
    server.reset(latency=30)
    command = [sys.executable, "-m", "llm_created", "create", "csqa", "--model", "m", "--base-url", server.url]
    command += ["-n", "200", "--strategy", "naive", "--max-tokens", "300", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _wait_for(server, 32)
    process.kill()
    process.wait()
    assert replies_and_spent(tmp_path)[1].lost_completion_tokens == 32 * 300


class Sized(Writer):
    """Replies whose sizes spread over a factor, as a server says that keeps `max_tokens`, or one that does not."""

    def __init__(self, spread: float, obeys: bool = True) -> None:
        super().__init__(wait=0.005)
        self.spread, self.obeys, self.used, self.bounds = spread, obeys, 0, Counter[int | None]()

    async def complete(self, request: Request) -> Reply:
        reply = await super().complete(request)
        share = int.from_bytes(request.key.encode()[:4] + bytes([request.occurrence % 251]), "big") % 1000 / 1000
        size = int(100 * self.spread**share)
        bound = request.max_tokens or size
        self.bounds[request.max_tokens] += 1
        cut = self.obeys and size > bound
        prompt = sum(len(message["content"]) for message in request.messages) // 4
        self.used += prompt + (bound if cut else size)
        return reply._replace(
            usage=Usage(prompt, bound if cut else size, False), finish_reason="length" if cut else "stop"
        )


@pytest.mark.parametrize("spread", [1, 3, 8, 30, 100])
@pytest.mark.parametrize("cap", [3_000, 30_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_a_cap_in_tokens_holds_whatever_the_spread_of_replies(spread: float, cap: int, tmp_path: Path) -> None:
    for strategy in ("naive", "random"):
        writer = Sized(spread)
        who = identity(strategy, chains=64)
        budget = Budget(max_tokens_total=cap)
        _, ended = run_told(tmp_path / strategy, who, writer, 10**6, concurrency=64, patience=10**6, budget=budget)
        assert isinstance(ended, StoppedShort) and "`max_tokens_total`" in str(ended)
        assert writer.used <= cap
        assert writer.used > cap - 900 - 6 * 100 * spread, "it stops near the cap, not long before"
        with Journal(tmp_path / strategy) as journal:
            assert journal.spent().prompt_tokens + journal.spent().completion_tokens == writer.used
    assert None not in writer.bounds and max(bound or 0 for bound in writer.bounds) <= 32_768


def test_a_budget_of_nothing_sends_no_bound(tmp_path: Path) -> None:
    writer = Sized(8)
    run_told(tmp_path / "run", identity("naive"), writer, 100)
    assert set(writer.bounds) == {None}


def test_the_bound_goes_by_replies_that_ended_until_most_do_not() -> None:
    budget, request = Budget(bounded=True), Request([{"role": "user", "content": "Write."}], key="k", max_tokens=4096)

    def bound_after(*replies: tuple[int, str]) -> int | None:
        for tokens, finish in replies:
            budget.learn(request, Reply("", usage=Usage(10, tokens), finish_reason=finish), 1)
        reserved = budget.reserve(request.messages, 1)
        assert reserved is not None
        return reserved.bound

    assert bound_after() == 4096
    assert bound_after(*[(100, "stop")] * 12, *[(4096, "length")] * 6) == 512, "some run away"
    assert bound_after(*[(512, "length")] * 20) == 16384, "more than half need more than they may have"


def test_a_server_that_runs_away_is_bounded_without_a_cap(server: Server, tmp_path: Path) -> None:
    assert create(server.url, tmp_path / "out", "--concurrency", "8")[0] == 0
    sent = [entry["params"].get("max_tokens") for entry in server.log()]
    assert sent[0] == 4096 and None not in sent and sent[-1] < 4096


def test_the_bound_is_said_and_sent(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(server.url, tmp_path / "out", "--max-tokens-total", "900000", "--concurrency", "8")[0] == 0
    sent = {entry["params"].get("max_tokens") for entry in server.log()}
    # The first goes out with the first value, and the whole first wave with it.
    assert None not in sent and 4096 in sent and min(sent) < 4096
    assert "a reply may have up to" in " ".join(capsys.readouterr().out.split())
    server.reset(refuses=["max_tokens"])
    assert create(server.url, tmp_path / "new", "--max-tokens-total", "900000", "--seed", "7")[0] == 0
    assert all("max_completion_tokens" in entry["params"] for entry in server.log() if entry["status"] == 200)


def test_a_bound_that_the_model_cannot_write_is_lowered(tmp_path: Path, server: Server) -> None:
    said = (
        "This model's maximum context length is 2048 tokens, however you requested 4700 tokens (604 in your prompt; "
        "4096 for the completion). Please reduce your prompt; or completion length."
    )
    with _Small(server.url, 1100, said) as small:
        code, lines = create(small.url, tmp_path / "out", "--max-tokens-total", "900000")
    assert code == 0 and len(lines) == 200


class _Small(_Sometimes):
    """A server whose model writes no more than so many tokens, and says so."""

    def __init__(self, url: str, most: int, said: str) -> None:
        body = json.dumps({"error": {"message": said, "type": "BadRequestError", "param": None, "code": 400}}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        super().__init__(url, lambda request: False, (head + "Connection: close\r\n\r\n").encode() + body)
        self._most = most

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        body = await reader.readexactly(size)
        again = asyncio.StreamReader()
        again.feed_data(head + body)
        again.feed_eof()
        self._which = lambda request: json.loads(body)["max_tokens"] > self._most
        await super()._handle(again, writer)


USAGES: list[Any] = [
    {"prompt_tokens": 0, "completion_tokens": 0},
    {"prompt_tokens": True, "completion_tokens": True},
    {"prompt_tokens": -5, "completion_tokens": -7},
    {"prompt_tokens": float("nan"), "completion_tokens": 3},
    {"prompt_tokens": "12", "completion_tokens": "90"},
    {"prompt_tokens": 400, "completion_tokens": 0},
    {"prompt_tokens": 1, "completion_tokens": 1},
    {"prompt_tokens": None, "completion_tokens": [3]},
]


@pytest.mark.parametrize("usage", USAGES, ids=str)
def test_usage_that_cannot_be_is_an_estimate_and_caps_hold_on_it(usage: Any, server: Server, tmp_path: Path) -> None:
    server.reset(usage=usage)
    code, lines = create(server.url, tmp_path / "out", "--max-tokens-total", "3000")
    assert code == 3 and len(lines) < 60
    _, spent = replies_and_spent(tmp_path)
    assert 0 < spent.estimated == spent.prompt_tokens + spent.completion_tokens <= 3_000


@pytest.mark.parametrize("usage", [Usage(0, 0, False), Usage(-1, 10**30, False), Usage(True, True, False)])
def test_usage_of_a_client_of_ones_own_is_checked_too(usage: Usage, tmp_path: Path) -> None:
    class Liar(Writer):
        async def complete(self, request: Request) -> Reply:
            return (await super().complete(request))._replace(usage=usage)

    budget = Budget(max_tokens_total=5_000)
    _, ended = run_told(tmp_path / "run", identity("naive"), Liar(), 900, budget=budget)
    assert isinstance(ended, StoppedShort) and 0 < budget.spent.estimated <= 5_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_refused(
    status: int, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = server.url + "/chat/completions"
    answer = f"HTTP/1.1 {status} Moved\r\nLocation: {there}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with _Sometimes(server.url, lambda request: True, answer.encode()) as front:
        code, _ = create(front.url, tmp_path / "out")
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 1 and f"redirects ({status}) to '{server.url.removesuffix('/v1')}'" in said and "--base-url" in said
    assert server.calls() == 0, "no prompt went there"


@pytest.mark.parametrize("place", ["http://[", "//user:secret@", "ftp://127.0.0.1/", "\\\\evil"])
def test_redirects_to_nowhere(place: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = f"HTTP/1.1 308 Moved\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with _Sometimes(server.url, lambda request: True, answer.encode()) as front:
        code, _ = create(front.url, tmp_path / "out", "--max-calls", "9")
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code in (1, 3) and len(said) < 400 and "Traceback" not in said and "secret" not in said


def test_a_redirect_on_the_same_server_is_followed_and_counted(server: Server, tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 307 Moved\r\nLocation: /v1/chat/completions?again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    hops = itertools.count()
    with _Sometimes(server.url, lambda request: next(hops) % 2 == 0, answer) as front:
        code, lines = create(front.url, tmp_path / "out", "--concurrency", "1")
    assert code == 0 and len(lines) == 200
    replies, spent = replies_and_spent(tmp_path)
    assert replies == server.calls() == 40 and spent.calls == 80 and spent.lost == 0


def test_redirects_round_and_round_end(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = b"HTTP/1.1 307 Moved\r\nLocation: /v1/a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with _Sometimes(server.url, lambda request: True, answer) as front:
        assert create(front.url, tmp_path / "out")[0] == 1
    assert "redirects again and again" in capsys.readouterr().err


# What servers send


def gzip_bomb() -> bytes:
    """Two gigabytes of blanks; the same packed block again and again, and no true checksum: nobody may come so far."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + block * 2_000 + b"\x03\x00" + bytes(8)


@pytest.mark.parametrize("kind", ["endless", "gzip", "deep"])
def test_bodies_are_bounded(kind: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "endless":
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * (transport.MAX_BODY + 2)
    elif kind == "gzip":
        body = gzip_bomb()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        answer = head.encode() + body
    else:
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b"[" * 2**20
    with _Sometimes(server.url, lambda request: request.occurrence == 2, answer) as front:
        code, lines = create(front.url, tmp_path / "out", "--concurrency", "4", "-n", "40")
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 1 and not lines and "What came is kept" in said
    assert replies_and_spent(tmp_path)[0] == server.calls() == 7
    assert ("over 16 MB" in said) == (kind != "deep")


def test_a_packed_body_is_read(server: Server, tmp_path: Path) -> None:
    content = json.dumps(
        {"choices": [{"message": {"content": json.dumps(EXAMPLE)}, "finish_reason": "stop"}]}
    ).encode()
    for name, packed in (("gzip", gzip.compress(content)), ("deflate", zlib.compress(content))):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {len(packed)}\r\n\r\n"
        with _Sometimes(server.url, lambda request: True, head.encode() + packed) as front:
            code, _ = create(front.url, tmp_path / name, "--max-calls", "2", "--seed", str(len(name)))
        assert code == 3 and server.calls() == 0


def test_a_server_that_echoes_the_key_does_not_get_it_into_the_journal(server: Server, tmp_path: Path) -> None:
    key = os.environ["OPENAI_API_KEY"]
    row = dict(zip(EXAMPLE, (f"Is Bearer {key} a seat?", ["sofa", "pond", "sky"], "sofa"), strict=True))
    body = json.dumps(
        {
            "model": f"m {key}", "system_fingerprint": key,
            "choices": [{"message": {"content": json.dumps(row)}, "finish_reason": key}],
        }
    ).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with _Sometimes(server.url, lambda request: True, head.encode() + body) as front:
        create(front.url, tmp_path / "out", "--max-calls", "3", "--concurrency", "1")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"[key]" in written and key.encode() not in written


def test_identity_of_the_law_is_what_these_tests_use() -> None:
    assert isinstance(identity("naive"), Identity) and TASK.name == "law"
