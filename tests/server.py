"""A loopback server that speaks the OpenAI chat-completions protocol, in a process of its own.

    with Server(latency=0.05, rate_429=0.2) as server:
        client = AsyncOpenAI(base_url=server.url, api_key="any")

    python tests/server.py --port 0 --settings '{"latency": 0.5}'     # prints "PORT 40123" first

What it answers is a function of the messages and of lane and occurrence in `X-Client-Request-Id`
(`<run>/<lane>/<occurrence>/<key>`), and of nothing else: not of the run, the time or the order of arrival.

It knows the prompts that show an example and those that show none: for one row, for a list, for attributes, and for a
judgement. The number at the end of each text that it writes says which of the options is right, so that its judgements
can be right, or wrong at a known rate.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from aiohttp import web
from loopback import Loopback, arguments, listening

ADJECTIVES = (
    "amber bitter brave calm clever cold curious distant eager early fierce gentle golden hollow humble icy "
    "jolly late lively lonely mellow narrow noble pale proud quiet rapid rusty silent steep tender wild"
).split()
NOUNS = (
    "fox river lantern harbor teacher bridge garden violin engine meadow baker tower letter wolf orchard kettle "
    "sailor window castle pigeon market glacier hammer doctor forest ticket planet blanket farmer candle train spoon"
).split()

# name: (status, message, type, param, code), as OpenAI words them.
ERRORS: dict[str, tuple[int, str, str, str | None, str | None]] = {
    "unauthorized": (401, "Incorrect API key provided: {key}.", "invalid_request_error", None, "invalid_api_key"),
    "unknown_model": (
        404, "The model `{model}` does not exist or you do not have access to it.", "invalid_request_error", None,
        "model_not_found",
    ),
    "no_credit": (
        429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota",
        None, "insufficient_quota",
    ),
    "context_length": (
        400, "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens.",
        "invalid_request_error", "messages", "context_length_exceeded",
    ),
    "content_filter": (
        400, "The response was filtered due to the prompt triggering the content management policy.", "", "prompt",
        "content_filter",
    ),
    "server_down": (503, "The server is currently overloaded, please try again later.", "server_error", None, None),
}  # fmt: skip
UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
REFUSED: dict[str, tuple[str, str | None]] = {
    "max_tokens": (UNSUPPORTED + " Use 'max_completion_tokens' instead.", "unsupported_parameter"),
    "temperature": ("Unsupported value: '{}' does not support this value with this model.", "unsupported_value"),
    "response_format": ("Invalid parameter: '{}' of type 'json_schema' is not supported with this model.", None),
}
# What servers say of a keyword that stands in a schema: OpenAI, vLLM, llama.cpp.
SCHEMA_ERRORS = {
    "named": (
        "Invalid schema for response_format 'examples': In context=('properties', 'examples'), '{}' is not permitted."
    ),
    "features": "The provided JSON schema contains features not supported by xgrammar",
    "whole": "Unrecognized schema",
}
CONTENTS = ("array", "control", "cut_off", "deep", "empty", "huge", "pretty", "prose", "useless", "wrapped")
# Answers that are no HTTP, or no honest one: `{body}` and `{size}` are those of the right answer.
MALFORMED: dict[str, bytes] = {
    "header": b"HTTP/1.1 200 OK\r\nContent-Security-Policy: " + b"x" * 90_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"X-%d: 1\r\n" % n for n in range(999))
    + b"Content-Length: 2\r\n\r\n{}",
    "short": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{}",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "half_chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "status": b"HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\n{}",
    "no_http": b"220 mail.example.org ESMTP\r\n\r\n",
    "null": b"HTTP/1.1 200 OK\r\nX-Bad: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    "nothing": b"",
}
REPLIES = ("", *CONTENTS, "error_200", "html", "list", "no_choices", "null", "reasoning", "refusal")


@dataclass
class Settings:
    """What the server does. "Share" and "rate" are drawn by hash, so they hit the same requests in every run."""

    # Time.
    latency: float = 0.0  # seconds before an answer; errors come at once
    sigma: float = 0.0  # log-normal: latency * exp(sigma * N(0, 1))
    shuffle: float = 0.0  # plus uniform in [0, shuffle], truly random
    # The rows. Of each reply the first `good_first` are always good.
    rows: int | None = None  # rows a reply, instead of what the prompt asks for
    salt: str = ""  # another salt, another model: other rows
    label_weights: dict[str, float] = field(default_factory=dict)  # {"True": 4, "False": 1}, whatever is demanded
    wrong_label_rate: float = 0.0  # share of rows whose answer is not the right one
    duplicate_rate: float = 0.0  # share of rows out of a common pool of `pool` rows
    pool: int = 20
    bad_json_rate: float = 0.0  # share of rows that are cut off
    wrong_answer_rate: float = 0.0  # share of rows whose answer is none of the options
    good_first: int = 0
    # Prompts that ask for no row.
    wrong_vote_rate: float = 0.0  # share of judgements that are not for the right option
    refuse_lists_rate: float = 0.0  # share of lists that are refused
    # The reply round the rows.
    reply: str = ""  # one of REPLIES, or "text:<literal>"
    reply_share: float = 1.0  # share of requests that get `reply`; the others get JSON lines
    structured: bool = True  # a request with response_format gets {"examples": [...]}
    usage: bool | dict[str, int] = True  # counted, none, or these very numbers
    finish_reason: str = "stop"
    # Errors that stay: the same requests get them at every attempt.
    error: str = ""  # one of ERRORS
    status: int = 0  # or any status
    error_share: float = 1.0
    refuses: tuple[str, ...] = ()  # parameters that get a 400 which names them
    refuses_keywords: tuple[str, ...] = ()  # keywords of a schema that get a 400, as `schema_error` says
    schema_error: str = "named"  # one of SCHEMA_ERRORS
    # Faults that pass: drawn anew at every attempt, and at another `seed`.
    seed: int = 0
    rate_429: float = 0.0
    rate_500: float = 0.0
    rate_drop: float = 0.0  # closed without an answer
    rate_cut: float = 0.0  # closed in the middle of the answer
    hang: float = 0.0  # never answered
    rate_malformed: float = 0.0  # answered in broken HTTP, as `malformed` says
    malformed: str = "header"  # one of MALFORMED
    fail_first: int = 0  # a 500 at the first attempts of every id
    retry_after: float | None = 0.05  # sent with 429 and 5xx; None sends nothing, as a real 500 does
    stop_after: int | None = None  # an outage after so many answers, until reset
    log: bool = True

    def __post_init__(self) -> None:
        if self.reply not in REPLIES and not self.reply.startswith("text:"):
            raise ValueError(f"reply {self.reply!r} is none of {REPLIES}")
        if self.error and self.error not in ERRORS:
            raise ValueError(f"error {self.error!r} is none of {tuple(ERRORS)}")


class Shape(NamedTuple):
    """What the example in a prompt looks like; its options have no name where the prompt names them once for all."""

    keys: tuple[str, ...]
    options: str
    answer: str
    choices: tuple[Any, ...]


class Wanted(NamedTuple):
    """The rows that a prompt asks for: their shape, whether they share its options, how many, and what is demanded."""

    shape: Shape
    fixed: bool
    count: int
    must: dict[str, str]


QUOTED = r'("(?:[^"\\]|\\.)*")'
MUST = re.compile(rf"^- {QUOTED} \*\*must\*\* be {QUOTED}\.$", re.M)
ONE_ROW = re.compile(rf"with the keys (.+) in this order; {QUOTED} is (?:one of (\[.*\])|a list of (\d*))")
NAMED = re.compile(rf"^- In each of them, {QUOTED} \*\*must\*\* be one of (\[.*\])\.$", re.M)
TOKEN = re.compile(r"\b([0-9a-f]{8})\?")
REFUSAL = "I'm sorry, but I can't help with that."


@lru_cache(maxsize=1024)
def read_shape(text: str) -> Shape | None:
    """The shape of the first JSON object in a text that has a list of options."""
    at = text.find("{")
    while at >= 0:
        try:
            example, end = json.JSONDecoder(strict=False).raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            for name, value in example.items():
                if isinstance(value, list) and value:
                    known = {str(option).strip().lower() for option in value}
                    keys = tuple(example)
                    # The answer is looked for after the options first: a question may well be spelled like an option.
                    near = sorted(keys, key=lambda key: (key.lower() != "answer", keys.index(key) < keys.index(name)))
                    named = [key for key in near if key != name and str(example[key]).strip().lower() in known]
                    return Shape(keys, name, named[0], tuple(value)) if named else None
        at = text.find("{", end)
    return None


@lru_cache(maxsize=64)
def read_instruction(text: str) -> tuple[int, bool]:
    """How many rows a prompt asks for, and whether they share the example's options."""
    found = re.search(r"creating (\d+) example", text)
    return (int(found[1]) if found else 5), "same options" in text


