from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pushrelay.web.listening import has_waiting, take_again, take_no_more


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A socket that listens on the loopback address, for IPv6 on all addresses."""
    host = "127.0.0.1" if request.param == socket.AF_INET else ""
    with socket.create_server(
        (host, 0), family=request.param, dualstack_ipv6=not host
    ) as made:
        yield made


def connect(listening: socket.socket, seconds: float = 30) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(listening)), seconds)


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def test_nobody_connects_any_more(listening: socket.socket) -> None:
    take_no_more(listening)
    with pytest.raises(TimeoutError):
        connect(listening, 0.05)
    assert not has_waiting(listening)


def test_who_has_connected_is_accepted_and_heard(listening: socket.socket) -> None:
    with connect(listening) as waits, connect(listening) as speaks:
        speaks.sendall(b"before")
        take_no_more(listening)
        waits.sendall(b"after")
        heard = set()
        for _ in range(2):
            assert has_waiting(listening)
            accepted, _ = listening.accept()
            with accepted:
                accepted.settimeout(30)
                heard.add(accepted.recv(100))
        assert heard == {b"before", b"after"}
        assert not has_waiting(listening)


def test_who_tries_is_refused_once_it_is_closed(listening: socket.socket) -> None:
    port = port_of(listening)
    take_no_more(listening)
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 30)


def test_it_can_be_undone_by_the_next_to_listen(listening: socket.socket) -> None:
    take_no_more(listening)
    with socket.socket(fileno=socket.dup(listening.fileno())) as successor:
        take_again(successor)
        take_again(successor)
    with connect(listening):
        assert has_waiting(listening)
