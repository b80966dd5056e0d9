"""One HTTP request and its answer, as an ASGI server hands it over."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any

from pushrelay.config import Limits
from pushrelay.exposition.negotiation import PROBLEM_JSON, prefers_json
from pushrelay.rights import ANYBODY
from pushrelay.web.errors import (
    HTTPError,
    headers_of,
    line_of,
    problem_of,
    quiet_headers_of,
    status_of,
)
from pushrelay.web.incoming import Incoming
from pushrelay.web.parameters import Parameters
from pushrelay.web.proxies import NO_PROXIES, Proxies, Source
from pushrelay.web.request_body import Message, Receive, RequestBody

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

Headers = tuple[tuple[str, str], ...]

BODY_IS_HERE = "pushrelay.body_is_here"
"""A server may put a function here into the scope that tells whether the next call of
`receive` will return at once."""

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

BODY_HEADERS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Of every answer with a body that does not say otherwise: it is taken for what it is,
and no other page has it as an image, a script or the like."""

_LENGTH_DIGITS = 18

_ORIGIN = re.compile(r"^https?://[^/]*", re.IGNORECASE)


class Exchange:
    """A request to read and an answer to give.

    raw_path: the undecoded path of the request target, without the query. A target in
        absolute form, as clients send it to a proxy, is its path.
    query: the undecoded query of the request target.
    identity: who sent it; ANYBODY where nobody is asked.
    has_session: whether that is known because they have logged in.
    is_admitted: whether they have the right that the route asks for.
    about: what it is about, such as a grouping key; its text is for people, and empty
        if that is not known.
    status: of the answer, 0 until it began; on_status is called with it when it is
        known, and before the client can know it.
    page_of_error: makes the page that tells a browser of an error, where it sent the
        form of a page.
    started_at: monotonic clock, seconds.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        limits: Limits,
        proxies: Proxies = NO_PROXIES,
        incoming: Incoming | None = None,
    ) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.raw_path = _raw_path(scope)
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.identity = ANYBODY
        self.has_session = False
        self.is_admitted = False
        self.about: object = ""
        self.status = 0
        self.started_at = time.monotonic()
        self.on_status: Callable[[int], None] | None = None
        self.page_of_error: PageOfError | None = None
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.request_body = RequestBody(
            receive,
            scope.get(BODY_IS_HERE, _unknown),
            limits,
            incoming or Incoming(limits.incoming_bytes),
        )
        self._send = send
        self._proxies = proxies

    # --- the request ---

    @property
    def client(self) -> str:
        """The client's address, before proxies that are trusted; empty on a Unix
        socket."""
        return self.source.client

    @cached_property
    def source(self) -> Source:
        """Where the request comes from, and whom it asks."""
        return self._proxies.source(self.scope)

    @property
    def size(self) -> int:
        """Bytes of the request: its target, headers and body, without framing."""
        size = len(self.raw_path) + len(self.query)
        for name, value in self.scope["headers"]:
            size += len(name) + len(value)
        body = self.request_body.read
        return size + ((self.content_length or 0) if body is None else len(body))

    @property
    def content_length(self) -> int | None:
        """The announced length of the body in bytes."""
        length = self._headers.get(b"content-length")
        if length is None:
            return None
        # Python refuses to read numbers of thousands of digits.
        return int(length) if len(length) < _LENGTH_DIGITS else 10**_LENGTH_DIGITS

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [(n.decode(), v.decode("latin-1")) for n, v in self.scope["headers"]]

    @property
    def parameters(self) -> Parameters:
        """What stands behind the `?` of the target. Raises InvalidRequest."""
        return Parameters(self.query)

    def header(self, name: str) -> str | None:
        """Return the first header of this lower-case `name`."""
        value = self._headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    async def body(self) -> bytes:
        """Return the body as it came over the wire.

        Raises LimitExceeded, Overloaded, RequestTimeout or ClientGone.
        """
        return await self.request_body.all(self.content_length or 0)

    # --- the answer ---

    async def answer(
        self,
        status: int,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Headers = (),
    ) -> None:
        """Send a whole answer; content_type goes with a body."""
        if content_type:
            headers = (*headers, ("Content-Type", content_type))
        await self.begin(status, (*headers, ("Content-Length", str(len(body)))))
        await self.send(b"" if self.method == "HEAD" else body, more=False)

    @property
    def prefers_json(self) -> bool:
        """Whether the client rather has errors as JSON."""
        return prefers_json(self.header("accept"))

    async def error(self, error: Exception) -> None:
        """Tell of `error`: as JSON to who prefers that, else as Go's server does."""
        status = status_of(error)
        if self.page_of_error is not None and "text/html" in (
            self.header("accept") or ""
        ):
            page, headers = self.page_of_error(error, self)
            await self.answer(status, page, HTML, headers)
            return
        # Only who is on the way to a page can be asked.
        asks = self.header("sec-fetch-dest") in (None, "document")
        headers = headers_of(error) if asks else quiet_headers_of(error)
        if self.prefers_json:
            body = json.dumps(problem_of(error)).encode()
            await self.answer(status, body, PROBLEM_JSON, headers)
        elif isinstance(error, HTTPError) and error.plain is not None:
            body = error.plain.encode()
            await self.answer(status, body, TEXT if body else None, headers)
        else:
            body = f"{line_of(error)}\n".encode(errors="backslashreplace")
            await self.answer(status, body, TEXT, headers)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        self.status = status
        if self.on_status is not None:
            self.on_status(status)
        if status >= 400 and self._waits_for_body and not self._asked_to_close:
            # Else the next request could be taken for the body of this one.
            headers = (*headers, ("Connection", "close"))
        names = {name for name, _ in headers}
        if "Content-Type" in names:
            headers += tuple([each for each in BODY_HEADERS if each[0] not in names])
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        await self._send(
            {"type": "http.response.start", "status": status, "headers": encoded}
        )

    @property
    def _waits_for_body(self) -> bool:
        return self.request_body.is_coming and self.header("expect") is not None

    @property
    def _asked_to_close(self) -> bool:
        return "close" in (self.header("connection") or "").lower()

    async def send(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body, the last one if not `more`."""
        if not more:
            self.request_body.last_turn()
        await self._send(
            {"type": "http.response.body", "body": body, "more_body": more}
        )


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.decode("latin-1")
    return path if path.startswith("/") else _ORIGIN.sub("", path, count=1)


def _unknown() -> bool:
    return False


PageOfError = Callable[[Exception, Exchange], tuple[bytes, Headers]]
"""Makes the page, and its headers, that tells of an error in an exchange."""

Handler = Callable[[Exchange, str], Awaitable[None]]
"""Answers a request; the text is the variable part of its path."""

Handlers = dict[str, Handler]
