"""What clients send ahead, or all at once, waits outside until its turn."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from crowd_use import BUSY, locked, push, wait_for_requests
from raw_clients import Clients, received, statuses
from relay_process import RelayProcess, StartRelay
from waiting import wait_until

pytestmark = pytest.mark.system


def unread(client: socket.socket) -> int:
    """Return how many bytes the kernel holds that this client has sent, and the relay
    has not read."""
    sent_from, sent_to = client.getsockname()[1], client.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(field.split(":")[1], 16) for field in fields[1:3])
        if (local, remote) == (sent_to, sent_from):
            return int(fields[4].split(":")[1], 16)
    raise AssertionError("there is no such connection")


def test_requests_sent_ahead_are_not_read_while_one_is_served(
    start_relay: StartRelay,
) -> None:
    relay = start_relay(BUSY)
    with ExitStack() as stack:
        with locked(relay):
            client = Clients(relay, stack).send(push("first"))
            wait_for_requests(relay, 1)
            # Whatever came until it noticed may have been read.
            client.sendall(push("second"))
            wait_until(lambda: unread(client) == 0)
            for number in range(20):
                client.sendall(push(f"later-{number}"))
                assert relay.get("/-/healthy").status == 200
            # Some may wait with the client's kernel.
            assert unread(client) >= len(push("later-0"))
        client.shutdown(socket.SHUT_WR)
        assert statuses(received(client)) == [200] * 22


def test_requests_sent_ahead_by_many_are_answered_one_in_a_turn(
    start_relay: StartRelay,
) -> None:
    relay = start_relay("--web.own-metrics=on")
    probes = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n" * 300
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((relay.host, relay.port)))
            for _ in range(200)
        ]
        for client in clients:
            client.sendall(probes)
        answered = [probes_answered(relay) for _ in range(20)]
    # A scrape takes several turns of the event loop, and nobody else's probes one each.
    between = min(later - before for before, later in pairwise(answered))
    assert answered[0] < answered[-1]
    assert between < len(clients)


def probes_answered(relay: RelayProcess) -> int:
    """Return how often the relay has said by now that it is healthy."""
    name = 'pushrelay_http_requests_total{code="200",handler="healthy",method="get"}'
    page = relay.get("/-/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return int(float(found[1])) if found else 0


def test_many_large_pushes_at_once_are_all_taken(start_relay: StartRelay) -> None:
    relay = start_relay()
    # Comments: what is sent counts here, and not what is in it.
    body = b"x 1\n" + (b"#" * 1023 + b"\n") * 2000
    with ExitStack() as stack:
        clients = [
            socket.create_connection((relay.host, relay.port)) for _ in range(40)
        ]
        for number, client in enumerate(clients):
            stack.enter_context(client)
            head = f"PUT /metrics/job/large-{number} HTTP/1.1\r\nHost: x\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        left = dict.fromkeys(clients, memoryview(body))
        while left:
            for client, rest in list(left.items()):
                left[client] = rest[client.send(rest[: 1 << 18]) :]
                if not left[client]:
                    del left[client]
        assert [statuses(client.recv(4096)) for client in clients] == [[200]] * 40