@lru_cache(maxsize=64)
def read_keys(text: str) -> tuple[Shape, bool] | None:
    """The shape of the row that a system message without an example describes, and whether its options are fixed."""
    found = ONE_ROW.search(text) if text.startswith("You write one example of a dataset.") else None
    if found is None:
        return None
    keys, name = tuple(json.loads(f"[{found[1]}]")), json.loads(found[2])
    if found[3]:  # fixed labels: the answer is named, and a row does not list them
        return Shape(keys, "", name, tuple(json.loads(found[3]))), True
    return Shape(keys, name, keys[keys.index(name) + 1], tuple(range(int(found[4] or 3)))), False


def read_named(system: str, text: str) -> Shape | None:
    """The shape of an example whose options the system message names."""
    found = NAMED.search(system)
    if found is None:
        return None
    example = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    return Shape(tuple(example), "", json.loads(found[1]), tuple(json.loads(found[2])))


def read_rows(texts: list[str]) -> Wanted | None:
    """The rows that the messages ask for."""
    must = {json.loads(name): json.loads(value) for name, value in MUST.findall(texts[-1])}
    described = read_keys(texts[0])
    if described:
        return Wanted(*described, 1, must)
    count, fixed = read_instruction(texts[0])
    named = read_named(texts[0], texts[-1])
    if named:
        return Wanted(named, True, count, must)
    shape = next(filter(None, map(read_shape, reversed(texts))), None)
    return None if shape is None else Wanted(shape, fixed, count, must)


