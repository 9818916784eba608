"""One client for every server that speaks OpenAI's chat-completions protocol."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import openai

from ..errors import LLMCreatedError, RequestFailed, RunFailed, UsageError
from ..utils.text import clean, digest, shorten
from . import replies, schemas
from .base import Reply, Request
from .rate_limits import Limits
from .transport import Asking, Http, attempted

OPENAI_URL = "https://api.openai.com/v1"
# The SDK's own two retries lose 13 of 200 calls where one in two goes wrong; eight lose none.
MAX_RETRIES = 8
# Until the server has said anything at all, a wrong address should be told in seconds.
FIRST_RETRIES = 2
# A server that says "200" and means otherwise is not retried by the SDK.
ODD_ANSWERS = 3
ODD_WAIT = 0.5
STRUCTURED = ("auto", "on", "off")
# Of what is refused, what begins a keyword of the schema.
_SCHEMA = "response_format."
# A bound on replies that no user gave is not lowered further for a server that calls it too large.
SMALLEST_BOUND = 64


def resolve_url(base_url: str | None) -> str:
    """The server's address: the argument, else `OPENAI_BASE_URL`, else OpenAI's."""
    url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).strip()
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"`base_url` must begin with http:// or https://, not {url!r}")
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"`base_url` {url!r} is no address: give one such as http://localhost:8000/v1")
    return url.rstrip("/")


class OpenAIClient:
    """Asks an OpenAI-compatible server: OpenAI, Azure's v1 endpoint, vLLM, Ollama, llama.cpp, TGI, OpenRouter.

    Use it as an async context manager. The API key is read from the environment and goes nowhere but into the
    request; local servers need none.

    Args:
        model (`str`): the model's name at the server.
        base_url (`str`, *optional*): the server; `OPENAI_BASE_URL` or OpenAI by default.
        api_key_env (`str`, defaults to `"OPENAI_API_KEY"`): the environment variable that holds the key.
        temperature (`float`, defaults to 1.0): sampling temperature.
        top_p (`float`, defaults to 1.0): nucleus sampling.
        max_tokens (`int`, *optional*): bound on one reply.
        timeout (`float`, defaults to 120.0): seconds that one attempt may take.
        seed (`int`, *optional*): send an API seed derived from it and from the request.
        structured (`str`, defaults to `"auto"`): ask for structured output: `"auto"` where the server has it,
            `"on"` (an error if it has not), `"off"`.
        concurrency (`int`, defaults to 32): requests in flight.
        limits (`Limits`, *optional*): requests and tokens per minute.
        transport (`Mapping[str, Any]`, *optional*): what an earlier session of the run found out about the server.

    Attributes:
        transport (`dict[str, Any]`): parameters, and keywords of a schema, that the server refuses, and the names it
            wants instead.

    Example:

        >>> import asyncio
        >>> from llm_created import OpenAIClient, Request
        >>> async def ask():
        ...     async with OpenAIClient("gpt-4o-mini") as client:  # OPENAI_API_KEY; base_url=... for another server
        ...         return await client.complete(Request([{"role": "user", "content": "Is ice cold?"}]))
        >>> reply = asyncio.run(ask())
        >>> reply.usage.completion_tokens > 0
        True
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int | None = None,
        timeout: float = 120.0,
        seed: int | None = None,
        structured: str = "auto",
        concurrency: int = 32,
        limits: Limits | None = None,
        transport: Mapping[str, Any] | None = None,
    ) -> None:
        if structured not in STRUCTURED:
            raise UsageError(f"`structured` is one of {', '.join(STRUCTURED)}, not {structured!r}")
        if not model or clean(model) != model:
            raise UsageError(f"`model` {model!r} is no name that can be sent: give it as the server lists it")
        self._model = model
        self._url = resolve_url(base_url)
        self._key = api_key(api_key_env, self._url)
        self._key_env = api_key_env
        self._sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
        if max_tokens is not None:
            self._sampling["max_tokens"] = max_tokens
        self._seed, self._structured, self._limits = seed, structured, limits
        known = dict(transport or {})
        refused = [name for name in known.get("refused", ()) if name != "response_format" or structured != "on"]
        self.transport: dict[str, Any] = {"refused": refused, "renamed": dict(known.get("renamed", {}))}
        self._largest_bound: int | None = None
        near = urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1")
        self._http = Http(timeout, limits, self._key, concurrency, near)
        self._client = openai.AsyncOpenAI(
            api_key=self._key, base_url=self._url, max_retries=MAX_RETRIES, timeout=timeout, http_client=self._http
        )

    async def __aenter__(self) -> OpenAIClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Ask once; the SDK retries what can be retried.

        Raises:
            RequestFailed: no reply came, though another try might bring one.
            RunFailed: no request of this run can succeed: wrong key, unknown model, no credit.
        """
        asking = Asking(request)
        attempted.set(asking)
        try:
            reply = await self._read(request, asking)
        except LLMCreatedError as error:
            error.lost = asking.lost
            raise
        if self._limits is not None:
            self._limits.learn(reply.usage.completion_tokens)
        return reply

    async def _read(self, request: Request, asking: Asking) -> Reply:
        """What a 200 holds; one that holds nothing to read is asked for again."""
        for attempt in range(ODD_ANSWERS):
            try:
                body = await self._post(request)
                return body if isinstance(body, Reply) else replies.read(body, request, self._key)
            except replies.OddAnswer as error:
                asking.lost = error.lost
                if attempt + 1 == ODD_ANSWERS:
                    raise RequestFailed(str(error)) from None
                await asyncio.sleep(ODD_WAIT * 2**attempt)
        raise AssertionError("the loop returns or raises")

    async def _post(self, request: Request) -> object:
        """The decoded body of a 200, or the reply that a refusal of this one prompt stands for."""
        while True:
            body, sent = self._body(request)
            headers = {"X-Client-Request-Id": request.id} if request.id else {}
            retries = MAX_RETRIES if self._http.reached else FIRST_RETRIES
            try:
                return await self._client.post(
                    "/chat/completions",
                    body=body,
                    cast_to=object,
                    options={"headers": headers, "max_retries": retries},
                )
            except openai.APIStatusError as error:
                # A busy server is not a wrong address: it gets the usual patience.
                impatient = replies.busy(error.status_code) and retries < MAX_RETRIES
                if impatient or self._learns(error, body, sent):
                    continue
                return replies.from_status(error, self._model, self._url, self._key, self._key_env)
            except openai.APIConnectionError as error:
                if self._http.reached and retries < MAX_RETRIES:
                    continue
                raise self._unreached(error) from None
            except (ValueError, RecursionError) as error:
                what = f"{replies.host(self._url)} answered 200 with a broken body: {shorten(str(error), 120)}"
                raise replies.OddAnswer(what) from None

    def _body(self, request: Request) -> tuple[dict[str, Any], set[str]]:
        """The JSON to send, and which of its fields are ours to drop."""
        refused, renamed = self.transport["refused"], self.transport["renamed"]
        optional = dict(self._sampling)
        if request.max_tokens is not None:
            optional.setdefault("max_tokens", min(request.max_tokens, self._largest_bound or request.max_tokens))
        if self._seed is not None:
            place = [self._seed, request.lane, request.key, request.occurrence]
            optional["seed"] = int(digest(place, 4), 16) >> 1
        if request.schema is not None and self._structured != "off":
            optional["response_format"] = schemas.without(request.schema, self._keywords)
        sent = {renamed.get(name, name): value for name, value in optional.items() if name not in refused}
        return {"model": self._model, "messages": request.messages} | sent, set(sent)

    def _unreached(self, error: openai.APIConnectionError) -> LLMCreatedError:
        failed = replies.from_connection(error, self._url)
        return failed if self._http.reached else RunFailed(f"{failed}. Is the server running, and `base_url` right?")

    def _learns(self, error: openai.APIStatusError, body: Mapping[str, Any], sent: set[str]) -> bool:
        """Whether a refusal says how to ask instead."""
        if error.status_code not in (400, 422):
            return False
        return self._lowers(error, body) or self._simplifies(error, body) or self._refuses(error, sent)

    def _lowers(self, error: openai.APIStatusError, body: Mapping[str, Any]) -> bool:
        """Whether a 400 says that the bound on replies is more than the model can write, where the user gave none."""
        sent = body.get(self.transport["renamed"].get("max_tokens", "max_tokens"))
        if sent is None or "max_tokens" in self._sampling or sent <= SMALLEST_BOUND or not replies.too_large(error):
            return False
        self._largest_bound = min(self._largest_bound or sent, sent // 2)
        return True

    @property
    def _keywords(self) -> list[str]:
        """The keywords of a schema that the server refuses."""
        return [name.removeprefix(_SCHEMA) for name in self.transport["refused"] if name.startswith(_SCHEMA)]

    def _simplifies(self, error: openai.APIStatusError, body: Mapping[str, Any]) -> bool:
        """Whether a 400 complains about a keyword of the schema, which can be left out; if so, that is remembered."""
        sent = schemas.used(body.get("response_format"))
        name = replies.refused_keyword(error, sent)
        # Of requests that went out together one has learnt it already: the others go by the schema as it is now.
        if name is not None and not set(sent).intersection(self._keywords):
            self.transport["refused"].append(_SCHEMA + name)
        return name is not None

    def _refuses(self, error: openai.APIStatusError, sent: set[str]) -> bool:
        """Whether a 400 names a parameter that can be left out or renamed; if so, that is remembered."""
        name = replies.refused_parameter(error, sent)
        if name is None:
            return False
        if name == "response_format" and self._structured == "on":
            raise RunFailed(f"{self._model} at this server refuses response_format: use `structured` auto or off")
        if name == "max_tokens" and "max_completion_tokens" in str(error):
            self.transport["renamed"]["max_tokens"] = "max_completion_tokens"
        else:
            original = {new: old for old, new in self.transport["renamed"].items()}.get(name, name)
            if original not in self.transport["refused"]:
                self.transport["refused"].append(original)
        return True


def api_key(env: str, url: str) -> str:
    """The key in the environment variable `env`, or a placeholder for a local server.

    Raises:
        UsageError: there is no key and the server is OpenAI's, or it holds characters that no key has.
    """
    key = os.environ.get(env, "").strip()
    if not key and url == OPENAI_URL:
        raise UsageError(
            f"{env} is not set: export your key, point `base_url` at a local server, or try `model` demo (no key)"
        )
    if not key.isascii() or any(character.isspace() for character in key):
        raise UsageError(f"{env} holds white space or other characters that a key cannot have: copy it again")
    # Local servers want no key, the SDK insists on one.
    return key or "none"
