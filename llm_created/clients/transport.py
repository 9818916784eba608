"""The SDK's aiohttp transport, with an eye on every attempt: limits, caps, one time-out for all, bounded bodies."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from contextvars import ContextVar
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import aiohttp
import httpx2
import openai

from ..errors import RunFailed
from ..utils.text import shorten
from . import replies
from .base import Request
from .rate_limits import Limits

# Bytes of one body, on the wire and unpacked: twice what the longest text that is kept can take.
MAX_BODY = 2**24
MAX_HEADER = 2**16
MAX_REDIRECTS = 5
# What goes wrong before a request is on its way.
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class Asking:
    """The request that a task is asking, and whether its last attempt may have been generated for nothing."""

    def __init__(self, request: Request) -> None:
        self.request, self.lost = request, False

    def attempt(self) -> None:
        """One more is about to go out."""
        self.request.attempt(self.lost)
        self.lost = False


attempted: ContextVar[Asking] = ContextVar("asking")


class Http(openai.DefaultAioHttpClient):
    """The SDK's aiohttp transport, which is ten times faster at 200 in flight, with an eye on every attempt."""

    def __init__(self, seconds: float, limits: Limits | None, key: str, concurrency: int, near: bool) -> None:
        connections = max(concurrency, 100)
        limited = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        # The environment may name a proxy, from which no way leads back to this machine.
        super().__init__(verify=_tls(), limits=limited, cookies=cookies, trust_env=not near)
        for transport in (self._transport, *self._mounts.values()):
            if transport is not None:
                transport.client = partial(_session, transport)  # type: ignore[attr-defined]
        # A reply is small: what is not packed need not be unpacked.
        self.headers["Accept-Encoding"] = "identity"
        self._seconds, self._limits, self._secret = seconds, limits, key
        # Whether the server has said anything yet, be it an error.
        self.reached = False

    async def send(self, request: httpx2.Request, **kwargs: Any) -> httpx2.Response:
        """The answer, at another place of the same server if that is where it sends us."""
        for _ in range(MAX_REDIRECTS):
            response = await self._attempt(request)
            if not response.has_redirect_location:
                if response.status_code in (402, 429):
                    replies.check_credit(response.text, self._secret)
                return response
            request = _redirected(request, response)
        raise RunFailed(f"{replies.host(str(request.url))} redirects again and again: is `base_url` right?")

    async def _attempt(self, request: httpx2.Request) -> httpx2.Response:
        """One attempt: limits and caps see it, it ends within the timeout as a whole, and its body is bounded."""
        asking = attempted.get()
        if self._limits is not None:
            await self._limits.wait(len(request.content))
        asking.attempt()
        try:
            # The SDK's own timeout is per read of the socket: a server that trickles never meets it.
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, stream=True, follow_redirects=False)
                try:
                    content = await _content(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            asking.lost = True
            said = f"no answer within {self._seconds:g} seconds (`timeout`)"
            raise httpx2.ReadTimeout(said, request=request) from None
        except httpx2.RequestError as error:
            asking.lost = not isinstance(error.__cause__, _NEVER_SENT)
            raise
        except (aiohttp.ClientError, OSError) as error:
            asking.lost = True
            # Broken HTTP is an answer, too.
            self.reached = self.reached or isinstance(error, aiohttp.ClientResponseError)
            # The SDK asks again after the errors of its transport, which lets some of aiohttp's through as they are.
            raise httpx2.ReadError(str(error), request=request) from error
        self.reached = True
        asking.lost = replies.billed(response.status_code)
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
        return httpx2.Response(
            response.status_code, headers=headers, content=content, request=request, extensions=response.extensions
        )


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted: reading them is the longest part of a client's start."""
    return httpx2.create_ssl_context()


def _session(transport: Any) -> aiohttp.ClientSession:
    """The transport's own session, but for larger headers, as some gateways send them, and without cookies: one that
    cannot be sent back would end every request after it."""
    transport.client = None
    plain: aiohttp.ClientSession = transport.get_client()
    connector = plain.connector
    plain.detach()
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), max_line_size=MAX_HEADER, max_field_size=MAX_HEADER
    )


async def _content(response: httpx2.Response) -> bytes:
    """The body, unpacked, as far as one may be long.

    Raises:
        OddAnswer: it is longer, or packed in a way that nobody asked for.
    """
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise replies.OddAnswer(f"the server answered with a body packed as {shorten(packed, 40)!r}, not asked for")
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if packed not in ("identity", "") else None
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += unpack.decompress(chunk, MAX_BODY + 1 - len(body)) if unpack else chunk
            if len(body) > MAX_BODY:
                raise replies.OddAnswer(f"the server answered with a body of over {MAX_BODY >> 20} MB")
    except zlib.error as error:
        raise replies.OddAnswer(f"the server answered with a body that is not {packed}: {error}") from None
    return bytes(body)


def _redirected(request: httpx2.Request, response: httpx2.Response) -> httpx2.Request:
    """The same request at the place that a 307 or 308 names.

    Raises:
        RunFailed: it is on another server, where nothing is sent, or the method would change on the way.
    """
    try:
        target = request.url.join(response.headers["Location"])
    except httpx2.InvalidURL:
        target = httpx2.URL("")
    here = request.url
    same = (target.host, target.port) == (here.host, here.port) and target.scheme in (here.scheme, "https")
    if response.status_code not in (307, 308) or not same:
        raise RunFailed(
            f"{replies.host(str(here))} redirects ({response.status_code}) to "
            f"{shorten(replies.host(str(target)), 100)!r}, and a prompt is not sent there unasked: if that is the "
            "server you mean, give its address with `base_url`"
        )
    headers = [(name, value) for name, value in request.headers.multi_items() if name != "host"]
    return httpx2.Request(request.method, target, headers=headers, content=request.content)