def blake(data: bytes, size: int = 16) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()


def uniform(digest: bytes, purpose: str) -> float:
    """A number in (0, 1) that depends on its arguments alone."""
    return (int.from_bytes(blake(digest + purpose.encode(), 6), "big") + 0.5) / 2**48


def pick(options: tuple[Any, ...], number: int, weights: dict[str, float]) -> Any:
    if not weights:
        return options[number % len(options)]
    shares = [weights.get(str(option), 1.0) for option in options]
    left = (number & 0xFFFFFF) / 2**24 * sum(shares)
    for option, share in zip(options, shares, strict=True):
        left -= share
        if left < 0:
            return option
    return options[-1]


def in_order(options: Sequence[Any]) -> list[Any]:
    """The options in an order of their own, in which the number in a row's text says the place of the right one."""
    return sorted(options, key=lambda option: str(option).casefold())


def write_row(
    shape: Shape,
    fixed: bool,
    number: int,
    weights: dict[str, float],
    must: Mapping[str, str] | None = None,
    wrong: float = 0.0,
) -> dict[str, Any]:
    """One row out of a 128-bit number: bits 0-51 make its text distinct, 52-75 its answer, 76-85 its options."""
    must = must or {}
    if fixed:
        options = shape.choices
    else:
        first, word = number >> 76 & 31, ADJECTIVES[number >> 81 & 31]
        options = tuple(
            f"{word} {NOUNS[(first + i) & 31]}" + (f" {i}" if i > 31 else "") for i in range(len(shape.choices))
        )
    answer = pick(options, number >> 52 & 0xFFFFFF, weights)
    if not weights and shape.answer in must:
        answer = next((option for option in options if str(option) == must[shape.answer]), answer)
    meant = answer
    if wrong and uniform(number.to_bytes(16, "big"), "wrong label") < wrong:
        meant = another(options, answer, number)
    token = number >> 20 & 0x7FFFFFFF
    token += in_order(options).index(meant) - token % len(options)
    text = (
        f"the {ADJECTIVES[number & 31]} {NOUNS[number >> 5 & 31]} and the {ADJECTIVES[number >> 10 & 31]} "
        f"{NOUNS[number >> 15 & 31]} {token:08x}"
    )
    row: dict[str, Any] = {key: must.get(key, f"{key.capitalize()} about {text}?") for key in shape.keys}
    if shape.options:
        row[shape.options] = list(options)
    row[shape.answer] = answer
    return row


