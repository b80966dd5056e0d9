"""Relays that have more clients than they take, and what they tell of it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from relay_process import RelayProcess
from waiting import wait_until

HALF_HEAD = b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = HALF_HEAD + b"Content-Length: 9\r\n\r\nx 1\n"
BUSY = "--limit.write-seconds=30"
"""The flag of a relay that writes wait for, while its database is locked."""
CONNECTIONS = "pushrelay_http_connections"


def push(job: str, body: bytes = b"x 1\n") -> bytes:
    head = f"PUT /metrics/job/{job} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def locked(relay: RelayProcess) -> Iterator[None]:
    """Let no write through while the block runs."""
    with closing(sqlite3.connect(relay.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


_IN_FLIGHT = "pushrelay_http_requests_in_flight"


def check_service(relay: RelayProcess) -> None:
    assert relay.get("/-/healthy").status == 200
    assert relay.put("/metrics/job/served", "x 1\n").status == 200
    assert relay.get("/metrics").status == 200


def own_page(relay: RelayProcess) -> str:
    """Return the relay's own metrics, which stay few."""
    return relay.get("/-/metrics").text


def exceeded(relay: RelayProcess, limit: str) -> int:
    """Return how often a limit was hit by now."""
    name = f'pushrelay_limit_exceeded_total{{limit="{limit}"}}'
    return sum(
        int(line.split()[1])
        for line in own_page(relay).splitlines()
        if line.startswith(name)
    )


def gauge(relay: RelayProcess, name: str) -> int:
    found = re.search(rf"^{name} (\d+)$", own_page(relay), re.M)
    assert found
    return int(found[1])


def wait_for_requests(relay: RelayProcess, number: int) -> None:
    """Wait until so many requests are served, and the scrape that tells."""
    wait_until(lambda: gauge(relay, _IN_FLIGHT) == number + 1, f"{number} requests")


def wait_for_rest(relay: RelayProcess) -> None:
    """Wait until the relay has answered all that it can. Between two requests of a
    client it is at rest for a moment, too."""
    wait_until(
        lambda: all(gauge(relay, _IN_FLIGHT) == 1 for _ in range(20)), "the last answer"
    )
