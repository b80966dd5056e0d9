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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    BigInteger,
    ClauseElement,
    Engine,
    Integer,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects.sqlite import Insert, dialect, insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError

from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.store.session import Session

BUSY_TIMEOUT_SECONDS = 5

LOG_PAGES = 4000
"""With so many pages, 16 MB, a commit copies the write-ahead log to the database.

Such a commit takes 10 to 30 ms. At SQLite's own 1000 pages it was 5 to 11 ms for every
25th commit of 8 groups of 3 kB, and in all there was 8 to 25 % more to do. With more
than 4062 pages, to find a page in the log takes two steps.
"""

DatabaseErrors = (sqlite3.Error, SQLAlchemyError)
"""What is raised when the database fails: by the driver, or while connecting."""

TooLarge = sqlite3.DataError
NotAllowed = sqlite3.IntegrityError
"""What is raised for values that no trying again will store."""

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
        self._readers = _engine(self.url, sync, _BEGIN)
        self._writers = _engine(self.url, sync, _BEGIN_WRITING)
        # Those of `reading` that nobody uses now.
        self._idle: list[Session] = []

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
    def write_lock(self) -> Iterator[None]:
        """Hold the one write lock: whoever has it is next on the store clock."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Lend a connection for reading; its transactions see one state.

        It is kept for the next one who asks. Raises DatabaseErrors.
        """
        session = self._idle_reader() or _session(self._readers, _BEGIN)
        try:
            yield session
        except BaseException:
            session.discard()
            raise
        self._idle.append(session)

    def open_writer(self) -> Session:
        """Open a connection whose transactions are writing ones.

        Raises DatabaseErrors.
        """
        return _session(self._writers, _BEGIN_WRITING)

    def is_current(self, session: Session) -> bool:
        """Whether `session` is on the file that is at `path` now.

        What is written to a file that was replaced or deleted would be lost.
        """
        return bool(session.notes.get(_FILE) == _identity(self.path))

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection of SQLAlchemy that sees one state of the database."""
        with self._readers.begin() as connection:
            yield connection

    def connect_writer(self) -> Connection:
        """Open a connection of SQLAlchemy whose transactions are writing ones."""
        return self._writers.connect()

    def close(self) -> None:
        """Close all connections that are not in use."""
        while (session := _pop(self._idle)) is not None:
            session.close()
        self._readers.dispose()
        self._writers.dispose()

    def _idle_reader(self) -> Session | None:
        while (session := _pop(self._idle)) is not None:
            if self.is_current(session):
                return session
            session.discard()
        return None


def _pop(sessions: list[Session]) -> Session | None:
    # One step, for several threads may ask at once.
    with suppress(IndexError):
        return sessions.pop()
    return None


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


def _session(engine: Engine, begin: str) -> Session:
    return Session(engine.raw_connection(), begin)


def sql(statement: ClauseElement) -> str:
    """Return `statement` for a `Session`, its parameters by name."""
    return str(statement.compile(dialect=_DIALECT))


_DIALECT = dialect(paramstyle="named")


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
