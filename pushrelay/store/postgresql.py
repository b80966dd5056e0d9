"""Databases on a server: PostgreSQL, which several relays may share.

Nothing of what must be right hangs on the state of a connection, which behind a pooler
of transactions may be another one each time: each transaction says itself how it is
isolated and how long it may take.
"""

from __future__ import annotations

import select as select_
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import psycopg
from sqlalchemy import URL, NullPool, create_engine, func, select
from sqlalchemy.engine import Connection

from pushrelay.store.engine import (
    SYNC_MODES,
    ConstraintBroken,
    DriverError,
    ValueTooLarge,
)
from pushrelay.store.session import Session, Values
from pushrelay.store.statements import Statement

CONNECT_SECONDS = 3
"""How long connecting may take, for each address."""

LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
IDLE_SECONDS = 5
"""How long a transaction that writes may wait for the write lock, for one of its
statements, and for us: a relay that is frozen must not stop the others."""

_ROWS = 500
"""So many rows of a large result come at a time."""

_READ_SECONDS = 120
"""How long a statement that reads may take: all of a large store."""

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
_BEGIN_READING = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    f"SET LOCAL statement_timeout = '{_READ_SECONDS}s'",
)
_BEGIN_WRITING = {
    sync: (
        # Whatever a role has for its default: each statement must see the last commit.
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'",
        f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'",
        f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'",
        *(["SET LOCAL synchronous_commit = off"] if sync == "normal" else []),
        "SELECT id FROM write_lock FOR UPDATE",
    )
    for sync in SYNC_MODES
}
_MIGRATION_LOCK = 7787743201
"""The number that all of us take for the lock of those who change the schema."""


class PostgresSession:
    """A `Session` of which `begin` starts the transactions; pipelined: whether what is
    done in them waits for no answer that nobody asks for."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        begin: tuple[str, ...],
        pipelined: bool,
    ) -> None:
        self._driver = connection
        self._begin = begin
        self._pipelined = pipelined

    @property
    def is_current(self) -> bool:
        # A server that has nothing to say is still there; one that has, says goodbye.
        return not self._driver.closed and not _is_readable(self._driver.pgconn.socket)

    def all(
        self, statement: Statement, values: Values | None = None
    ) -> Iterator[tuple[Any, ...]]:
        with _told():
            cursor = self._driver.execute(statement.postgresql, values, binary=True)
            return iter(cursor.fetchall())

    def stream(self, statement: Statement) -> Iterator[tuple[Any, ...]]:
        with _told(), self._driver.cursor(binary=True) as cursor:
            yield from cursor.stream(statement.postgresql, size=_ROWS)

    def first(
        self, statement: Statement, values: Values | None = None
    ) -> tuple[Any, ...] | None:
        return next(self.all(statement, values), None)

    def run(self, statement: Statement, values: Values) -> None:
        with _told():
            self._driver.execute(statement.postgresql, values)

    def run_many(self, statement: Statement, rows: Iterable[Values]) -> None:
        with _told(), self._driver.cursor() as cursor:
            cursor.executemany(statement.postgresql, list(rows))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with _told():
            try:
                with self._driver.pipeline() if self._pipelined else nullcontext():
                    self._start()
                    yield
                    ended = self._driver.execute("COMMIT")
            except BaseException:
                self._undo()
                raise
            # The server answers like this, too, to the end of one that has failed.
            if ended.statusmessage != "COMMIT":
                raise DriverError(f"the commit became a {ended.statusmessage}")

    def _start(self) -> None:
        with self._driver.pipeline():
            for statement in self._begin:
                self._driver.execute(statement)

    def close(self) -> None:
        self.discard()

    def discard(self) -> None:
        with suppress(psycopg.Error):
            self._driver.close()

    def _undo(self) -> None:
        with suppress(psycopg.Error):
            self._driver.rollback()


class PostgresDatabase:
    """The database on the server that `url` names; see `engine.Database`.

    sync: "full" waits at each commit for what the server waits for; "normal" does not,
    so that the last commits may be lost in a crash of the server.
    """

    is_shared = True

    def __init__(self, url: URL, sync: str) -> None:
        url = url.set(drivername="postgresql+psycopg")
        self.name = url.render_as_string(hide_password=True)
        self._engine = create_engine(url, connect_args=_CONNECTION, poolclass=NullPool)
        self._begin_writing = _BEGIN_WRITING[sync]
        # Those of `reading` that nobody uses now.
        self._idle: list[PostgresSession] = []

    def exists(self) -> bool:
        return True

    def create(self) -> bool:
        return False

    @contextmanager
    def reading(self) -> Iterator[Session]:
        session = self._idle_reader() or self._connect(_BEGIN_READING, pipelined=False)
        try:
            yield session
        except BaseException:
            session.discard()
            raise
        self._idle.append(session)

    def open_writer(self) -> Session:
        return self._connect(self._begin_writing, pipelined=True)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    def close(self) -> None:
        while (session := _pop(self._idle)) is not None:
            session.close()
        self._engine.dispose()

    def _idle_reader(self) -> PostgresSession | None:
        while (session := _pop(self._idle)) is not None:
            if session.is_current:
                return session
            session.discard()
        return None

    def _connect(self, begin: tuple[str, ...], *, pipelined: bool) -> PostgresSession:
        _, asked = self._engine.dialect.create_connect_args(self._engine.url)
        with _told():
            driver = psycopg.connect(**{**_CONNECTION, **asked}, autocommit=True)
        return PostgresSession(driver, begin, pipelined)


def _pop(sessions: list[PostgresSession]) -> PostgresSession | None:
    # One step, for several threads may ask at once.
    with suppress(IndexError):
        return sessions.pop()
    return None


def _is_readable(socket: int) -> bool:
    poll = select_.poll()
    poll.register(socket, select_.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _told() -> Iterator[None]:
    """Let errors of the driver be those that the store knows."""
    try:
        yield
    except psycopg.Error as error:
        told = str(error).strip() or type(error).__name__
        if isinstance(error, (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)):
            raise ValueTooLarge(told) from error
        if isinstance(error, psycopg.IntegrityError):
            raise ConstraintBroken(told) from error
        raise DriverError(told) from error
