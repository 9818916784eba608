"""Whoever answers: anything with `async complete(request) -> Reply`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..errors import RunFailed
from ..utils.text import shorten


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Attributes:
        messages (`list[Mapping[str, str]]`): chat messages with `role` and `content`.
        lane (`int`): the chain that asks, or 0.
        key (`str`): digest of the messages.
        occurrence (`int`): how often this lane has asked this very request before.
        id (`str`): `<run>/<lane>/<occurrence>/<key>`, sent along as `X-Client-Request-Id`.
        schema (`Mapping[str, Any]`, *optional*): the `response_format` for servers with structured output.
        max_tokens (`int`, *optional*): the bound on the reply that caps stand on, where the user gave none.
        among (`tuple[str, str]`, *optional*): of the objects that are asked for, a property that is one of the texts
            which another one lists: no schema says that, and a model of this process is held to it.
        choices (`tuple[str, ...]`): whole replies whose log-likelihood is asked for instead of one that is written; a
            model of this process answers with a JSON list of them, in nats, and servers do not.
        empty (`Sequence[Mapping[str, str]]`): beside `choices`, the same question with nothing in its inputs; the
            answer is `{"scores": [...], "empty": [...]}` then, the likelihoods behind each.
        attempt (`Callable[[bool], None]`): a client that asks more than once calls it before each attempt, the first
            included, with whether the attempt before may have been generated and billed; it may raise to say that no
            other must be made.
        wanted (`Callable[[], bool]`): a client that makes requests wait before they are sent asks it whether to go on.

    Example:

        >>> from llm_created import Request
        >>> Request([{"role": "user", "content": "Write a row."}]).lane
        0
    """

    messages: list[Mapping[str, str]]
    lane: int = 0
    key: str = ""
    occurrence: int = 0
    id: str = ""
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    among: tuple[str, str] | None = None
    choices: tuple[str, ...] = ()
    empty: Sequence[Mapping[str, str]] = ()
    attempt: Callable[[bool], None] = field(default=lambda lost: None, compare=False, repr=False)

    @property
    def prompt(self) -> list[Mapping[str, str]]:
        """All that is read."""
        return [*self.messages, *self.empty]

    wanted: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)


class Usage(NamedTuple):
    """Tokens of one call; `estimated` where the server did not say.

    Example:

        >>> from llm_created import Usage
        >>> Usage(prompt_tokens=120, completion_tokens=80, estimated=False)
        Usage(prompt_tokens=120, completion_tokens=80, estimated=False)
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = True


class Reply(NamedTuple):
    """What came back: text, or the `reason` why there is none (`"refusal"`, `"content_filter"`, ...).

    Example:

        >>> from llm_created import Reply
        >>> Reply("", reason="refusal").reason
        'refusal'
    """

    text: str
    usage: Usage = Usage()
    reason: str = ""
    model: str = ""
    fingerprint: str = ""
    finish_reason: str = ""

    def storable(self) -> Reply:
        """The reply as the journal gives it back: lone surrogates pass JSON and break SQLite."""
        if all(text.isascii() for text in (self.text, self.model, self.fingerprint, self.finish_reason)):
            return self
        names = ("text", "model", "fingerprint", "finish_reason")
        return self._replace(**{name: getattr(self, name).encode("utf-8", "replace").decode() for name in names})


class Client(Protocol):
    """The one method that the loop needs.

    Example:

        >>> import json
        >>> from llm_created import Client, Reply, Request
        >>> class Counting:  # whatever has such a method is a client
        ...     calls = 0
        ...     async def complete(self, request: Request) -> Reply:
        ...         self.calls += 1
        ...         row = {"question": f"Is {self.calls} odd?", "answer": str(bool(self.calls % 2))}
        ...         return Reply(json.dumps(row))
        >>> client: Client = Counting()
    """

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise an `LLMCreatedError` that says why it could not be answered."""
        ...


class ScriptedClient:
    """Answers from a list of texts, or from a function of the request: for tests and dry runs.

    Args:
        script (`Iterable[str]` or `Callable[[Request], str]`): the replies in the order of the calls, or a function.

    Attributes:
        requests (`list[Request]`): every request that was answered, in order.

    Raises:
        RunFailed: the list has run out.

    Example:

        >>> import asyncio
        >>> from llm_created import Request, ScriptedClient
        >>> client = ScriptedClient(['{"question": "Is ice cold?", "answer": "True"}'])
        >>> asyncio.run(client.complete(Request([]))).text
        '{"question": "Is ice cold?", "answer": "True"}'
    """

    def __init__(self, script: Iterable[str] | Callable[[Request], str]) -> None:
        self._answer = script if callable(script) else None
        self._texts = iter(()) if callable(script) else iter(script)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        """The next text of the script."""
        text = self._answer(request) if self._answer else next(self._texts, None)
        if text is None:
            raise RunFailed(f"the script has run out after {len(self.requests)} replies; give ScriptedClient more")
        self.requests.append(request)
        return Reply(text, estimate(request.messages, text), model="scripted")


# What one reply can mean by tokens, and the most characters that a token stands for on average: usage beyond is wrong.
_TOKENS = range(2**31)
_CHARACTERS_A_TOKEN = 64


def estimate(messages: Iterable[Mapping[str, str]], text: str) -> Usage:
    """Tokens guessed from characters, and marked as a guess: four to a token, one where they are not ASCII."""
    prompt = _guess("".join(message["content"] for message in messages))
    return Usage(prompt + 8, _guess(text) + 1, True)


def _guess(text: str) -> int:
    plain = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return plain // 4 + len(text) - plain


def believed(prompt: object, completion: object, messages: Sequence[Mapping[str, str]], text: str) -> Usage:
    """What a server says that a call took, or an estimate where that cannot be: text, a boolean, a fraction, less than
    nothing, nothing beside a reply that says something, or far too little for it."""
    if type(prompt) is not int or type(completion) is not int or prompt not in _TOKENS or completion not in _TOKENS:
        return estimate(messages, text)
    asked = sum(len(message["content"]) for message in messages)
    if text and (asked > _CHARACTERS_A_TOKEN * prompt or len(text) > _CHARACTERS_A_TOKEN * completion):
        return estimate(messages, text)
    return Usage(prompt, completion, False)


def checked(reply: object, request: Request) -> Reply:
    """What a client returned, as the journal can hold it and caps can believe it.

    Raises:
        RunFailed: it is no `Reply`, or holds something else than text.
    """
    texts = reply[0:1] + reply[2:] if isinstance(reply, Reply) else (None,)
    if not isinstance(reply, Reply) or not all(isinstance(text, str) for text in texts):
        raise RunFailed(f"the client returned {shorten(repr(reply), 80)}: it must return a Reply that holds text")
    prompt, completion, estimated = reply.usage
    # A refusal of the prompt costs nothing, and its text is the server's.
    usage = believed(prompt, completion, request.messages, "" if reply.reason else reply.text)
    return reply._replace(usage=usage._replace(estimated=bool(usage.estimated or estimated))).storable()
