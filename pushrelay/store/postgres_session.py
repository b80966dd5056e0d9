"""A connection to a PostgreSQL server, and what bounds its transactions.

Nothing of what must be right hangs on the state of a connection, which behind a pooler
of transactions may be another one each time: each transaction says itself how it is
isolated and how long it may take.

What is written waits until something is read or committed, and then goes to the server
together: a write that looks nothing up takes two round trips.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from pushrelay.store.engine import (
    NO_LOCK_ROW,
    DriverError,
    ValueTooLarge,
)
from pushrelay.store.postgres_connection import PatientConnection, driver_errors
from pushrelay.store.server_clock import ServerClock
from pushrelay.store.session import Values
from pushrelay.store.statements import Replacing, Statement

log = logging.getLogger(__name__)

LOCK_SECONDS = 7
STATEMENT_SECONDS = 10
IDLE_SECONDS = 5
TRANSACTION_SECONDS = 30
"""How long a transaction that writes may wait for the write lock, take for one of its
statements, have nothing to do, and take in all: a relay that is frozen must not stop
the others, and those who wait for the lock outlast it."""

NEARLY_ALL = 0.75

READ_SECONDS = 30
"""How long a statement that reads may take."""

LARGEST_BYTES = 1_000_000_000
"""A larger value would break the connection, so that it looked as if to try again were
worth while."""

_ROWS = 200
_BYTES = 16 * 1024 * 1024
"""So much of a large result comes at a time, unless one row is larger."""

_LOCK = "SELECT id FROM write_lock FOR UPDATE"


def _set(**settings: str) -> str:
    """Return the query that sets these, to texts in SQL, for this transaction."""
    each = [f"set_config('{name}', {to}, true)" for name, to in settings.items()]
    return f"SELECT {', '.join(each)}"


def _time(seconds: float) -> str:
    """Return `seconds` for a setting in milliseconds, of which 0 means no limit."""
    return f"'{max(1, round(seconds * 1000))}'"


def _timed(query: str) -> str:
    """Return `query` with the time in each row, by the clock of the server."""
    seconds = "date_part('epoch', clock_timestamp())"
    return f"SELECT found.*, {seconds} FROM ({query}) AS found"  # noqa: S608  # both are ours


def begin_reading(_version: int) -> list[str]:
    """Return what begins a transaction that reads."""
    return [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        _set(statement_timeout=f"'{READ_SECONDS}s'"),
    ]


def begin_writing(version: int, waits_for_disk: bool, seconds: float) -> list[str]:
    """Return what begins a transaction that writes, on a server of this version, for
    those who wait for it for so many seconds."""
    settings = {
        "lock_timeout": _time(min(LOCK_SECONDS, seconds / 2)),
        "statement_timeout": _time(min(STATEMENT_SECONDS, seconds)),
        "idle_in_transaction_session_timeout": _time(min(IDLE_SECONDS, seconds / 3)),
        # There are five, of which one waits for nothing.
        "synchronous_commit": (
            "replace(current_setting('synchronous_commit'), 'off', 'on')"
            if waits_for_disk
            else "'off'"
        ),
    }
    if version >= 17:
        # While it waits for the rest of what it is to do, nothing else ends it.
        settings["transaction_timeout"] = f"'{TRANSACTION_SECONDS}s'"
    return [
        # Whatever a role has for its default: each statement must see the last commit.
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        _set(**settings),
        _LOCK,
    ]


END_WRITING = [
    # Else a commit that waits for a standby would be confirmed when that is late. It
    # fails if the transaction has: COMMIT by itself would quietly undo it.
    _set(statement_timeout="'0'"),
    "COMMIT",
]
END_READING = ["COMMIT"]
"""What ends them."""

_END_FROZEN = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE relation = 'write_lock'::regclass AND mode = 'RowShareLock' AND granted
    AND datname = current_database() AND state = 'active' AND wait_event = 'ClientRead'
    AND clock_timestamp() - state_change > %(silence)s * interval '1 second'
"""
"""Ends a transaction whose relay is frozen amid sending what it is to do: the server
waits for the rest, which counts as work."""


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
    `give_back` takes it when it is closed. clock: what is told of the time goes there.
    """

    def __init__(
        self,
        connection: PatientConnection,
        begin: list[str],
        end: list[str],
        give_back: Callable[[PostgresSession], None],
        clock: ServerClock,
    ) -> None:
        self._driver = connection
        self._begin = begin
        self._end = end
        self._give_back = give_back
        self._clock = clock
        self._waiting: list[_Task] = []
        # What takes the write lock, in transactions that do.
        self._lock: _Task | None = None
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
        count = 1
        while rows := list(self._rows(self._ask(f"FETCH {count} FROM many"))):
            yield from rows
            count = _count_after(rows)
        self._ask("CLOSE many")

    def first(
        self, statement: Statement, values: Values | None = None
    ) -> tuple[Any, ...] | None:
        return next(self.all(statement, values), None)

    def first_timed(self, statement: Statement) -> tuple[Any, ...] | None:
        asked_at = self._clock.steady()
        [*found] = self._rows(self._ask(_timed(statement.postgresql)))
        if not found:
            return None
        *row, seconds = found[0]
        # The server has whole microseconds, and so many digits are right.
        self._clock.told(round(seconds * 10**6) * 1000, asked_at)
        return tuple(row)

    def run(self, statement: Statement, values: Values) -> None:
        _refuse_too_large(values)
        self._ask(statement.postgresql, values)

    def run_many(self, statement: Statement, rows: Iterable[Values]) -> None:
        listed = list(rows)
        for values in listed:
            _refuse_too_large(values)
        self._ask(statement.postgresql, listed)

    def replace(self, replacing: Replacing, rows: Sequence[Values]) -> None:
        self.run(replacing.remove, {"ids": [row["id"] for row in rows]})
        self.run_many(replacing.insert, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        began = time.monotonic()
        self._waiting = [_Task(sql) for sql in self._begin]
        self._lock = next((t for t in self._waiting if t.sql == _LOCK), None)
        self._in_transaction = True
        try:
            yield
            self._commit()
        except BaseException as error:
            self._undo()
            self._in_transaction = False
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                self._end_frozen(time.monotonic() - began)
            raise
        self._in_transaction = False
        if self._driver.overtake is not None:
            self._driver.overtake(time.monotonic() - began)

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
        with driver_errors():
            for task in tasks:
                task.start(self._driver)
            # Only a server that is told that this is all looks at the time that a
            # transaction has nothing to do.
            self._pipeline.sync()

    def _commit(self) -> None:
        if self._lock is not None and not list(self._rows(self._lock)):
            raise DriverError(NO_LOCK_ROW)
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

    def _end_frozen(self, waited: float) -> None:
        """End the transaction that has the lock if it was silent nearly all the time
        for which that was waited for, in seconds."""
        with suppress(DriverError):
            task = self._ask(_END_FROZEN, {"silence": waited * NEARLY_ALL})
            for _ in self._rows(task):
                log.warning("ended the transaction of a relay that was frozen")


def _count_after(rows: list[tuple[Any, ...]]) -> int:
    """Return how many rows to fetch after `rows`, if they are as large as those."""
    size = sum(len(v) for row in rows for v in row if isinstance(v, bytes))
    # Step by step: what comes may be larger.
    return max(1, min(_ROWS, 4 * len(rows), len(rows) * _BYTES // max(size, 1)))


def _refuse_too_large(values: Values) -> None:
    for value in values.values():
        if isinstance(value, bytes) and len(value) > LARGEST_BYTES:
            raise ValueTooLarge(f"{len(value)} bytes in one value")


def _is_readable(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
