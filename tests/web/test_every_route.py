"""HEAD, OPTIONS and what no method is, on every route there is."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from raw_clients import statuses
from relay_process import RelayProcess, StartRelay
from route_requests import REQUESTS

from pushrelay.config import Settings
from pushrelay.web.routing import Router

ROUTES = Router(Settings(enable_admin_api=True)).routes
TARGETS = sorted({REQUESTS[route.name][0] for route in ROUTES})
PUSH = b"PUT /metrics/job/served HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nx 1\n"


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> Iterator[RelayProcess]:
    return start_relay("--web.enable-admin-api", "--web.enable-lifecycle")


@pytest.mark.parametrize("target", TARGETS)
def test_a_normal_push_is_served_behind_any_method(
    relay: RelayProcess, target: str
) -> None:
    path = target.encode()
    with socket.create_connection((relay.host, relay.port), 30) as connection:
        for method in (b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"FROB"):
            connection.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\n\r\n" % (method, path))
            with connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                length = 0 if method == b"HEAD" else _length(head)
                assert len(stream.read(length)) == length
            assert statuses(head)[0] in {200, 405}, head
        connection.sendall(PUSH)
        assert statuses(connection.recv(4096)) == [200]


def _length(head: bytes) -> int:
    [line] = [n for n in head.split(b"\r\n") if n.lower().startswith(b"content-length")]
    return int(line.partition(b":")[2])


def test_nothing_was_done_by_that(relay: RelayProcess) -> None:
    assert relay.running
    assert relay.grouping_keys() == [{"job": "served"}]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_every_route_has_a_request_here(method: str) -> None:
    assert {route.name for route in ROUTES} <= REQUESTS.keys()
    assert all(method not in route.methods for route in ROUTES)
