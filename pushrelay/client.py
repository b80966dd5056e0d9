"""Talks to a relay over HTTP, for the commands that need one.

Commands that start before a job count every millisecond, so nothing beyond the
standard library is imported, and of that `http.client` instead of `urllib.request`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
    RemoteDisconnected,
)
from types import TracebackType
from typing import Any, NamedTuple

from pushrelay.bounded_socket import BoundedSocket
from pushrelay.errors import RelayRefused, RelayUnavailable
from pushrelay.relay_url import parse_relay_url

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
MOST_BYTES = 16 * 1024 * 1024

COMPRESSED_BYTES = 64 * 1024
"""Bodies from this size on are sent with gzip."""

_DROPPED = (
    BrokenPipeError,
    ConnectionAbortedError,
    ConnectionResetError,
    RemoteDisconnected,
)
# So many times as long as it may be silent, a relay may take for an answer.
_WHOLE = 6
_PIECE_BYTES = 64 * 1024
_SHOWN_CHARACTERS = 4000
# Statuses other than 5xx after which the same request may be taken.
_TEMPORARY = (408, 429)
_LATER = "; try again later"
_NOT_THERE = "is the relay running, and is this its URL?"
_OWN_CA = "if it has a certificate of your own CA, name its file in SSL_CERT_FILE"
_NO_PAGE = "404 page not found"
_ADVICE = {
    401: "give the token that is known there, or put user and password into the URL: "
    "http://USER:PASSWORD@...",
    403: "the relay or a proxy before it does not allow this",
    404: "is this the URL of a relay, with its path prefix if it has one, and is this "
    "switched on there?",
}


class Answer(NamedTuple):
    """What a relay answered with success; `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RelayClient:
    """Requests to the relay at `url`, one after the other on one connection.

    url: `http://` or `https://`, host, and if need be user and password, port and path
        prefix; without a scheme it is http. Raises InvalidURL.
    connect_seconds: how long connecting may take, for each address of the host.
    answer_seconds: how long the relay may be silent; it may take six times as long to
        be sent a request and to answer it. most_bytes: so long may an answer be.

    Raises InvalidURL; also for a token that cannot be sent, or not beside a user.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._relay = parse_relay_url(url, token)
        self.url = self._relay.shown
        """The URL without user and password."""
        self._headers = {"Accept": "application/json", **self._relay.authorization}
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._most_bytes = most_bytes
        self._connection: HTTPConnection | None = None

    def __enter__(self) -> RelayClient:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool | None = None,
    ) -> Answer:
        """Send a request and return its answer, which is a success.

        target: path and query below the relay's URL, percent-encoded, with a slash at
            its beginning.
        repeatable: whether it may be sent again when the kept connection turns out to
            be closed; by default, whether it is no POST. One that may not is sent on a
            connection of its own.

        Raises RelayUnavailable and RelayRefused.
        """
        if not (method != "POST" if repeatable is None else repeatable):
            self.close()
        sent = {**self._headers, **(headers or {})}
        if body is not None and len(body) >= COMPRESSED_BYTES:
            body, sent["Content-Encoding"] = _compressed(body), "gzip"
        try:
            response, content = self._send(method, target, body, sent)
        except (OSError, HTTPException, UnicodeError) as error:
            self.close()
            raise self._unavailable(target, error) from error
        if not 200 <= response.status < 300:
            self._refuse(target, response, content)
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, content)

    def data(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool | None = None,
    ) -> Any:
        """Do what `request` does; return the `data` of the JSON that was answered."""
        answer = self.request(method, target, body, headers, repeatable=repeatable)
        try:
            return json.loads(answer.body)["data"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RelayUnavailable(
                f"{self._shown(target)} answers what no relay does; is the URL right?"
            ) from None

    def _send(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[HTTPResponse, bytes]:
        if self._connection is not None:
            try:
                return self._send_once(method, target, body, headers)
            except _DROPPED:
                # The relay ends connections that are idle for long.
                self.close()
        return self._send_once(method, target, body, headers)

    def _send_once(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connect()
        # A request may be answered before all of it was read, and be cut off then.
        with suppress(*_DROPPED):
            connection.request(method, self._relay.prefix + target, body, dict(headers))
        response = connection.getresponse()
        content = _content(response)
        if response.will_close:
            self.close()
        return response, content

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            kind = HTTPSConnection if self._relay.scheme == "https" else HTTPConnection
            connection = kind(
                self._relay.host, self._relay.port, timeout=self._connect_seconds
            )
            connection.connect()
            connection.sock = self._socket = BoundedSocket(
                connection.sock,
                silent_seconds=self._answer_seconds,
                whole_seconds=_WHOLE * self._answer_seconds,
                most_bytes=self._most_bytes,
            )
            self._connection = connection
        self._socket.begin()
        return self._connection

    def _shown(self, target: str) -> str:
        return self.url + target.partition("?")[0]

    def _unavailable(self, target: str, error: Exception) -> RelayUnavailable:
        is_of_certificate = hasattr(error, "verify_message")
        return RelayUnavailable(
            f"no answer from {self._shown(target)}: {_reason(error)}; "
            f"{_OWN_CA if is_of_certificate else _NOT_THERE}"
        )

    def _refuse(self, target: str, response: HTTPResponse, content: bytes) -> None:
        """Raise what an answer that is no success says."""
        status, problem = response.status, _problem(response, content)
        told = f"{self._shown(target)} answered {status} {response.reason}".rstrip()
        if problem["detail"]:
            told += f": {problem['detail']}"
        if status >= 500 or status in _TEMPORARY:
            told = told.removesuffix(_LATER) + _LATER
            raise RelayUnavailable(told, status)
        advice = _ADVICE.get(status)
        if status == 404 and "reason" in problem and problem["detail"] != _NO_PAGE:
            advice = None  # the page is there, but not what it would be about
        if 300 <= status < 400:
            location = readable(response.getheader("Location") or "")
            advice = f"redirects are not followed; use the URL that leads to {location}"
        raise RelayRefused(f"{told}; {advice}" if advice else told, status, problem)


def _content(response: HTTPResponse) -> bytes:
    # In one piece, what it says of its length would be how much memory is taken.
    pieces = []
    while piece := response.read(_PIECE_BYTES):
        pieces.append(piece)
    if response.length:
        raise IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _compressed(body: bytes) -> bytes:
    import gzip  # most bodies are small

    return gzip.compress(body, compresslevel=4)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, _DROPPED):
        return "the connection was closed before the answer came"
    if isinstance(error, OSError):
        told = getattr(error, "verify_message", None) or error.strerror
        return readable(str(told or error))
    if isinstance(error, UnicodeError):
        return "no host can have this name"
    return f"what answers does not speak HTTP ({type(error).__name__})"


def _problem(response: HTTPResponse, content: bytes) -> dict[str, Any]:
    """Return the problem document of an answer, or what stands for it."""
    kind = (response.getheader("Content-Type") or "").partition(";")[0].strip()
    text = content.decode(errors="replace")
    if kind == "application/problem+json":
        try:
            problem = dict(json.loads(text))
            found = [_told(one) for one in problem.get("problems", []) if one]
            detail = readable(str(problem["detail"]))
            return {**problem, "detail": detail, "problems": found}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            pass
    return {"detail": readable(text) if kind == "text/plain" else ""}


def _told(problem: Any) -> dict[str, Any]:
    """Return one of the problems of a push as it may be shown."""
    line = problem.get("line")
    return {
        **problem,
        "detail": readable(str(problem.get("detail"))),
        "line": line if isinstance(line, int) else None,
    }


def readable(text: str) -> str:
    """Return `text` for a terminal, which must not obey it."""
    kept = re.sub(r"[^\S\n]+", " ", text.strip()[:_SHOWN_CHARACTERS])
    return "".join([c if c.isprintable() or c == "\n" else "?" for c in kept])