def another(options: Sequence[Any], answer: Any, number: int) -> Any:
    """One of the other options."""
    others = [option for option in options if option != answer]
    return others[number % len(others)]


def write_rows(wanted: Wanted, digest: bytes, to: Settings) -> tuple[list[Any], list[str]]:
    """The rows of one reply, and each as a line; bits 96-127 of a row's number decide what is wrong with it."""
    shape, rows, lines = wanted.shape, [], []
    for i in range(wanted.count if to.rows is None else to.rows):
        number = int.from_bytes(blake(digest + i.to_bytes(4, "big")), "big")
        fate = (number >> 96) / 2**32 if i >= to.good_first else 1.0
        if fate < to.duplicate_rate:
            common = f"pool/{to.salt}/{shape.keys}/{(number >> 52) % to.pool}"
            number = int.from_bytes(blake(common.encode("utf-8", "surrogatepass")), "big")
        row = write_row(shape, wanted.fixed, number, to.label_weights, wanted.must, to.wrong_label_rate)
        fate -= to.duplicate_rate
        if 0 <= fate < to.wrong_answer_rate:
            row[shape.answer] = "none of these"
        line = json.dumps(row, ensure_ascii=False)
        fate -= to.wrong_answer_rate
        lines.append(line[:-2] if 0 <= fate < to.bad_json_rate else line)
        rows.append(row)
    return rows, lines


def write_list(text: str, digest: bytes) -> str:
    """What a prompt for a list asks for: labels or values that it shows, or items of our own, all different."""
    count = next((int(number) for number in re.findall(r"\b[Gg]ive (\d+) ", text)), 5)
    numbers = (int.from_bytes(blake(digest + i.to_bytes(4, "big")), "big") for i in range(10**6))
    values = re.findall(r"^- (.+)$", text, re.M)
    if labels := re.search(r"^The labels are: (.+)\.$", text, re.M):
        last = text.rpartition("\n")[2]
        own = [label for label in labels[1].split("; ") if json.dumps(label, ensure_ascii=False) not in last]
        items = sorted(own, key=lambda label: blake(digest + label.encode()))[:count]
    elif values:
        items = [value for value in values[:3] if next(numbers) % 10 == 0]
    else:
        items = []
        while len(items) < count:
            number = next(numbers)
            item = f"a {ADJECTIVES[number & 31]} {NOUNS[number >> 5 & 31]}, number {number >> 10 & 0xFFFF}"
            items += [] if item in items else [item]
    return json.dumps({"items": items}, ensure_ascii=False)


def write_attributes(text: str) -> str:
    """Dimensions; one of them by label, where that is offered."""
    found = {"style": ADJECTIVES[:6], "place": NOUNS[:6], "kind": NOUNS[8:14]}
    items: list[dict[str, Any]] = [{"name": name, "values": values} for name, values in found.items()]
    if "per_label" in text:
        items = [one | {"per_label": ""} for one in items]
        items[-1] |= {"values": [], "per_label": "a kind of it"}
    return json.dumps({"items": items})


def write_vote(system: str, text: str, digest: bytes, to: Settings) -> str:
    """The right option of a row of ours, or another one; of other rows, one that depends on the text alone."""
    shown = json.loads(text)
    options = next(value for value in shown.values() if isinstance(value, list))
    token = TOKEN.search(text)
    inputs = [value for value in shown.values() if isinstance(value, str) and value not in options]
    number = int(token[1], 16) if token else int.from_bytes(blake(json.dumps(inputs).encode()), "big")
    chosen = in_order(options)[number % len(options)]
    if uniform(digest, "vote") < to.wrong_vote_rate:
        chosen = another(options, chosen, int.from_bytes(digest, "big"))
    said = {"explanation": "The number at the end of the text says so."} if '"explanation"' in system else {}
    return json.dumps(said | {"answer": chosen}, ensure_ascii=False)


def write_other(texts: list[str], digest: bytes, to: Settings) -> str:
    """The reply to a prompt that asks for no row, or ""."""
    if texts[0].startswith("You help to plan a dataset."):
        if "attribute dimensions" in texts[0]:
            return write_attributes(texts[0])
        return REFUSAL if uniform(digest, "refuse") < to.refuse_lists_rate else write_list(texts[-1], digest)
    return write_vote(texts[0], texts[-1], digest, to) if "You are given an example of a task" in texts[0] else ""


