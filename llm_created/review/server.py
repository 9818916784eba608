"""The page on 127.0.0.1: who may ask it, and for what."""

from __future__ import annotations

import html
import json
import secrets
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..errors import LLMCreatedError, UsageError
from ..reports.html import filled, policy, template
from ..reports.html_read import script
from ..utils.console import harmless
from .desk import Desk

# No other address: what is on the page is for the person at this machine.
ADDRESS = "127.0.0.1"
_MAX_BODY = 20_000
_PATIENCE = 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(desk: Desk) -> tuple[str, str]:
    """The page, and the policy that it is sent with. Texts of rows are not in it; they are fetched, row by row."""
    about = desk.about()
    own, style = template("review.js"), template("report.css") + template("review.css")
    allowed = policy([own], style, "; connect-src 'self'")
    values = {
        "csp": [html.escape(allowed)],
        "title": [html.escape(harmless(f"{about['title']}: {'audit' if desk.sample else 'review'}"))],
        "style": [style],
        "data": [script(about)],
        "script": [own],
    }
    return "".join(filled("review.html", values)), allowed + "; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    """Serves one desk until it is finished.

    Args:
        desk (`Desk`): what lies before the person.
        port (`int`, defaults to 0): where to listen, 0 for any that is free.

    Attributes:
        url (`str`): the page's address; the token in it is all that lets anybody in.

    Raises:
        UsageError: the port is taken, or not to be had.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self.desk, self._token = desk, secrets.token_urlsafe(24)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot listen on `port` {port} of {ADDRESS}: {why}. Leave it out, or give another"
            ) from None
        self.origin = f"http://{ADDRESS}:{self.server_port}"
        self.url = f"{self.origin}/{self._token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is nothing to speak of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def lets_in(self, path: str) -> str | None:
        """What is asked for behind the token, `None` where it is not this one."""
        _, token, *rest = path.split("/", 2) if path.count("/") >= 2 else ("", "", "")
        return rest[0] if secrets.compare_digest(token.encode("utf-8", "replace"), self._token.encode()) else None


class _Handler(BaseHTTPRequestHandler):
    """One connection. Whoever asks under another name, or from another page, is told nothing."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "llm-created", ""
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: the token stands in every line of it."""

    def do_GET(self) -> None:
        """The page, a row, the rows that fit, what is known by now."""
        if not self._trusted(self.headers.get("Sec-Fetch-Site") in (None, "none", "same-origin")):
            return
        asked = urlsplit(self.path)
        query = dict(parse_qsl(asked.query))
        desk, name = self.server.desk, self.server.lets_in(asked.path)
        if name == "":
            text, allowed = page(desk)
            self._send(HTTPStatus.OK, text.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": allowed})
        elif name == "row":
            self._answer(lambda: desk.row(_number(query.get("at"))))
        elif name == "find":
            self._answer(lambda: desk.find(query))
        elif name == "result":
            self._answer(desk.result)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """What the person says, and that they have finished."""
        # A page of another origin can send, if not read: only ours says that it is ours.
        own = self.headers.get("Origin") == self.server.origin
        name = self.server.lets_in(urlsplit(self.path).path)
        if not self._trusted(own and self.headers.get_content_type() == "application/json"):
            return
        body = self._body()
        if body is None or name not in ("say", "finish"):
            self._refuse(HTTPStatus.BAD_REQUEST if body is None else HTTPStatus.NOT_FOUND)
        elif name == "say":
            self._answer(lambda: self._say(body))
        else:
            self._answer(self.server.desk.result)
            self.server.shutdown()

    def _say(self, body: Mapping[str, Any]) -> bool:
        verdict, label = body.get("verdict"), body.get("label")
        if not isinstance(verdict, str):
            raise UsageError(f"a verdict is a text, not {str(verdict)[:40]!r}")
        self.server.desk.say(_number(body.get("at")), verdict, None if label is None else _number(label))
        return True

    def _trusted(self, otherwise: bool) -> bool:
        """Whether this is our page in a browser that asked for our address; behind another name could stand others."""
        known = self.server.lets_in(urlsplit(self.path).path) is not None
        if known and otherwise and self.headers.get("Host") == self.server.origin.removeprefix("http://"):
            return True
        self._refuse(HTTPStatus.FORBIDDEN)
        return False

    def _body(self) -> Mapping[str, Any] | None:
        length = self.headers.get("Content-Length") or ""
        if not (length.isdecimal() and length.isascii()) or len(length) > 9 or int(length) > _MAX_BODY:
            return None
        try:
            value = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def _answer(self, give: Callable[[], Any]) -> None:
        try:
            status, value = HTTPStatus.OK, give()
        except LLMCreatedError as error:
            wrong = isinstance(error, UsageError)
            status = HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.INTERNAL_SERVER_ERROR
            value = {"error": str(error)}
        # The page spells out what would reorder a line, and so wants it as it is.
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self._send(status, text, "application/json")

    def _refuse(self, status: HTTPStatus) -> None:
        # What its body holds is not read.
        self.close_connection = True
        self._send(status, status.phrase.encode(), "text/plain")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            **_HEADERS,
            **(more or {}),
            "Content-Type": kind,
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _number(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UsageError(f"a number is wanted, not {text[:40]!r}")
    return int(text)
