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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError

from pushrelay.errors import StartupError
from pushrelay.store.engine import DatabaseErrors, unusable
from pushrelay.store.session import Session
from pushrelay.store.sqlite_check import require_whole, require_writable
from pushrelay.store.sqlite_faults import (
    Damaged,
    explain,
    is_damage,
    not_makeable,
    require_access,
    require_content,
)
from pushrelay.store.sqlite_log import has_log, require_log, require_no_log
from pushrelay.store.sqlite_session import FILE, SqliteSession, identity

BUSY_TIMEOUT_SECONDS = 5

LOG_PAGES = 4000
"""With so many pages, 16 MB, a commit copies the write-ahead log to the database.

Such a commit takes 10 to 30 ms. At SQLite's own 1000 pages it was 5 to 11 ms for every
25th commit of 8 groups of 3 kB, and in all there was 8 to 25 % more to do. With more
than 4062 pages, to find a page in the log takes two steps.
"""


class SqliteDatabase:
    """The database in the file that `url` names; see `engine.Database`.

    sync: "full" makes a commit survive a power cut, "normal" a crash of the process.
    path: absolute path of the file.

    Raises StartupError.
    """

    kind = "SQLite"
    is_shared = False

    def __init__(self, url: URL, sync: str) -> None:
        _check_url(url)
        self.path = Path(str(url.database)).absolute()
        self.url = url.set(database=str(self.path))
        self.name = str(self.path)
        self._sync = sync
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        # What was met in the file that had this identity.
        self._damage: tuple[tuple[int, int] | None, str] | None = None
        self._has_written = False
        self._readers = _engine(self.url, sync, _BEGIN, _look_into)
        self._writers = _engine(self.url, sync, _BEGIN_WRITING, _open)
        # Those of `reading` that nobody uses now.
        self._idle: list[SqliteSession] = []

    def is_silent(self) -> bool:
        return False

    def now(self) -> int:
        return time.time_ns()

    def clock_skew(self) -> int:
        return 0

    def exists(self) -> bool:
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            pass  # who opens it is told why
        return True

    def create(self) -> bool:
        # Nothing else makes one: a file that has gone must be missed, for its
        # write-ahead log beside it may still have commits, which SQLite would throw
        # away for a new file.
        if not self.exists() and self._make():
            return True
        try:
            self._require_usable()
        except (sqlite3.Error, OSError) as error:
            raise unusable(self, error) from error
        return False

    def explain(self, error: BaseException) -> str:
        return explain(self.path, error)

    def was_reached(self, error: BaseException) -> bool:
        return True

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the one write lock: whoever has it is next on the store clock."""
        with self._while_whole():
            descriptor = self._open_lock()
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
        with self._while_whole():
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
        if self._has_written and self._damage is None:
            # As the last one to leave, it copies the log to the file and removes it.
            with suppress(sqlite3.Error), closing(_open(self.path)) as driver:
                driver.execute("PRAGMA schema_version").fetchone()

    def _make(self) -> bool:
        """Make an empty database, unless somebody else does; return whether it was us.

        It is never seen half made: an empty file is one that was cut off.
        """
        new = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.write_lock():
                if self.exists():
                    return False
                require_no_log(self.path)
                new.unlink(missing_ok=True)
                try:
                    with closing(_open(new, "rwc")) as driver:
                        # Without a file for the journal, which might be left behind.
                        driver.execute("PRAGMA journal_mode = MEMORY")
                        # Writes the first page; what comes next would not say if it
                        # could not.
                        driver.execute("PRAGMA user_version = 0")
                        driver.execute("PRAGMA journal_mode = WAL")
                    new.rename(self.path)
                finally:
                    new.unlink(missing_ok=True)
        except (sqlite3.Error, OSError) as error:
            raise StartupError(not_makeable(self.path, error)) from error
        return True

    def _require_usable(self) -> None:
        """Raise sqlite3.Error or OSError unless the file is a whole database and may be
        written; nothing of it is changed."""
        require_log(self.path)
        with closing(_look_into(self.path)) as driver:
            require_whole(driver, self.path, self._sync)
        require_access(self.path)
        os.close(self._open_lock())
        with closing(_open(self.path, timeout=0)) as driver:
            require_writable(driver)

    @contextmanager
    def _while_whole(self) -> Iterator[None]:
        """Raise Damaged once that came to light when this was used before: what is
        written to a damaged file may destroy more of it."""
        if self._damage is not None and self._damage[0] == identity(self.path):
            raise Damaged(f"{self._damage[1]}; nothing is written to it any more")
        self._has_written = True
        try:
            yield
        except DatabaseErrors as error:
            if is_damage(error):
                self._damage = identity(self.path), self.explain(error)
            raise

    def _open_lock(self) -> int:
        return os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)

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


def _engine(
    url: URL,
    sync: str,
    begin: str,
    connect: Callable[[Path], sqlite3.Connection],
) -> Engine:
    path = Path(str(url.database))
    engine = create_engine(url, creator=lambda: connect(path))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        # The driver would otherwise begin transactions of its own, deferred ones.
        connection.isolation_level = None
        if begin == _BEGIN_WRITING:
            # The file remembers it. Who only reads leaves a foreign file as it is.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute(f"PRAGMA synchronous = {sync}")
        record.info[FILE] = identity(path)

    @event.listens_for(engine, "checkout")
    def reconnect_to_another_file(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info[FILE] != identity(path):
            raise DisconnectionError("the file of the database was replaced")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _look_into(path: Path) -> sqlite3.Connection:
    """Open the file at `path` to leave it, and what is beside it, as it is.

    As the last one to leave, who may write copies the log to the file, even to one that
    is damaged. Who may not write leaves an empty log behind where there was none.
    """
    return _open(path, "ro" if has_log(path) else "rw")


def _open(
    path: Path, mode: str = "rw", timeout: float | None = None
) -> sqlite3.Connection:
    """Open the file at `path`; only with the mode "rwc" is it made if it is not there.
    Raises sqlite3.Error."""
    if mode != "rwc":
        require_content(path)
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS if timeout is None else timeout,
        check_same_thread=False,
    )


def _check_url(url: URL) -> None:
    if url.host:
        raise StartupError(
            f"--database.url has too few slashes: {str(url)!r}; write "
            "sqlite:///FILE, with a fourth slash for an absolute path"
        )
    if url.database in (None, "", ":memory:"):
        raise StartupError("--database.url needs a file: sqlite:///FILE")
