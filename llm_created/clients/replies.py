"""What servers really answer: bodies and errors of all kinds, as a `Reply` or as one clear line."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import openai

from ..errors import RequestFailed, RunFailed
from ..utils.text import shorten
from . import schemas
from .base import Reply, Request, Usage, believed

# Longer replies are kept up to here: nothing useful is this long, and every retry would be stored.
MAX_TEXT = 2_000_000
_KEY_LIKE = re.compile(r"\b(?:sk|key|hf|gsk|xai|pplx)[-_][\w*.-]{4,}|(?<=Bearer )\S+", re.IGNORECASE)
_TOO_LONG = re.compile(r"context.length|maximum context|too (long|many tokens)|context window|prompt is too", re.I)
_LARGE = re.compile(r"too large|at most|less than or equal|exceed", re.I)
_FILTERED = re.compile(r"content.(filter|policy|management)|safety|moderation|flagged", re.I)
_NO_MODEL = re.compile(r"model[^.]{0,80}(not found|does not exist|not exist|unknown|invalid)|model_not_found", re.I)
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient.(credit|balance|funds)|billing|exceeded your current quota", re.I
)


class OddAnswer(RequestFailed):
    """A 200 that is no chat completion: the SDK does not ask again, and asking again often helps.

    Args:
        message (`str`): what came instead.
        lost (`bool`, defaults to `True`): a model may have written it; an error or a web page was written by none.
    """

    def __init__(self, message: str, lost: bool = True) -> None:
        super().__init__(message)
        self.lost = lost


def without_key(text: str, key: str) -> str:
    """The text without the API key, if that is one: `EMPTY` and `dummy` are words that a model may write."""
    return text.replace(key, "[key]") if len(key) > 4 and not (key.isalpha() and len(key) < 20) else text


def redact(text: str, key: str) -> str:
    """The text without the API key or anything that looks like one."""
    text = without_key(text, key)
    return _KEY_LIKE.sub("[key]", text)


def read(body: object, request: Request, key: str = "") -> Reply:
    """The reply in the decoded body of a 200.

    Raises:
        OddAnswer: the body is no chat completion: HTML, a list, an error, no choices.
    """
    body = _decoded(body) if isinstance(body, str) else body
    if not isinstance(body, dict):
        said = shorten(redact(str(body)[:1000], key), 60)
        raise OddAnswer(f"the server answered 200 with no chat completion but {said!r}: is `base_url` right?")
    choice = _choice(body, key)
    message, usage = _object(choice.get("message")), _object(body.get("usage"))
    finish = str(choice.get("finish_reason") or "")
    text, reason = _written(message, finish)
    told = believed(usage.get("prompt_tokens"), usage.get("completion_tokens"), request.messages, text)
    model, fingerprint = (str(body.get(name) or "") for name in ("model", "system_fingerprint"))
    # A server may echo what it was sent, the key among it.
    texts = (without_key(one, key) for one in (model, fingerprint, finish))
    return Reply(without_key(text, key)[:MAX_TEXT], told, reason, *texts)


def _decoded(text: str) -> object:
    """The JSON in a body that says it is something else."""
    if "<html" in text[:1000].lower():
        raise OddAnswer("the server answered with an HTML page: does `base_url` end in /v1, as it should?", False)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _content(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _choice(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    said = redact(json.dumps(body.get("error") or body), key)
    what = f"the server answered 200 without choices: {shorten(said, 120)}"
    raise OddAnswer(what, lost=not body.get("error"))


def _written(message: Mapping[str, Any], finish: str) -> tuple[str, str]:
    """What a message holds, and why that is nothing to read, or `""`."""
    text, refusal = _content(message.get("content")), message.get("refusal")
    if text.strip():
        return text, ""
    if refusal:
        return str(refusal), "refusal"
    return text, "content_filter" if finish == "content_filter" else "empty_reply"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def check_credit(text: str, key: str) -> None:
    """End the run where a 402 or 429 means that no credit is left: waiting would not help."""
    if _NO_CREDIT.search(text):
        raise RunFailed(f"no credit left at this provider: {shorten(redact(_said(text), key), 160)}")


def billed(status: int) -> bool:
    """Whether a reply may have been written that a gateway then lost or gave up."""
    return status in (408, 502, 504, 520, 524)


def busy(status: int) -> bool:
    """Whether another try may bring a reply."""
    return status in (408, 409, 429) or status >= 500


def from_status(error: openai.APIStatusError, model: str, url: str, key: str, key_env: str = "") -> Reply:
    """The reply that a 400 about this one prompt stands for.

    Raises:
        RunFailed: no request of this run can succeed.
        RequestFailed: the server is busy or broken, and still was after every retry.
    """
    status, text = error.status_code, redact(_said(error.response.text), key)
    said = shorten(text, 200)
    if status in (401, 403):
        where = key_env or "the key in the environment"
        raise RunFailed(f"the server refused the API key ({status}): check {where}. It said: {said}")
    if _is_unknown(status, text):
        raise RunFailed(
            f"unknown model {model!r}, or nothing at {host(url)} ({status}): check `model` and `base_url`. "
            f"It said: {said}"
        )
    if status == 402:
        raise RunFailed(f"no credit left at this provider (402): {said}")
    reason = _about_prompt(status, text)
    if reason:
        return Reply(text, Usage(0, 0, False), reason)
    if busy(status):
        raise RequestFailed(f"the server still answered {status} after every retry" + (f": {said}" if said else ""))
    raise RunFailed(f"the server answered {status}" + (f": {said}" if said else ""))


def _is_unknown(status: int, text: str) -> bool:
    """Whether there is no such model, or no such place."""
    return status == 404 or (status == 400 and bool(_NO_MODEL.search(text)))


def _about_prompt(status: int, text: str) -> str:
    """What a server has against this one prompt, or `""`."""
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(text)):
        return "prompt_too_long"
    if status in (400, 422):
        return "content_filter" if _FILTERED.search(text) else "bad_request"
    return ""


def from_connection(error: openai.APIConnectionError, url: str) -> RequestFailed:
    """What really happened: on this transport the SDK calls everything a time-out."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    what = shorten(str(cause) or type(cause).__name__, 160)
    return RequestFailed(f"cannot get an answer from {host(url)}: {what}")


