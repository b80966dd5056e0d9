"""Databases in a file: SQLite.

SQLite runs in WAL mode. Its own lock is not fair and a deferred transaction that turns
into a writer fails under contention, so writers first take a `flock` on a file beside
the database and then `BEGIN IMMEDIATE`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import PoolProxiedConnection

from pushrelay.errors import StartupError
from pushrelay.store.session import Session, Values
from pushrelay.store.statements import Replacing, Statement

BUSY_TIMEOUT_SECONDS = 5

LOG_PAGES = 4000
"""With so many pages, 16 MB, a commit copies the write-ahead log to the database.

Such a commit takes 10 to 30 ms. At SQLite's own 1000 pages it was 5 to 11 ms for every
25th commit of 8 groups of 3 kB, and in all there was 8 to 25 % more to do. With more
than 4062 pages, to find a page in the log takes two steps.
"""


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
        return bool(self._connection.info.get(_FILE) == _identity(self._path))

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
            except BaseException:
                self._driver.rollback()
                raise
            self._commit()

    def close(self) -> None:
        self._connection.close()

    def discard(self) -> None:
        self._connection.invalidate()
        self._connection.close()

    def _commit(self) -> None:
        # Unlike the driver's own `commit`, it fails if there is nothing to commit.
        self._driver.execute("COMMIT")


class SqliteDatabase:
    """The database in the file that `url` names; see `engine.Database`.

    sync: "full" makes a commit survive a power cut, "normal" a crash of the process.
    path: absolute path of the file.

    Raises StartupError.
    """

    is_shared = False

    def __init__(self, url: URL, sync: str) -> None:
        _check_url(url)
        self.path = Path(str(url.database)).absolute()
        self.url = url.set(database=str(self.path))
        self.name = str(self.path)
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._readers = _engine(self.url, sync, _BEGIN)
        self._writers = _engine(self.url, sync, _BEGIN_WRITING)
        # Those of `reading` that nobody uses now.
        self._idle: list[SqliteSession] = []

    def is_silent(self) -> bool:
        return False

    def now(self) -> int:
        return time.time_ns()

    def clock_skew(self) -> int:
        return 0

    def exists(self) -> bool:
        return self.path.exists()

    def create(self) -> bool:
        # Nothing else makes one: a file that has gone must be missed, for its
        # write-ahead log beside it may still have commits, which SQLite would throw
        # away for a new file.
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_missing = not self.path.exists()
            self.path.touch()
        except OSError as error:
            raise StartupError(
                f"cannot make the database {self.path}: {error.strerror}; choose "
                "another place with --database.url"
            ) from error
        return is_missing

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the one write lock: whoever has it is next on the store clock."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def reading(self, *, newest: bool = False) -> Iterator[Session]:
        session = self._idle_reader() or self._session(self._readers, _BEGIN)
        try:
            yield session
        except BaseException:
            session.discard()
            raise
        self._idle.append(session)

    def open_writer(self) -> Session:
        return self._session(self._writers, _BEGIN_WRITING)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._readers.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.write_lock(), self._writers.begin() as connection:
            yield connection

    def close(self) -> None:
        while (session := _pop(self._idle)) is not None:
            session.close()
        self._readers.dispose()
        self._writers.dispose()

    def _session(self, engine: Engine, begin: str) -> SqliteSession:
        lock = self.write_lock if begin == _BEGIN_WRITING else nullcontext
        return SqliteSession(engine.raw_connection(), begin, lock, self.path)

    def _idle_reader(self) -> SqliteSession | None:
        while (session := _pop(self._idle)) is not None:
            if session.is_current:
                return session
            session.discard()
        return None


def _pop(sessions: list[SqliteSession]) -> SqliteSession | None:
    # One step, for several threads may ask at once.
    with suppress(IndexError):
        return sessions.pop()
    return None


_BEGIN = "BEGIN"
_BEGIN_WRITING = "BEGIN IMMEDIATE"

_FILE = "file"
"""Key, among what is noted of a connection, of the identity of its file."""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _engine(url: URL, sync: str, begin: str) -> Engine:
    path = Path(str(url.database))
    # Without mode=rw, SQLite makes a file that is not there.
    file = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            file, uri=True, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False
        )

    engine = create_engine(url, creator=connect)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        # The driver would otherwise begin transactions of its own, deferred ones.
        connection.isolation_level = None
        if begin == _BEGIN_WRITING:
            # The file remembers it. Who only reads leaves a foreign file as it is.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute(f"PRAGMA synchronous = {sync}")
        record.info[_FILE] = _identity(path)

    @event.listens_for(engine, "checkout")
    def reconnect_to_another_file(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info[_FILE] != _identity(path):
            raise DisconnectionError("the file of the database was replaced")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _check_url(url: URL) -> None:
    if url.host:
        raise StartupError(
            f"--database.url has too few slashes: {str(url)!r}; write "
            "sqlite:///FILE, with a fourth slash for an absolute path"
        )
    if url.database in (None, "", ":memory:"):
        raise StartupError("--database.url needs a file: sqlite:///FILE")
