"""Clients that go, or read nothing, leave no trace in what counts them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from crowd_use import (
    BUSY,
    CONNECTIONS,
    check_service,
    exceeded,
    gauge,
    locked,
    push,
    wait_for_requests,
    wait_for_rest,
)
from raw_clients import Clients, received, statuses
from relay_process import StartRelay
from waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def reset(client: socket.socket) -> None:
    """Close it without a goodbye."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_who_goes_with_requests_sent_ahead_leaves_no_connection(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.connections=6", BUSY)
    clients = Clients(relay, stack)
    with locked(relay):
        gone = [clients.send(push(f"first-{n}") + push(f"ahead-{n}")) for n in range(4)]
        wait_for_requests(relay, 4)
        for client in gone:
            reset(client)
        wait_until(lambda: gauge(relay, CONNECTIONS) == 1, "the end of connections")
    wait_for_requests(relay, 0)
    assert gauge(relay, CONNECTIONS) == 1
    check_service(relay)
    assert exceeded(relay, "connections") == 0


MANY = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300
"""More answers than the kernel holds for a client that does not read."""


def test_who_asks_and_does_not_read_takes_no_place(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.requests=2")
    clients = Clients(relay, stack)
    for _ in range(3):
        client = clients.send(MANY, receive_buffer=16_384)
        assert client.recv(10).startswith(b"HTTP/1.1 2")
        wait_for_rest(relay)
    check_service(relay)


def test_who_does_not_read_goes_in_time(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.request-seconds=1")
    clients = Clients(relay, stack)
    deaf = [clients.send(MANY, receive_buffer=16_384) for _ in range(3)]
    wait_until(lambda: exceeded(relay, "request_seconds") == 3, "their end")
    assert all(200 in statuses(received(client)) for client in deaf)
    wait_until(lambda: gauge(relay, CONNECTIONS) == 1)
    assert "level=error" not in relay.log


@pytest.mark.parametrize("ahead", [b"", push("first")], ids=["alone", "sent ahead"])
@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["half", "whole"])
def test_heads_that_come_at_once_are_counted(
    start_relay: StartRelay, stack: ExitStack, ahead: bytes, end: bytes
) -> None:
    relay = start_relay("--limit.incoming-bytes=200000")
    clients = Clients(relay, stack)
    head = push("long").partition(b"\r\n\r\n")[0]
    long = head + b"\r\nX: " + b"x" * 90_000 + b"\r\n" + end
    waiting = [clients.send(ahead + long) for _ in range(4)]
    check_service(relay)
    wait_until(lambda: exceeded(relay, "incoming_bytes") >= 2)
    # Two of them wait on.
    wait_until(lambda: sum(map(is_refused, waiting)) == 2)


def is_refused(client: socket.socket) -> bool:
    """Whether it was told to try again later; what came stays to be read."""
    client.setblocking(False)
    try:
        return 503 in statuses(client.recv(65536, socket.MSG_PEEK))
    except BlockingIOError:
        return False
