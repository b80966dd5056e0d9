"""Databases on a server: PostgreSQL, which several relays may share.

Nothing of what must be right hangs on the state of a connection, which behind a pooler
of transactions may be another one each time: each transaction says itself how it is
isolated and how long it may take.

What is written waits until something is read or committed, and then goes to the server
together: a write that looks nothing up takes two round trips.
"""

from __future__ import annotations

import select as select_
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, NullPool, create_engine, func, inspect, select
from sqlalchemy.engine import Connection

from pushrelay.errors import StartupError
from pushrelay.store.engine import (
    ConstraintBroken,
    DriverError,
    ValueTooLarge,
    one_line,
)
from pushrelay.store.schema import write_lock
from pushrelay.store.session import Session, Values
from pushrelay.store.statements import Statement

OLDEST_VERSION = 13

CONNECT_SECONDS = 3
"""How long connecting may take, for each address."""

LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
IDLE_SECONDS = 5
TRANSACTION_SECONDS = 30
"""How long a transaction that writes may wait for the write lock, take for one of its
statements, have nothing to do, and take in all: a relay that is frozen must not stop
the others."""

READ_SECONDS = 30
"""How long a statement that reads may take."""

LARGEST_BYTES = 1_000_000_000
"""A larger value would break the connection, so that it looked as if to try again were
worth while."""

KEPT_IDLE = 4
"""So many connections of a kind are kept for the next ones who ask."""

_ROWS = 200
"""So many rows of a large result come at a time."""

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


def _set(**settings: str) -> str:
    """Return the query that makes `settings` for this transaction."""
    each = [f"set_config('{name}', '{to}', true)" for name, to in settings.items()]
    return f"SELECT {', '.join(each)}"


def _begin_reading(_version: int) -> list[str]:
    return [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        _set(statement_timeout=f"{READ_SECONDS}s"),
    ]


