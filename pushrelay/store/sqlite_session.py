"""A connection to a database in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection

from pushrelay.store.session import Values
from pushrelay.store.sqlite_faults import is_full
from pushrelay.store.statements import Replacing, Statement

FILE = "file"
"""Key, among what is noted of a connection, of the identity of its file."""


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from others there, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class SqliteSession:
    """A `Session` of the file at `path`; `lock` is held while a transaction is open."""

    def __init__(
        self,
        connection: PoolProxiedConnection,
        begin: str,
        lock: Callable[[], AbstractContextManager[None]],
        path: Path,
    ) -> None:
        self._connection = connection
        self._driver: Any = connection.driver_connection
        self._begin = begin
        self._lock = lock
        self._path = path

    @property
    def is_current(self) -> bool:
        # What is written to a file that was replaced or deleted would be lost.
        return bool(self._connection.info.get(FILE) == identity(self._path))

    def all(
        self, statement: Statement, values: Values | None = None
    ) -> Iterator[tuple[Any, ...]]:
        rows: Iterator[tuple[Any, ...]]
        rows = self._driver.execute(statement.sqlite, values or {})
        return rows

    def stream(self, statement: Statement) -> Iterator[tuple[Any, ...]]:
        return self.all(statement)

    def first(
        self, statement: Statement, values: Values | None = None
    ) -> tuple[Any, ...] | None:
        # A query of which something is left would keep its state of the database.
        rows = list(self.all(statement, values))
        return rows[0] if rows else None

    def first_timed(self, statement: Statement) -> tuple[Any, ...] | None:
        return self.first(statement)

    def run(self, statement: Statement, values: Values) -> None:
        self._driver.execute(statement.sqlite, values)

    def run_many(self, statement: Statement, rows: Iterable[Values]) -> None:
        self._driver.cursor().executemany(statement.sqlite, rows)

    def replace(self, replacing: Replacing, rows: Sequence[Values]) -> None:
        self.run_many(replacing.upsert, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock():
            self._driver.execute(self._begin)
            try:
                yield
                self._commit()
            except BaseException as error:
                self._driver.rollback()
                if is_full(error):
                    self._reuse_log()
                raise

    def close(self) -> None:
        self._connection.close()

    def discard(self) -> None:
        self._connection.invalidate()
        self._connection.close()

    def _reuse_log(self) -> None:
        """Copy the log to the file, so that the room that it takes is used again.

        SQLite does so only after a commit. Where what is written replaces what was
        there, a full disk is large enough from then on.
        """
        with suppress(sqlite3.Error):
            self._driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _commit(self) -> None:
        # Unlike the driver's own `commit`, it fails if there is nothing to commit.
        self._driver.execute("COMMIT")