def host(url: str) -> str:
    """The address without user name, password, path or query."""
    return re.sub(r"^(https?://)(?:[^/@]*@)?([^/?#]*).*$", r"\1\2", url)


def too_large(error: openai.APIStatusError) -> bool:
    """Whether a 400 says that the reply which is asked for is longer than this model can write."""
    text = _said(error.response.text)
    return bool(
        re.search(r"max_(completion_)?tokens|completion", text) and (_TOO_LONG.search(text) or _LARGE.search(text))
    )


def refused_parameter(error: openai.APIStatusError, sent: set[str]) -> str | None:
    """Which of the parameters sent a 400 complains about, if any."""
    body: Any = error.body if isinstance(error.body, dict) else {}
    named = body.get("param")
    if isinstance(named, str) and named.split(".")[0] in sent:
        return named.split(".")[0]
    text = _said(error.response.text)
    if _TOO_LONG.search(text) or _FILTERED.search(text):
        return None
    found = [name for name in sorted(sent, key=len, reverse=True) if name in text]
    if not found and "response_format" in sent and schemas.is_about(text):
        return "response_format"
    return found[0] if found else None


def refused_keyword(error: openai.APIStatusError, sent: Collection[str]) -> str | None:
    """Which of the keywords of a schema a 400 complains about, if any."""
    text = _said(error.response.text)
    return None if _TOO_LONG.search(text) or _FILTERED.search(text) else schemas.blamed(text, sent)


def _said(text: str) -> str:
    """The message in an error's body, whatever its shape."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        return " ".join(str(error[name]) for name in ("message", "detail", "code") if error.get(name))
    return str(error)