def _begin_writing(version: int, waits_for_disk: bool) -> list[str]:
    settings = {
        "lock_timeout": f"{LOCK_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    }
    if version >= 17:
        # While it waits for the rest of what it is to do, nothing else ends it.
        settings["transaction_timeout"] = f"{TRANSACTION_SECONDS}s"
    if not waits_for_disk:
        settings["synchronous_commit"] = "off"
    return [
        # Whatever a role has for its default: each statement must see the last commit.
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        _set(**settings),
        "SELECT id FROM write_lock FOR UPDATE",
    ]


_END_WRITING = [
    # Else a commit that waits for a standby would be confirmed when that is late. It
    # fails if the transaction has: COMMIT by itself would quietly undo it.
    _set(statement_timeout="0"),
    "COMMIT",
]
_END_READING = ["COMMIT"]


class _Task:
    """What the server is to do, with `values`, or for each of a list of them.

    cursor: has what came of it, once it is sent.
    """

    def __init__(self, sql: str, values: Values | list[Values] | None = None) -> None:
        self.sql = sql
        self.values = values
        self.cursor: Any = None

    def start(self, connection: psycopg.Connection[Any]) -> None:
        if isinstance(self.values, list):
            self.cursor = connection.cursor()
            self.cursor.executemany(self.sql, self.values)
        else:
            self.cursor = connection.execute(self.sql, self.values, binary=True)


class PostgresSession:
    """A `Session` on `connection`, whose transactions `begin` and `end` bound;
    `give_back` takes it when it is closed."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        begin: list[str],
        end: list[str],
        give_back: Callable[[PostgresSession], None],
    ) -> None:
        self._driver = connection
        self._begin = begin
        self._end = end
        self._give_back = give_back
        self._waiting: list[_Task] = []
        self._in_transaction = False
        self._pipelining = ExitStack()
        self._pipeline = self._pipelining.enter_context(connection.pipeline())

    @property
    def is_current(self) -> bool:
        # A server that has nothing to say is still there; one that has, says goodbye.
        return not self._driver.closed and not _is_readable(self._driver.pgconn.socket)

    def all(
        self, statement: Statement, values: Values | None = None
    ) -> Iterator[tuple[Any, ...]]:
        return self._rows(self._ask(statement.postgresql, values))

    def stream(self, statement: Statement) -> Iterator[tuple[Any, ...]]:
        self._ask(f"DECLARE many NO SCROLL CURSOR FOR {statement.postgresql}")
        while rows := list(self._rows(self._ask(f"FETCH {_ROWS} FROM many"))):
            yield from rows
        self._ask("CLOSE many")

    def first(
        self, statement: Statement, values: Values | None = None
    ) -> tuple[Any, ...] | None:
        return next(self.all(statement, values), None)

    def run(self, statement: Statement, values: Values) -> None:
        _refuse_too_large(values)
        self._ask(statement.postgresql, values)

    def run_many(self, statement: Statement, rows: Iterable[Values]) -> None:
        listed = list(rows)
        for values in listed:
            _refuse_too_large(values)
        self._ask(statement.postgresql, listed)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._waiting = [_Task(sql) for sql in self._begin]
        self._in_transaction = True
        try:
            yield
            self._commit()
        except BaseException:
            self._undo()
            raise
        finally:
            self._in_transaction = False

    def close(self) -> None:
        self._give_back(self)

    def discard(self) -> None:
        with suppress(psycopg.Error):
            self._driver.close()
        # What it tells of a connection that is closed is nothing new.
        with suppress(psycopg.Error):
            self._pipelining.close()

    def _ask(self, sql: str, values: Values | list[Values] | None = None) -> _Task:
        """Have something done: outside of a transaction at once."""
        task = _Task(sql, values)
        self._waiting.append(task)
        if not self._in_transaction:
            self._send()
        return task

    def _rows(self, task: _Task) -> Iterator[tuple[Any, ...]]:
        if task.cursor is None:
            self._send()
        yield from task.cursor.fetchall()

    def _send(self) -> None:
        """Have done what waits."""
        tasks, self._waiting = self._waiting, []
        with _told():
            for task in tasks:
                task.start(self._driver)
            # Only a server that is told that this is all looks at the time that a
            # transaction has nothing to do.
            self._pipeline.sync()

    def _commit(self) -> None:
        self._waiting += [_Task(sql) for sql in self._end]
        self._send()

    def _undo(self) -> None:
        self._waiting = []
        with suppress(psycopg.Error):
            # It tells again of what has failed.
            self._pipeline.sync()
        with suppress(psycopg.Error):
            self._driver.rollback()
        if self._driver.info.transaction_status != TransactionStatus.IDLE:
            self.discard()


class _Pool:
    """Sessions that `connect` opens, and keeps for others when they are closed."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        begin: Callable[[int], list[str]],
        end: list[str],
    ) -> None:
        self._connect = connect
        self._begin = begin
        self._end = end
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
        return PostgresSession(driver, begin, self._end, self._take_back)

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
        waits_for_disk = sync == "full"
        self._readers = _Pool(self._connect, _begin_reading, _END_READING)
        self._writers = _Pool(
            self._connect,
            lambda version: _begin_writing(version, waits_for_disk),
            _END_WRITING,
        )

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
        with _told():
            return psycopg.connect(**{**_CONNECTION, **asked}, autocommit=True)


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


def _refuse_too_large(values: Values) -> None:
    for value in values.values():
        if isinstance(value, bytes) and len(value) > LARGEST_BYTES:
            raise ValueTooLarge(f"{len(value)} bytes in one value")


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
        # What follows in others may have the values in it.
        told = error.diag.message_primary or one_line(error) or type(error).__name__
        if isinstance(error, (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)):
            raise ValueTooLarge(told) from error
        if isinstance(error, psycopg.IntegrityError):
            raise ConstraintBroken(told) from error
        raise DriverError(told) from error