def dress(reply: str, rows: list[Any], lines: list[str]) -> str:
    """The content of a message: the rows as `reply` wants them, or whatever it wants instead."""
    text = "\n".join(lines)
    if reply == "array":
        text = "[" + ",\n".join(lines) + "]"
    elif reply == "wrapped":
        text = '{"examples": [' + ",\n".join(lines) + "]}"
    elif reply == "pretty":
        text = "\n\n".join(json.dumps(row, indent=2, ensure_ascii=False) for row in rows)
    elif reply == "prose":
        text = f"Sure! Here are the examples {{as asked}}:\n\n```json\n{text}\n```\nLet me know if you need more."
    elif reply == "cut_off":
        text = text[:-10]
    elif reply == "huge":
        text += '\n{ "and so on" [ ' * 600_000
    elif reply == "deep":
        text = "[" * 100_000 + '{"a":' * 100_000
    elif reply == "control":
        # Both as an escape within the row's JSON and raw in the content, which the outer JSON then escapes.
        text = "\n".join(line.replace("about", r"\u0000\ud800 about\u001b[31m", 1) for line in lines[::2])
        text += "\n" + "\n".join(line.replace("about", "\x00\x07\ud800about\r\x85", 1) for line in lines[1::2])
    elif reply == "useless":
        text = "I would rather talk about the weather. What do you think?"
    return reply.removeprefix("text:") if reply.startswith("text:") else text


def error_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


class Outcome(NamedTuple):
    """What is sent."""

    status: int
    body: bytes
    html: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


TOO_MANY = Outcome(429, error_body("Rate limit reached", "requests", None, "rate_limit_exceeded"))
BROKEN = Outcome(500, error_body("The server had an error", "server_error", None, None))


