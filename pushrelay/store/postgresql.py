"""Databases on a server: PostgreSQL, which several relays may share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames
from typing import Any

import psycopg
from sqlalchemy import URL, NullPool, create_engine, event, func, inspect, select
from sqlalchemy.engine import Connection

from pushrelay.errors import StartupError
from pushrelay.store.postgres_connection import PatientConnection, driver_errors
from pushrelay.store.postgres_faults import explain, was_reached
from pushrelay.store.postgres_pool import Pool
from pushrelay.store.postgres_session import (
    END_READING,
    END_WRITING,
    READ_SECONDS,
    begin_reading,
    begin_writing,
)
from pushrelay.store.schema import write_lock
from pushrelay.store.server_clock import ServerClock
from pushrelay.store.session import Session

OLDEST_VERSION = 13

CONNECT_SECONDS = 3
"""How long connecting may take, for each address."""

LATE_SECONDS = 1
"""So much later than the server ends what takes too long is the server given up."""

_CONNECTION = {
    "connect_timeout": CONNECT_SECONDS,
    # A connection that is dead without a word is noticed.
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "application_name": "pushrelay",
    # Else that of a database is used, which may be none: text would come as bytes.
    "client_encoding": "UTF8",
    # What a standby shows may be late, and it takes nothing.
    "target_session_attrs": "primary",
    # Poolers of transactions lend another connection, which has prepared nothing.
    "prepare_threshold": None,
}
_MIGRATION_LOCK = 7787743201
"""The number that all of us take for the lock of those who change the schema."""
MIGRATING_IDLE_SECONDS = 60
"""How long one who changes the schema, or restores a backup, may have nothing to do:
nobody else writes meanwhile, and it may be frozen or cut off."""


class PostgresDatabase:
    """The database on the server that `url` names; see `engine.Database`.

    sync: "full" waits at each commit for what the server waits for; "normal" does not,
    so that the last commits may be lost in a crash of the server. write_seconds: how
    long a transaction that writes may wait for the server's next word.
    """

    kind = "PostgreSQL"
    is_shared = True

    def __init__(self, url: URL, sync: str, write_seconds: float) -> None:
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
        self._readers, self._refreshers = (
            Pool(
                self._connect,
                begin_reading,
                END_READING,
                clock,
                READ_SECONDS + LATE_SECONDS,
            )
            for _ in range(2)
        )
        self._writers = Pool(
            self._connect,
            lambda version: begin_writing(version, waits_for_disk, write_seconds),
            END_WRITING,
            clock,
            write_seconds + LATE_SECONDS,
            are_in_turn=True,
        )

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self._readers, self._refreshers, self._writers

    def now(self) -> int:
        return self._clock.now()

    def clock_skew(self) -> int:
        return self._clock.skew()

    def is_silent(self) -> bool:
        return any(pool.is_silent() for pool in self._pools)

    def exists(self) -> bool:
        return True

    def create(self) -> bool:
        return False

    def explain(self, error: BaseException) -> str:
        return explain(self._engine.url, error)

    def was_reached(self, error: BaseException) -> bool:
        return was_reached(error)

    @contextmanager
    def reading(self, *, newest: bool = False) -> Iterator[Session]:
        pool = self._refreshers if newest else self._readers
        began = time.monotonic()
        session = pool.take()
        try:
            yield session
        except BaseException:
            session.discard()
            raise
        session.close()
        if newest:
            # Nobody needs any more what was asked for before.
            pool.give_up(time.monotonic() - began)

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
        for pool in self._pools:
            pool.close()
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

    def _connect(self) -> PatientConnection:
        _, asked = self._engine.dialect.create_connect_args(self._engine.url)
        with driver_errors(), _no_traces():
            connection = PatientConnection.connect(
                **{**_CONNECTION, **asked}, autocommit=True
            )
        connection.suspect = self._suspect
        return connection

    def _suspect(self) -> None:
        """Trust none that nobody uses: what one of them is sent may be lost as well."""
        for pool in self._pools:
            pool.close_idle()


@contextmanager
def _no_traces() -> Iterator[None]:
    """Let go at once of what the driver leaves to the garbage collector when it cannot
    connect: the socket."""
    try:
        yield
    except psycopg.Error as error:
        clear_frames(error.__traceback__)
        raise


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
