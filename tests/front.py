"""A way to a relay that fails as it is told, and can be mended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from relay_process import HTTPClient, free_port

_PART = 65536
_GRACE = 10.0


class Front:
    """Stands before `relay`, at an address that stays the same.

    fault: what is done with new connections; None to let them through to the relay.
    """

    def __init__(self, relay: HTTPClient) -> None:
        self.fault: Callable[[socket.socket], None] | None = None
        self._relay = (relay.host, relay.port)
        self._address = ("127.0.0.1", free_port())
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> Front:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        for thread in self._threads:
            thread.join(_GRACE)

    def up(self) -> None:
        """Take connections."""
        self._listener = socket.create_server(self._address)
        self._start(self._accept, self._listener)

    def down(self) -> None:
        """Refuse connections, and end those that there are."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self._open):
            _end(connection)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                connection, _ = listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with connection, suppress(OSError):
            (self.fault or self._pass_on)(connection)
        self._open.discard(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        with socket.create_connection(self._relay) as relay:
            back = self._start(_copy, relay, connection)
            _copy(connection, relay)
            back.join(_GRACE)

    def _start(self, work: Callable[..., None], *of: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=of, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread


def silent(connection: socket.socket) -> None:
    """Read, and never answer."""
    while connection.recv(_PART):
        pass


def closing(_: socket.socket) -> None:
    """Answer nothing, and close the connection."""


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """Return what gives this answer to whatever is asked."""

    def say(connection: socket.socket) -> None:
        connection.recv(_PART)
        connection.sendall(answer)

    return say


def answers(status: str) -> Callable[[socket.socket], None]:
    """Return what answers with this status."""
    return says(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


@contextmanager
def full_queue() -> Iterator[str]:
    """Yield the URL of a listener that accepts nothing, and whose queue is full."""
    with ExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        stack.enter_context(listener)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(_PART):
            target.sendall(part)
    _end(target, socket.SHUT_WR)


def _end(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with suppress(OSError):  # it has ended
        connection.shutdown(how)