def answer(body: dict[str, Any], digest: bytes, to: Settings) -> Outcome:
    """The answer to one request, a pure function of its arguments."""
    messages = body["messages"]
    texts = [str(message.get("content") or "") for message in messages]
    reply = to.reply if to.reply and uniform(digest, "reply") < to.reply_share else ""
    if reply == "html":
        return Outcome(200, b"<!doctype html><html><body><h1>It works!</h1></body></html>", True)
    if reply == "list":
        return Outcome(200, b"[]")
    if reply == "error_200":
        return Outcome(200, error_body("Provider returned error", "server_error", None, "502"))
    if not reply and to.structured and "response_format" in body:
        schema = body["response_format"].get("json_schema", {}).get("schema", {})
        reply = "wrapped" if "examples" in schema.get("properties", {"examples": {}}) else ""
    other = write_other(texts, digest, to)
    wanted = None if other else read_rows(texts)
    message: dict[str, Any] = {"role": "assistant", "content": "I see no example in your messages.", "refusal": None}
    if reply in ("empty", "reasoning"):
        message["content"] = ""
    elif reply == "null":
        message["content"] = None
    elif reply == "refusal":
        message |= {"content": None, "refusal": REFUSAL}
    elif other and reply != "deep":
        # Only rows can be an array, in a wrapping object, or several.
        message["content"] = dress("" if reply in ("array", "wrapped", "pretty", "control") else reply, [], [other])
    elif wanted is None or reply == "deep":
        message["content"] = dress(reply, [], []) if reply else message["content"]
    else:
        rows, lines = write_rows(wanted, digest, to)
        message["content"] = dress(reply, rows, lines)
    if reply == "reasoning":
        message["reasoning_content"] = "The user wants examples. Let me think about what they may look like."
    used = (sum(map(len, texts)) // 4 + 1, len(message["content"] or "") // 4 + 1)
    finish = "length" if reply == "cut_off" else to.finish_reason
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    whole: dict[str, Any] = {
        "id": f"chatcmpl-{digest.hex()}", "object": "chat.completion", "created": 1_700_000_000,
        "model": body.get("model"), "system_fingerprint": "fp_loopback",
        "choices": None if reply == "no_choices" else [choice],
    }  # fmt: skip
    if isinstance(to.usage, dict):
        whole["usage"] = to.usage
        used = (to.usage.get("prompt_tokens", 0), to.usage.get("completion_tokens", 0))
    elif to.usage:
        whole["usage"] = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    else:
        used = (0, 0)
    # Escaped to ASCII, so that a lone surrogate travels as \ud800.
    return Outcome(200, json.dumps(whole).encode(), False, *used)


LOGGED = (
    "time", "id", "status", "digest", "params", "retry", "prompt_tokens", "completion_tokens", "done",
)  # fmt: skip


class App:
    """The server's side: settings, counters and the log."""

    def __init__(self, settings: Settings) -> None:
        self.reset(settings)

    def reset(self, settings: Settings) -> None:
        self.to = settings
        self.calls = self.answered = self.flying = self.peak = 0
        self.attempts: dict[str, int] = {}
        self.log: list[list[Any]] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if path == "/v1/chat/completions":
            return await self.complete(request)
        if path == "/_control":
            return await self.control(request)
        if path == "/v1/models":
            models = [{"id": "loopback", "object": "model", "created": 0, "owned_by": "tests"}]
            return send(Outcome(200, json.dumps({"object": "list", "data": models}).encode()))
        return send(Outcome(404, error_body(f"Unknown path {path}", "invalid_request_error", None, None)))

    async def control(self, request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            try:
                self.reset(Settings(**await request.json()))
            except (TypeError, ValueError) as error:
                return send(Outcome(400, str(error).encode()))
        if request.query_string == "log":
            return send(Outcome(200, json.dumps(self.log).encode()))
        counts = {"calls": self.calls, "answered": self.answered, "peak": self.peak, "cpu": time.process_time()}
        return send(Outcome(200, json.dumps(counts).encode()))

    async def complete(self, request: web.BaseRequest) -> web.Response:
        arrived = time.time()
        to, headers = self.to, request.headers
        call_id = headers.get("X-Client-Request-Id", "")
        body = json.loads(await request.read())
        texts = "\x1f".join([f"{message['role']}\x1e{message.get('content')}" for message in body["messages"]])
        messages = blake(texts.encode("utf-8", "surrogatepass"))
        # Without the run and without the key, which is a digest of the messages.
        digest = blake(messages + f"{to.salt}/{'/'.join(call_id.split('/')[-3:-1])}".encode())
        self.calls += 1
        self.flying += 1
        self.peak = max(self.peak, self.flying)
        entry = [arrived, call_id, "waiting", messages.hex(), (), "0", 0, 0, 0.0]
        if to.log:
            params = {name: value for name, value in body.items() if name not in ("messages", "response_format")}
            entry[4] = params | ({"response_format": True} if "response_format" in body else {})
            entry[5] = headers.get("x-stainless-retry-count", "0")
            self.log.append(entry)
        try:
            return await self.respond(request, body, call_id, digest, entry)
        except asyncio.CancelledError:
            entry[2] = "gone" if entry[2] == "waiting" else entry[2]  # the client has hung up
            raise
        finally:
            self.flying -= 1
            entry[8] = time.time()

    async def respond(
        self, request: web.BaseRequest, body: dict[str, Any], call_id: str, digest: bytes, entry: list[Any]
    ) -> web.Response:
        to = self.to
        fault = self.fault(request, body, call_id, digest)
        if isinstance(fault, Outcome):
            entry[2] = fault.status
            return send(fault, retry_after(to, fault.status))
        if fault == "hung":
            entry[2] = fault
            await asyncio.Event().wait()
        seconds = to.latency
        if to.sigma:
            drawn = uniform(digest, f"latency/{to.seed}")
            seconds *= math.exp(to.sigma * statistics.NormalDist().inv_cdf(drawn))
        if to.shuffle:
            seconds += random.uniform(0, to.shuffle)
        outcome = answer(body, digest, to)
        if seconds > 0:
            await asyncio.sleep(seconds)
        if to.stop_after is not None and self.answered >= to.stop_after:
            fault = "dropped"
        if fault:
            entry[2] = fault
            if fault == "cut" and request.transport:
                size = len(outcome.body)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
                request.transport.write(head.encode() + outcome.body[: size // 2])
            if fault == "malformed" and request.transport:
                request.transport.write(MALFORMED[to.malformed])
            if request.transport:
                request.transport.close()
            return send(outcome)  # goes nowhere: the connection is closed
        self.answered += 1
        entry[2], entry[6], entry[7] = outcome.status, outcome.prompt_tokens, outcome.completion_tokens
        return send(outcome)

    def fault(self, request: web.BaseRequest, body: dict[str, Any], call_id: str, digest: bytes) -> Outcome | str:
        """The error that a request gets at this attempt, or the name of what happens to its connection, or ""."""
        to = self.to
        if to.stop_after is not None and self.answered >= to.stop_after:
            return "dropped"
        for name in to.refuses:
            if name in body:
                text, code = REFUSED.get(name, (UNSUPPORTED, "unsupported_parameter"))
                return Outcome(400, error_body(text.format(name), "invalid_request_error", name, code))
        for name in to.refuses_keywords:
            if f'"{name}": ' in json.dumps(body.get("response_format")):
                text = SCHEMA_ERRORS[to.schema_error].format(name)
                return Outcome(400, error_body(text, "invalid_request_error", None, None))
        if (to.error or to.status) and uniform(digest, "error") < to.error_share:
            told = (to.status, f"The loopback server was told to answer {to.status}.", "server_error", None, None)
            status, text, kind, param, code = ERRORS[to.error] if to.error else told
            key = request.headers.get("Authorization", "").removeprefix("Bearer ")
            text = text.format(key=key, model=body.get("model"))
            return Outcome(to.status or status, error_body(text, kind, param, code))
        attempt = self.attempts.get(call_id or digest.hex(), 0)
        self.attempts[call_id or digest.hex()] = attempt + 1
        if attempt < to.fail_first:
            return BROKEN
        left = uniform(digest, f"{to.seed}/{attempt}")
        for rate, what in (
            (to.rate_429, TOO_MANY),
            (to.rate_500, BROKEN),
            (to.rate_drop, "dropped"),
            (to.rate_cut, "cut"),
            (to.hang, "hung"),
            (to.rate_malformed, "malformed"),
        ):
            if left < rate:
                return what
            left -= rate
        return ""


def retry_after(to: Settings, status: int) -> dict[str, str]:
    if to.retry_after is None or (status != 429 and status < 500):
        return {}
    return {"Retry-After": f"{to.retry_after:g}", "retry-after-ms": f"{to.retry_after * 1000:g}"}


def send(outcome: Outcome, headers: dict[str, str] | None = None) -> web.Response:
    kind = "text/html" if outcome.html else "application/json"
    return web.Response(body=outcome.body, status=outcome.status, headers={"Content-Type": kind} | (headers or {}))


async def serve(port: int, settings: Settings, until_eof: bool) -> None:
    # The low-level server: no routing, no access log. A client that hangs up cancels its request's handler.
    server = web.Server(App(settings).handle, handler_cancellation=True, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, backlog=2048)
    await listening(listener.sockets[0].getsockname()[1], until_eof)


class Server(Loopback):
    """Starts the server, and tells it what to do."""

    SCRIPT = __file__

    def __init__(self, **settings: Any) -> None:
        super().__init__("--settings", json.dumps(asdict(Settings(**settings))))

    @property
    def url(self) -> str:
        """What a client takes as its base URL, `http://127.0.0.1:<port>/v1`."""
        return f"{self.address}/v1"

    def reset(self, **settings: Any) -> None:
        """Replace all settings (what is not given goes back to its default), and clear counters and log."""
        self.control(told=asdict(Settings(**settings)))

    def log(self) -> list[dict[str, Any]]:
        """Every chat request in the order of arrival, with the keys of `LOGGED`.

        `status` is the status sent, or "waiting", "dropped", "cut", "hung", or "gone" where the client left before
        its answer; `params` holds the request's body without messages (`response_format` as True).
        """
        return [dict(zip(LOGGED, entry, strict=True)) for entry in self.control("?log")]

    def stats(self) -> dict[str, float]:
        """`calls` received, `answered` with 200, `peak` of requests in flight, `cpu` seconds of the server."""
        return dict(self.control())

    def calls(self) -> int:
        """The number of chat requests received since the start or the last reset."""
        return int(self.stats()["calls"])


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--settings", type=json.loads, default={}, metavar="JSON")
    told = parser.parse_args()
    asyncio.run(serve(told.port, Settings(**told.settings), told.until_eof))
