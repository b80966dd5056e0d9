"""Databases on a server: PostgreSQL, which several relays may share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, NullPool, create_engine, event, func, inspect, select
from sqlalchemy.engine import Connection

from pushrelay.errors import StartupError
from pushrelay.store.postgres_session import (
    END_READING,
    END_WRITING,
    PostgresSession,
    begin_reading,
    begin_writing,
    driver_errors,
)
from pushrelay.store.schema import write_lock
from pushrelay.store.server_clock import ServerClock
from pushrelay.store.session import Session

OLDEST_VERSION = 13

CONNECT_SECONDS = 3
"""How long connecting may take, for each address."""

KEPT_IDLE = 4
"""So many connections of a kind are kept for the next ones who ask."""

_CONNECTION = {
    "connect_timeout": CONNECT_SECONDS,
    # A connection that is dead without a word is noticed.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "application_name": "pushrelay",
    # Poolers of transactions lend another connection, which has prepared nothing.
    "prepare_threshold": None,
}
_MIGRATION_LOCK = 7787743201
"""The number that all of us take for the lock of those who change the schema."""


MIGRATING_IDLE_SECONDS = 60
"""How long one who changes the schema, or restores a backup, may have nothing to do:
nobody else writes meanwhile, and it may be frozen or cut off."""


class _Pool:
    """Sessions that `connect` opens, and keeps for others when they are closed."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        begin: Callable[[int], list[str]],
        end: list[str],
        clock: ServerClock,
    ) -> None:
        self._connect = connect
        self._begin = begin
        self._end = end
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[PostgresSession] = []
        self._is_closed = False

    def take(self) -> PostgresSession:
        """Lend a session."""
        while (session := self._pop()) is not None:
            if session.is_current:
                return session
            session.discard()
        driver = self._connect()
        begin = self._begin(driver.info.server_version // 10_000)
        return PostgresSession(driver, begin, self._end, self._take_back, self._clock)

    def close(self) -> None:
        """Close those that nobody uses, and others when they are given back."""
        self._is_closed = True
        while (session := self._pop()) is not None:
            session.discard()

    def _take_back(self, session: PostgresSession) -> None:
        with self._lock:
            is_kept = not self._is_closed and len(self._idle) < KEPT_IDLE
            if is_kept and session.is_current:
                self._idle.append(session)
                return
        session.discard()

    def _pop(self) -> PostgresSession | None:
        with self._lock:
            return self._idle.pop() if self._idle else None


class PostgresDatabase:
    """The database on the server that `url` names; see `engine.Database`.

    sync: "full" waits at each commit for what the server waits for; "normal" does not,
    so that the last commits may be lost in a crash of the server.
    """

    is_shared = True

    def __init__(self, url: URL, sync: str) -> None:
        self.name = _name(url)
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_CONNECTION,
            poolclass=NullPool,
            # Nothing of what it would ask for is used.
            use_native_hstore=False,
        )
        event.listen(self._engine, "after_cursor_execute", _send_sync)
        waits_for_disk = sync == "full"
        clock = self._clock = ServerClock()
        self._readers = _Pool(self._connect, begin_reading, END_READING, clock)
        self._writers = _Pool(
            self._connect,
            lambda version: begin_writing(version, waits_for_disk),
            END_WRITING,
            clock,
        )

    def now(self) -> int:
        return self._clock.now()

    def clock_skew(self) -> int:
        return self._clock.skew()

    def exists(self) -> bool:
        return True

    def create(self) -> bool:
        return False

    @contextmanager
    def reading(self) -> Iterator[Session]:
        session = self._readers.take()
        try:
            yield session
        except BaseException:
            session.discard()
            raise
        session.close()

    def open_writer(self) -> Session:
        return self._writers.take()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._begin("REPEATABLE READ", read_only=True) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        # What the other one of two at once did is seen by the statements after the
        # lock.
        with self._begin("READ COMMITTED", read_only=False) as connection:
            idle = func.set_config(
                "idle_in_transaction_session_timeout",
                f"{round(MIGRATING_IDLE_SECONDS * 1000)}ms",
                True,
            )
            connection.execute(select(idle))
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            inspector = inspect(connection)
            own = inspector.default_schema_name
            if inspector.has_table(write_lock.name, own):
                connection.execute(select(write_lock).with_for_update())
            yield connection

    def close(self) -> None:
        self._readers.close()
        self._writers.close()
        self._engine.dispose()

    @contextmanager
    def _begin(self, isolation: str, *, read_only: bool) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            _require_version(connection)
            # Whatever a role has for its default.
            connection.execution_options(
                isolation_level=isolation, postgresql_readonly=read_only
            )
            with connection.begin():
                yield connection

    def _connect(self) -> psycopg.Connection[Any]:
        _, asked = self._engine.dialect.create_connect_args(self._engine.url)
        with driver_errors():
            return psycopg.connect(**{**_CONNECTION, **asked}, autocommit=True)


def _send_sync(_connection: Any, cursor: Any, *what: Any) -> None:
    """Follow many runs of a statement by a Sync: the driver ends them with a Flush,
    after which a server does not look at how long there is nothing to do."""
    *_, is_many = what
    if is_many:
        cursor.connection.execute("SELECT 1")


def _name(url: URL) -> str:
    """Return `url` for people: a password may also be one of its parameters."""
    shown = {name: url.query[name] for name in ("host", "port") if name in url.query}
    parts = (url.username, None, url.host, url.port, url.database, shown)
    return URL.create("postgresql", *parts).render_as_string()


def _require_version(connection: Connection) -> None:
    version = connection.dialect.server_version_info or (0,)
    if version < (OLDEST_VERSION,):
        raise StartupError(
            f"the server of --database.url is PostgreSQL {'.'.join(map(str, version))};"
            f" pushrelay needs {OLDEST_VERSION} or newer: upgrade it, or choose another"
        )
