"""A way to a server on which everything can be counted, held up, lost or cut."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 30.0
_PART = 65536


class Link:
    """A connection from a client, and that to the server which belongs to it.

    turns: how often the client sent something after it had been answered.
    loses_answer: whether, in place of the next answer, there is a fault.
    """

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.turns = 0
        self.loses_answer = False
        self.was_answered = True

    def cut(self) -> None:
        """End both, as a fault of the network does."""
        for end in (self.client, self.server):
            hang_up(end)


class TcpProxy:
    """Stands before the server at `port`; its own is another one.

    before: is told what a client sends before the server is; whether it may have it.
    delay: seconds that everything takes longer, on the way there and on that back.
    refuses: whether new connections end at once.
    """

    def __init__(self, port: int) -> None:
        self.before: Callable[[Link, bytes], bool] = lambda _link, _data: True
        self.delay = 0.0
        self.refuses = False
        self.links: list[Link] = []
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        hang_up(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE)
        for link in self.links:
            link.client.close()
            link.server.close()

    @property
    def turns(self) -> int:
        """The turns of all connections."""
        return sum(link.turns for link in self.links)

    def cut(self) -> None:
        """End all connections."""
        for link in self.links:
            link.cut()

    def turn_to(self, port: int) -> None:
        """From now on, connect new clients to the server at `port`."""
        self._server = ("127.0.0.1", port)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if self.refuses:
                raise ConnectionRefusedError
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        for end in (client, server):
            # Else small parts wait for the other end to confirm those before.
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        self.links.append(link)
        self._start(self._ask, link)
        self._start(self._answer, link)

    def _ask(self, link: Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(_PART):
                link.turns += link.was_answered
                link.was_answered = False
                if self.before(link, data):
                    time.sleep(self.delay)
                    link.server.sendall(data)
        # Also after an error: who was killed has closed it, and the server must know.
        hang_up(link.server)

    def _answer(self, link: Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(_PART):
                link.was_answered = True
                if link.loses_answer:
                    break
                time.sleep(self.delay)
                link.client.sendall(data)
        link.cut()

    def _start(self, work: Callable[..., None], *of: object) -> None:
        thread = threading.Thread(target=work, args=of, daemon=True)
        self._threads.append(thread)
        thread.start()


def hang_up(connection: socket.socket) -> None:
    """End `connection` in both directions."""
    with suppress(OSError):  # it has ended
        connection.shutdown(socket.SHUT_RDWR)
