"""Two PostgreSQL servers: a primary, and a standby to which it streams what is written.

Their ports stay: whoever knows both reaches the primary, whichever it is.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres_server import (
    FAST,
    IMMEDIATE,
    PATIENCE,
    PostgresServer,
    find_programs,
    plain,
    run_sql,
)
from sqlalchemy import URL

_SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_keep_size": "256MB",
    # Those of the standby and of what is written are told at once.
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",
}


class PostgresCluster:
    """A primary and a standby, with the programs in `programs`.

    `promote` makes the standby the primary; `add_standby` makes a new one, in the place
    of the former primary.
    """

    def __init__(self, programs: Path, **settings: str) -> None:
        self._programs = programs
        self._settings = _SETTINGS | settings
        self.primary = PostgresServer(programs, **self._settings)
        self.former: PostgresServer | None = None
        """The primary before the last promotion, running or not."""
        self._standby: PostgresServer | None = None

    @property
    def standby(self) -> PostgresServer:
        """The standby, which must be there."""
        assert self._standby is not None, "it was promoted, and there is no other one"
        return self._standby

    def start(self) -> None:
        """Start the primary, and make its standby."""
        self.primary.start()
        if self._standby is None:
            self.add_standby()

    def url(self, database: str = "postgres") -> URL:
        """Return the URL that reaches whichever takes writes."""
        one, other = self.primary, self.former or self.standby
        query = {
            "host": "127.0.0.1,127.0.0.1",
            "port": ",".join(map(str, sorted((one.port, other.port)))),
            "target_session_attrs": "read-write",
        }
        return one.url(database, host=None, port=None, query=query)

    def add_standby(self) -> None:
        """Make and start a standby of the primary; the former one is removed."""
        former, self.former = self.former, None
        port = None
        if former is not None:
            port = former.port
            former.remove()
        self._standby = _Standby(self._programs, self.primary, port, **self._settings)
        self._standby.start()

    def promote(self) -> None:
        """Have the standby take writes, as the primary; what it lacks is lost.

        The former primary goes on, if it is not stopped: so stop it before.
        """
        promoted, self._standby = self.standby, None
        assert run_sql(promoted.url(), "SELECT pg_promote()") == [(True,)]
        self.former, self.primary = self.primary, promoted

    def stop_primary(self, how: signal.Signals = FAST) -> None:
        """Stop the primary; with IMMEDIATE, its last words do not reach the standby."""
        self.primary.stop(how)

    def fail_over(self, how: signal.Signals = IMMEDIATE) -> None:
        """Stop the primary, and promote the standby."""
        self.stop_primary(how)
        self.promote()

    # --- replication ---

    def cut_replication(self) -> None:
        """From now on, let nothing that is written reach the standby."""
        _set(self.standby, "primary_conninfo", "")
        self._wait_until_it_receives(False)

    def resume_replication(self) -> None:
        """Let all that was written reach the standby."""
        run_sql(self.standby.url(), "ALTER SYSTEM RESET primary_conninfo")
        _set(self.standby, "primary_conninfo", _conninfo(self.primary))
        self._wait_until_it_receives(True)

    def wait_for_replay(self) -> None:
        """Wait until the standby shows all that was written until now."""
        [(written,)] = run_sql(self.primary.url(), "SELECT pg_current_wal_lsn()")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        _wait_until(self.standby, query)

    def make_synchronous(self, is_so: bool = True) -> None:
        """Have commits wait for the standby, or no longer."""
        _set(self.primary, "synchronous_standby_names", "*" if is_so else "")
        if is_so:
            query = "SELECT bool_or(sync_state = 'sync') FROM pg_stat_replication"
            _wait_until(self.primary, query)

    def remove(self) -> None:
        """Stop all, and remove all they had."""
        for server in (self._standby, self.primary, self.former):
            if server is not None:
                server.remove()

    def _wait_until_it_receives(self, is_so: bool) -> None:
        query = "SELECT count(*) = {} FROM pg_stat_wal_receiver WHERE status = {}"
        _wait_until(self.standby, query.format(int(is_so), "'streaming'"))


@contextmanager
def running_cluster() -> Iterator[PostgresCluster]:
    """Start a primary, and remove all in the end."""
    cluster = PostgresCluster(find_programs())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


class _Standby(PostgresServer):
    """A server that was made of a backup of `primary`, and follows it."""

    def __init__(
        self,
        programs: Path,
        primary: PostgresServer,
        port: int | None,
        **settings: str,
    ) -> None:
        self._primary = primary
        super().__init__(programs, port, primary.password, **settings)

    def _make_cluster(self) -> None:
        primary = ("--dbname", _conninfo(self._primary), "--write-recovery-conf")
        how = ("--checkpoint=fast", "--no-sync", "--wal-method=stream")
        done = subprocess.run(
            [self._programs / "pg_basebackup", "-D", self._data, *primary, *how],
            capture_output=True,
            cwd="/",
            text=True,
            timeout=2 * PATIENCE,
            **self._as_user,
        )
        assert done.returncode == 0, done.stderr


def _conninfo(server: PostgresServer) -> str:
    return plain(server.url())


def _set(server: PostgresServer, name: str, value: str) -> None:
    run_sql(server.url(), f"ALTER SYSTEM SET {name} = '{value}'")
    run_sql(server.url(), "SELECT pg_reload_conf()")


def _wait_until(server: PostgresServer, query: str) -> None:
    """Wait until a query of `server` says so."""
    deadline = time.monotonic() + PATIENCE
    told: list[tuple[Any, ...]] = []
    while told != [(True,)]:
        assert time.monotonic() < deadline, f"never so: {query}: {told}"
        told = run_sql(server.url(), query)
        time.sleep(0.01)
