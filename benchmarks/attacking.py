"""Attacks on a server over HTTP, each of which goes on until it is ended.

Each tells how many bytes it has sent, or received where that is what it does. Where the
server closes a connection, the next one is opened.
"""

from __future__ import annotations

import gzip
import select
import socket
import time
from collections.abc import Callable
from functools import partial

import cramjam
from client import request

Moved = Callable[[int], None]
Attack = Callable[[int, Moved], None]
"""Attacks the server at a port."""

CLIENTS = 500
LEFT_OPEN = 12_000
"""More than the relay takes; of a process that may have more files open."""

_ROUND_SECONDS = 0.05
_HEAD = b"PUT /metrics/job/attack HTTP/1.1\r\nHost: relay\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_LONG = _HEAD + b"Content-Length: 60000000\r\n\r\n"


class _Client:
    """A connection that says `first`, and is opened again whenever it was closed."""

    def __init__(self, port: int, first: bytes, room: int = 0) -> None:
        self._port, self._first, self._room = port, first, room
        self._open()

    def _open(self) -> None:
        self.socket = socket.socket()
        if self._room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._room)
        self.socket.settimeout(10)
        self._left = memoryview(self._first)
        try:
            self.socket.connect(("127.0.0.1", self._port))
        except OSError:
            self._again()
        self.socket.setblocking(False)

    def _again(self) -> None:
        self.socket.close()
        time.sleep(0.001)
        self._open()

    def send(self, more: bytes = b"") -> int:
        """Send as much as can be sent of `first`, then `more`; return how much."""
        data = self._left or memoryview(more)
        if not data:
            return 0
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._again()
            return 0
        if self._left:
            self._left = self._left[sent:]
        return sent

    def receive(self, most: int = 65536) -> int:
        """Take what came, and open it again if that is its end."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data:
            self._again()
        return len(data)


def _hold(
    port: int,
    moved: Moved,
    *,
    clients: int = CLIENTS,
    first: bytes = b"",
    then: bytes = b"",
    pause: float = _ROUND_SECONDS,
    reads: bool = True,
) -> None:
    """Have many clients say `first`, and `then` again and again with pauses."""
    opened = []
    for _ in range(clients):
        opened.append(_Client(port, first))
        moved(opened[-1].send() or 1)
    while True:
        for client in opened:
            moved(client.send(then))
            if reads:
                client.receive()
        time.sleep(pause)


def _pour(
    port: int,
    moved: Moved,
    data: bytes,
    clients: int = 8,
    first: bytes = b"",
    apart: int = 0,
) -> None:
    """Have some clients send `data` again and again as fast as the server takes it;
    each begins so many bytes `apart` from the one before."""
    opened = [_Client(port, first) for _ in range(clients)]
    begins = (number * apart % len(data) for number in range(clients))
    left = {
        client: memoryview(data)[begin:]
        for client, begin in zip(opened, begins, strict=True)
    }
    while True:
        sockets = {client.socket: client for client in opened}
        readable, writable, _ = select.select(sockets, sockets, [], 1.0)
        for each in readable:
            client = sockets[each]
            before = client.socket
            client.receive(1 << 20)
            if client.socket is not before:
                left[client] = memoryview(data)
        for each in writable:
            client = sockets[each]
            if client.socket is not each:
                continue
            sent = client.send(bytes(left[client][: 1 << 18]))
            moved(sent)
            if client.socket is not each:
                left[client] = memoryview(data)
            elif not client._left:
                left[client] = left[client][sent:] or memoryview(data)


def _read_slowly(port: int, moved: Moved, clients: int = CLIENTS) -> None:
    """Have many clients read a large page at some KiB a second."""
    scrape = request("GET", "/metrics")
    opened = [_Client(port, scrape, room=65536) for _ in range(clients)]
    for client in opened:
        client.send()
    while True:
        for client in opened:
            client.send()
            moved(client.receive(1024) or 1)
        time.sleep(_ROUND_SECONDS)


def _come_and_go(port: int, moved: Moved) -> None:
    """Open connections and reset them, as fast as can be."""
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    while True:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.connect(("127.0.0.1", port))
            client.send(_HEAD)
        moved(len(_HEAD))


def _bomb(encoding: str, body: bytes) -> bytes:
    headers = f"Content-Encoding: {encoding}\r\n"
    return request("PUT", "/metrics/job/attack", body, headers)


_ZEROS = bytes(64 << 20)
_COMMENTS = (b"#" * 1023 + b"\n") * (64 << 10)
_SMUGGLED = _HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
_LONG_FIELDS = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 60_000) for n in range(20))
_PIPELINED = b"".join(
    request("PUT", f"/metrics/job/attack/n/{n % 50}", b"x %d\n" % n)
    for n in range(1000)
)
_PAGE = request("GET", "/")
# Of one length, so that clients can begin with different ones.
_SHARDS = [request("GET", f"/metrics?shard=1&shards={of:04}") for of in range(2, 1001)]
_REGEX = request("GET", "/metrics?match[]=%7Bjob%3D~%22(a%7Cb)%2B.*%22%7D")

ATTACKS: dict[str, Attack] = {
    f"{CLIENTS} half-sent heads": partial(_hold, first=_HEAD),
    f"{CLIENTS} half-sent bodies": partial(_hold, first=_LONG + b"#"),
    f"{CLIENTS} heads, a byte a second": partial(
        _hold, first=_HEAD + b"X: ", then=b"x", pause=1.0
    ),
    f"{CLIENTS} bodies, a byte a second": partial(
        _hold, first=_LONG, then=b"#", pause=1.0
    ),
    f"{CLIENTS} slow readers of the page": _read_slowly,
    f"{LEFT_OPEN:,} connections opened and left": partial(_hold, clients=LEFT_OPEN),
    f"{LEFT_OPEN:,} half-sent heads": partial(_hold, clients=LEFT_OPEN, first=_HEAD),
    "connections that come and are reset": _come_and_go,
    "1,000 pushes in one write, 8 clients": partial(_pour, data=_PIPELINED),
    "heads of 1.2 MB, 8 clients": partial(
        _pour, data=b"GET / HTTP/1.1\r\nHost: x\r\n" + _LONG_FIELDS + b"\r\n"
    ),
    "heads of 1.2 MB never ended, 500 clients": partial(
        _hold, first=b"GET / HTTP/1.1\r\nHost: x\r\n" + _LONG_FIELDS
    ),
    "chunks of a byte, 8 clients": partial(
        _pour, data=b"1\r\n#\r\n" * 10_000, first=_CHUNKED
    ),
    "60 MB bodies never ended, 50 clients": partial(
        _hold, clients=50, first=_LONG, then=_COMMENTS[: 1 << 20]
    ),
    "gzip bombs of 64 MiB, 8 clients": partial(
        _pour, data=_bomb("gzip", gzip.compress(_ZEROS))
    ),
    "snappy bombs of 64 MiB, 8 clients": partial(
        _pour, data=_bomb("snappy", bytes(cramjam.snappy.compress(_ZEROS)))
    ),
    "64 MiB of comments in gzip, 8 clients": partial(
        _pour, data=_bomb("gzip", gzip.compress(_COMMENTS))
    ),
    "requests with two lengths, 8 clients": partial(_pour, data=_SMUGGLED),
    "probes sent ahead, 500 clients": partial(
        _pour, data=request("GET", "/-/healthy") * 1000, clients=CLIENTS
    ),
    "the page asked for, 500 clients": partial(_pour, data=_PAGE, clients=CLIENTS),
    "scrapes with a regular expression, 500 clients": partial(
        _pour, data=_REGEX, clients=CLIENTS
    ),
    "shards of changing numbers, 500 clients": partial(
        _pour, data=b"".join(_SHARDS), clients=CLIENTS, apart=len(_SHARDS[0])
    ),
}
