"""A socket for `http.client` that gives up on who never comes to an end."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from errno import EMSGSIZE
from typing import Any


class BoundedSocket:
    """What `http.client` needs of the connected `sock`, for one exchange after the
    other, each of which `begin` begins.

    silent_seconds: how long the other side may do nothing. whole_seconds: how long an
        exchange may take. most_bytes: so much may be received in it.

    Sending and receiving raise TimeoutError, and OSError for more than `most_bytes`.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        silent_seconds: float,
        whole_seconds: float,
        most_bytes: int,
    ) -> None:
        self._sock = sock
        self._silent_seconds = silent_seconds
        self._whole_seconds = whole_seconds
        self._most_bytes = most_bytes

    def begin(self) -> None:
        """Count time and bytes from now on."""
        self._until = time.monotonic() + self._whole_seconds
        self._received = 0

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        # sendall() of a socket with TLS would take the time-out for each record.
        left = memoryview(data)
        while left:
            self._limit()
            left = left[self._sock.send(left) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what is received as a file."""
        # It holds the socket open when that is closed before it.
        received = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_Received(received, self._receive))

    def close(self) -> None:
        """Close the socket, or let the last open file of it do so."""
        self._sock.close()

    def _receive(self, receive: Callable[[], int]) -> int:
        self._limit()
        count = receive()
        self._received += count
        if self._received > self._most_bytes:
            raise OSError(EMSGSIZE, f"it has more than {self._most_bytes:,} bytes")
        return count

    def _limit(self) -> None:
        """Let what is done next take no longer than it may."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        self._sock.settimeout(min(left, self._silent_seconds))


class _Received(io.RawIOBase):
    """What `file` gives, each time by `receive`."""

    def __init__(
        self, file: io.RawIOBase, receive: Callable[[Callable[[], int]], int]
    ) -> None:
        self._file = file
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._receive(lambda: self._file.readinto(buffer) or 0)

    def close(self) -> None:
        self._file.close()
        super().close()
