"""Relays of one database behind a balancer, with all that can be done to them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from haproxy_process import HaproxyProcess
from pgbouncer_process import PgbouncerProcess
from postgres_cluster import PostgresCluster
from postgres_server import plain, run_sql
from relay_process import HTTPClient, RelayProcess
from replica_process import Replica
from sqlalchemy import URL
from tcp_proxy import TcpProxy
from torture.history import Contents
from torture.page import read_page

from pushrelay.deciding import ViewDecider
from pushrelay.exposition.negotiation import negotiate
from pushrelay.store.engine import open_database
from pushrelay.store.migrate import upgrade
from pushrelay.store.reader import read_snapshot
from pushrelay.view.exposition import Exposition
from pushrelay.view.view import View

PATIENCE = 60.0

_FLAGS = ("--log.level=warn", "--runs.keep=1000000")
_ON_ONE_PAGE = "--web.own-metrics=on"
"""Then a page says whether the store had answered when it was made."""


class Stage:
    """`replicas`, and a `balancer` before them."""

    def __init__(self, directory: Path, replicas: list[RelayProcess]) -> None:
        self.replicas = replicas
        addresses = [replica.address for replica in replicas]
        self.balancer = HaproxyProcess(directory, addresses)

    def settle(self) -> None:
        """Wait until every replica has taken a write: what it was asked before is done
        then, or never will be."""
        for number, replica in enumerate(self.replicas):
            self._probe(replica, number)
        self.balancer.wait_until_ready(len(self.replicas))

    def _probe(self, replica: RelayProcess, number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        told = "no answer"
        while time.monotonic() < deadline:
            with suppress(OSError, EOFError):
                response = replica.put(f"/metrics/job/probes/instance/{number}")
                if response.status == 200:
                    return
                told = response.text
            assert replica.running, replica.log
            time.sleep(0.02)
        raise AssertionError(f"a replica does not recover: {told}\n{replica.log}")


class PostgresStage(Stage):
    """Three replicas of a database of `cluster`, each with ways of its own to it.

    The first two have one way, which is turned to the primary, or to a pgbouncer. The
    third one knows both servers, and finds the primary itself.
    """

    def __init__(
        self, directory: Path, cluster: PostgresCluster, database: str, *, pooled: bool
    ) -> None:
        self.cluster = cluster
        self._database = database
        self._end = ExitStack()
        run_sql(cluster.primary.url(), f"CREATE DATABASE {database}")
        self._upgrade(cluster.primary.url(database))
        self.pgbouncer: PgbouncerProcess | None = None
        if pooled:
            self.pgbouncer = PgbouncerProcess(cluster.primary)
            self._end.callback(self.pgbouncer.remove)
            self.pgbouncer.start()
        port = self.pgbouncer.port if self.pgbouncer else cluster.primary.port
        self.turned = [self._way(port) for _ in range(2 + pooled)]
        ports = () if pooled else (cluster.primary.port, cluster.standby.port)
        self._fixed = {each: self._way(each) for each in ports}
        urls = [self._url([way]) for way in self.turned]
        if self._fixed:
            urls.append(self._url(list(self._fixed.values())))
        replicas: list[RelayProcess] = []
        for number, url in enumerate(urls):
            place = directory / f"replica-{number}"
            place.mkdir()
            flags = _FLAGS if number == 2 else (*_FLAGS, _ON_ONE_PAGE)
            replicas.append(Replica(place, url, *flags))
        super().__init__(directory, replicas)

    @property
    def ways(self) -> list[TcpProxy]:
        """All ways to the database."""
        return [*self.turned, *self._fixed.values()]

    def block(self) -> None:
        """Let nobody reach the database any more."""
        for way in self.ways:
            way.refuses = True
            way.cut()

    def unblock(self) -> None:
        """Let all reach the primary again, whichever it is."""
        if self.pgbouncer is None:
            for way in self.turned:
                way.turn_to(self.cluster.primary.port)
        for way in self.ways:
            way.refuses = False

    def survived(self) -> tuple[int, dict[str, Contents]]:
        """Return the revision of the primary's store, and what is in its cells."""
        database = open_database(plain(self.cluster.primary.url(self._database)))
        view = View()
        decider = ViewDecider(view, time.time_ns)
        position = decider.catch_up(lambda since: read_snapshot(database, since))
        database.close()
        page = Exposition(view.snapshot(), (), negotiate(None)).chunks()
        return position.revision, read_page(b"".join(page).decode()).cells

    def close(self) -> None:
        """Let go what only the stage needs."""
        self._end.close()

    def _way(self, port: int) -> TcpProxy:
        return self._end.enter_context(TcpProxy(port))

    def _url(self, ways: list[TcpProxy]) -> str:
        ports = [str(way.port) for way in ways]
        query = {"host": ",".join(["127.0.0.1"] * len(ports)), "port": ",".join(ports)}
        if len(ports) > 1:
            query["target_session_attrs"] = "read-write"
        url = self.cluster.primary.url(self._database)
        parts = (url.drivername, url.username, url.password, None, None, url.database)
        return _text(URL.create(*parts, query=query))

    def _upgrade(self, url: URL) -> None:
        database = open_database(_text(url))
        upgrade(database)
        database.close()


def sqlite_stage(directory: Path) -> Stage:
    """Return a stage with two relays on one file."""
    replicas: list[RelayProcess] = []
    for number in range(2):
        place = directory / f"replica-{number}"
        place.mkdir()
        replicas.append(Replica(place, f"sqlite:///{directory}/relay.db", *_FLAGS))
    return Stage(directory, replicas)


@contextmanager
def playing(stage: Stage) -> Iterator[None]:
    """Let all that belongs to `stage` run, and end it."""
    with ExitStack() as end:
        if isinstance(stage, PostgresStage):
            end.callback(stage.close)
        for replica in stage.replicas:
            end.callback(replica.kill)
            replica.start()
        end.callback(stage.balancer.stop)
        stage.balancer.start()
        yield


def send_to_all_of(replica: RelayProcess, what: signal.Signals) -> None:
    """Send a signal to a relay's master and its worker."""
    assert replica.process is not None
    os.killpg(replica.process.pid, what)


def process_of(replica: HTTPClient) -> str:
    """Return what tells a replica's process from those before it."""
    assert isinstance(replica, RelayProcess)
    assert replica.process is not None
    return str(replica.process.pid)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
