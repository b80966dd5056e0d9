"""A client that costs little itself; echo.py measures how little.

`http.client` takes longer for a push than either server does, so requests are bytes on
a socket that is kept open, and nothing of a request is built while the clock runs.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice

_TIMEOUT = 120.0
_ROOM = 1 << 20
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return a whole request."""
    length = f"Content-Length: {len(body)}\r\n" if method != "GET" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n"
    return head.encode() + body


class Connection:
    """One kept-alive connection to a server on the loopback.

    room: how many bytes are received at once; few make the server wait for the reader.
    """

    def __init__(self, port: int, room: int = _ROOM) -> None:
        self._socket = socket.socket()
        if room < _ROOM:
            # Before connecting, or TCP has promised the server more by then.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._socket.settimeout(_TIMEOUT)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = bytearray(room)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """Send `request`; return the body of the answer, which must be a success."""
        self.send(request)
        return self.receive()

    def time(self, request: bytes) -> float:
        """Return the seconds until the answer to `request` is complete."""
        started = time.perf_counter()
        self.send(request)
        self.drain()
        return time.perf_counter() - started

    def send(self, request: bytes) -> None:
        """Send `request` and do not wait."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Return the body of the next answer as it came; it must be a success."""
        parts: list[bytes] = []
        self.drain(lambda part: parts.append(bytes(part)))
        return b"".join(parts)

    def drain(self, take: Callable[[memoryview], object] | None = None) -> int:
        """Read the next answer, which must be a success; return its body's length.

        Of a chunked body the lengths of the chunks count too. `take` gets the body part
        by part, and the first part, which may be empty, as soon as the head has come.
        """
        head, body = self._head()
        found = re.search(rb"\ncontent-length: *(\d+)", head)
        missing = int(found[1]) if found else None
        # The head's end may be the beginning of the last chunk's.
        received, tail = 0, b"\r\n"
        part = memoryview(body)
        while True:
            if take is not None:
                take(part)
            received += len(part)
            if missing is None:
                tail = (tail + part[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
                if tail == _LAST_CHUNK:
                    return received
            elif received >= missing:
                return received
            part = self._read()

    def _head(self) -> tuple[bytes, bytes]:
        """Return the next answer's head in small letters, and what came behind it."""
        received = bytes(self._read())
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._read()
        if not received.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"the server refused: {received[:500]!r}")
        return received[:end].lower(), received[end + 4 :]

    def _read(self) -> memoryview:
        """Return what came; it is overwritten by the next call."""
        length = self._socket.recv_into(self._room)
        if not length:
            raise ConnectionError("the server closed the connection")
        return memoryview(self._room)[:length]


def pipeline(port: int, requests: Iterable[bytes], connections: int) -> None:
    """Send `requests` over so many connections in turn, one at a time on each.

    A request is sent when the one so many before it was answered.
    """
    left = iter(requests)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(Connection(port, _ROOM >> 4))
            for _ in range(connections)
        ]
        busy = []
        for connection, first in zip(opened, islice(left, connections), strict=False):
            connection.send(first)
            busy.append(connection)
        while busy:
            connection = busy.pop(0)
            connection.drain()
            following = next(left, None)
            if following is not None:
                connection.send(following)
                busy.append(connection)


def dechunked(body: bytes) -> bytes:
    """Return what a chunked `body` carries."""

    def chunks() -> Iterator[bytes]:
        position = 0
        while True:
            end = body.index(b"\r\n", position)
            size = int(body[position:end], 16)
            if not size:
                return
            yield body[end + 2 : end + 2 + size]
            position = end + 4 + size

    return b"".join(chunks())
