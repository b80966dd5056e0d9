"""All that is particular to a database: connections, transactions, the write lock.

SQLite runs in WAL mode. Its own lock is not fair and a deferred transaction that turns
into a writer fails under contention, so writers first take a `flock` on a file beside
the database and then `BEGIN IMMEDIATE`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    BigInteger,
    Engine,
    Integer,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DisconnectionError

from pushrelay.errors import StartupError, StoreUnavailable

BUSY_TIMEOUT_SECONDS = 5

REVISION = BigInteger().with_variant(Integer, "sqlite")
"""The type of revisions. SQLite makes a primary key its row number only if it is
spelled INTEGER."""

SYNC_MODES = ("full", "normal")


class Database:
    """A database that can be read from any thread and written by one transaction.

    url: an SQLAlchemy URL; so far only `sqlite:///FILE`.
    sync: "full" makes a commit survive a power cut, "normal" a crash of the process.
    path: absolute path of the SQLite file.

    Raises StartupError for a URL that is not one of these. Opens nothing by itself.
    """

    def __init__(self, url: str, sync: str = "full") -> None:
        parsed = _parse_url(url)
        if sync not in SYNC_MODES:
            raise StartupError(
                f"--database.sync must be one of {', '.join(SYNC_MODES)}"
            )
        self.path = Path(str(parsed.database)).absolute()
        self.url = parsed.set(database=str(self.path))
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._readers = _engine(self.url, sync, "BEGIN")
        self._writers = _engine(self.url, sync, "BEGIN IMMEDIATE")

    @property
    def engine(self) -> Engine:
        """The engine for readers and for migrations."""
        return self._readers

    def create(self) -> bool:
        """Make an empty database if there is none; return whether there was none.

        Nothing else makes one: a file that has gone must be missed, for its
        write-ahead log beside it may still have commits, which SQLite would throw away
        for a new file.
        """
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
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database."""
        with self._readers.begin() as connection:
            yield connection

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the one write lock: whoever has it is next on the store clock."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def connect_writer(self) -> Connection:
        """Open a connection whose transactions are writing ones."""
        return self._writers.connect()

    def is_current(self, connection: Connection) -> bool:
        """Whether `connection` is to the file that is at `path` now.

        What is written to a file that was replaced or deleted would be lost.
        """
        return bool(connection.info.get(_FILE) == _identity(self.path))

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._readers.dispose()
        self._writers.dispose()


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StartupError(
            f"--database.url is not a database URL: {_without_password(url)!r}; "
            "write sqlite:///FILE, with a fourth slash for an absolute path"
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise StartupError(
            f"--database.url: {parsed.get_backend_name()} is not supported; "
            "write sqlite:///FILE"
        )
    if parsed.host:
        raise StartupError(
            f"--database.url has too few slashes: {url!r}; write "
            "sqlite:///FILE, with a fourth slash for an absolute path"
        )
    if parsed.database in (None, "", ":memory:"):
        raise StartupError("--database.url needs a file: sqlite:///FILE")
    return parsed


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


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
        if begin != "BEGIN":
            # The file remembers it. Who only reads leaves a foreign file as it is.
            connection.execute("PRAGMA journal_mode = WAL")
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


def upsert(table: Table) -> Insert:
    """Return the statement that writes whole rows, new or in place of others."""
    statement = insert(table)
    replaced = {
        column.name: statement.excluded[column.name]
        for column in table.c
        if not column.primary_key
    }
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=replaced
    )


def unavailable(error: Exception) -> StoreUnavailable:
    """Return the error that tells users of the database about the driver's `error`."""
    reason = getattr(error, "orig", None) or error
    return StoreUnavailable(f"the database is unavailable: {reason}")
