"""A relay whose database is gone for a time, in all the ways in which it can be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postgres_cluster import PostgresCluster
from postgres_server import IMMEDIATE
from relay_process import Response
from replica_process import Replica
from sqlalchemy import URL
from tcp_proxy import TcpProxy
from waiting import wait_until
from worker_process import connections_of, threads_of, worker_of

pytestmark = [pytest.mark.postgres, pytest.mark.system]

WRITE_SECONDS = 1.0
LOAD_SECONDS = 2.0
SOON = 8.0
"""What takes a second or two, on a machine that has much else to do; less than what
any limit of the database's would come to."""

MOST_CONNECTIONS = 11
"""See operations.md."""

MOST_THREADS = 30
"""Those who ask are far more than may wait."""


@dataclass
class Outage:
    """How a database is gone: `begin` and `end` make it so, and undo it."""

    begin: Callable[[], object]
    end: Callable[[], object]


def outages(cluster: PostgresCluster, proxy: TcpProxy) -> dict[str, Outage]:
    """Return all kinds of outages, by name, of who reaches the primary by `proxy`."""

    def lose_all() -> None:
        proxy.before = lambda _link, _data: False

    def lose_nothing() -> None:
        proxy.before = lambda _link, _data: True

    server = cluster.primary
    return {
        "stopped": Outage(lambda: server.stop(IMMEDIATE), server.start),
        "frozen": Outage(server.freeze, server.thaw),
        "out of reach": Outage(lose_all, lose_nothing),
    }


@dataclass
class Load:
    """What several clients were answered, and how long each answer took."""

    answers: dict[str, list[tuple[Response, float]]] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, kind: str, request: Callable[[], Response]) -> None:
        """Make a request again and again."""
        while not self.is_over.is_set():
            began = time.monotonic()
            response = request()
            seconds = time.monotonic() - began
            self.answers.setdefault(kind, []).append((response, seconds))
            time.sleep(0.02)

    def statuses(self, kind: str) -> set[int]:
        return {response.status for response, _ in self.answers[kind]}

    def seconds(self, kind: str) -> list[float]:
        """Return how long each took, the longest last."""
        return sorted(seconds for _, seconds in self.answers[kind])


@contextmanager
def load_on(relay: Replica) -> Iterator[Load]:
    """Have many clients push, scrape and ask for runs."""
    load = Load()
    requests: list[tuple[str, Callable[[], Response]]] = [
        ("pushes", lambda: relay.put("/metrics/job/load", "x 1\n")),
        ("scrapes", lambda: relay.get("/metrics")),
        ("lists", lambda: relay.get("/api/v1/runs")),
    ]
    clients = [
        threading.Thread(target=load.ask, args=request, daemon=True)
        for request in requests
        for _ in range(5)
    ]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.is_over.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize("kind", ["stopped", "frozen", "out of reach"])
def test_a_relay_without_its_database_answers_in_time_and_recovers(
    cluster: PostgresCluster, store_url: URL, tmp_path: Path, kind: str
) -> None:
    cluster.start()
    flag = f"--limit.write-seconds={WRITE_SECONDS}"
    with TcpProxy(cluster.primary.port) as proxy:
        outage = outages(cluster, proxy)[kind]
        # A proxy does not outlive a server that refuses it.
        port = cluster.primary.port if kind == "stopped" else proxy.port
        with Replica(tmp_path, shown(store_url.set(port=port)), flag) as relay:
            assert relay.put("/metrics/job/before", "x 1\n").status == 200
            worker = worker_of(relay)
            outage.begin()
            try:
                with load_on(relay) as load:
                    for _ in range(4):
                        time.sleep(LOAD_SECONDS / 4)
                        assert threads_of(worker) <= MOST_THREADS
                        assert connections_of(worker, port) <= MOST_CONNECTIONS
                require_served_from_memory(relay, load)
            finally:
                outage.end()
            began = time.monotonic()
            if kind != "out of reach":
                # The first one; there it may be on a way that swallows it still.
                assert relay.put("/metrics/job/after", "x 1\n").status == 200
            wait_until(
                lambda: relay.put("/metrics/job/after", "x 1\n").status == 200,
                "a push",
            )
            wait_until(lambda: relay.get("/-/ready").status == 200, "being ready")
            wait_until(lambda: store_up(relay) == "1", "store_up")
            assert time.monotonic() - began < SOON
            for job in ("before", "after"):
                assert f'\nx{{instance="",job="{job}"}} 1\n' in relay.page()
            assert worker_of(relay) == worker


def require_served_from_memory(relay: Replica, load: Load) -> None:
    """Look at what a relay without its database does, and did to `load`."""
    assert load.statuses("pushes") == {503}
    assert all(response.header("Retry-After") for response, _ in load.answers["pushes"])
    assert load.seconds("pushes")[-1] < SOON
    assert load.statuses("scrapes") == {200}
    # The first ones wait for a second, and later ones for nothing.
    times = load.seconds("scrapes")
    assert times[len(times) // 2] < WRITE_SECONDS / 2
    assert load.statuses("lists") == {503}
    assert load.seconds("lists")[-1] < SOON
    assert relay.get("/-/ready").status == 503
    assert relay.get("/-/healthy").status == 200
    assert store_up(relay) == "0"
    assert '\nx{instance="",job="before"} 1\n' in relay.page()


def store_up(relay: Replica) -> str:
    """Return what the relay says of its database after a scrape."""
    relay.page()
    return sample(relay, "pushrelay_store_up")


def sample(relay: Replica, name: str) -> str:
    """Return the value of one of its own metrics."""
    lines = relay.get("/-/metrics").text.splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return value


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)
