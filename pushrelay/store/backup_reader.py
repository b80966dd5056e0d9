"""Reads backups, and refuses what is none or is damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from sqlalchemy import URL, Table, column, literal_column, select, text
from sqlalchemy import table as table_named

from pushrelay.errors import BackupError, StartupError
from pushrelay.store.backup import SEALS
from pushrelay.store.backup_seal import Digest, Seal, read_seal
from pushrelay.store.engine import one_line
from pushrelay.store.kept_rows import Row
from pushrelay.store.migrate import HEAD, is_known, upgrade
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.statements import Statement, sql

_SQLITE = b"SQLite format 3\0"
_OTHERS = {
    b"\x1f\x8b": "is compressed; decompress it with gunzip first",
    b"\x28\xb5\x2f\xfd": "is compressed; decompress it with unzstd first",
    b"PGDMP": "is a dump of PostgreSQL, which pg_restore reads",
    b"": "is no backup of pushrelay",
}
"""What files are that begin with these bytes, the first that fits."""


class Backup:
    """A backup that is whole, with the newest schema.

    name: what people call it. made_by: the version of pushrelay. made_at: Unix
    nanoseconds.
    """

    def __init__(self, file: _SealedFile, seal: Seal) -> None:
        self._file = file
        self.name = file.name
        self.made_by = seal.made_by
        self.made_at = seal.made_at

    def rows(self, table: Table) -> Iterator[Row]:
        """Give the rows of `table`, whole ones. Raises BackupError."""
        return self._file.rows(table.name, table.c.keys())


@contextmanager
def open_backup(path: Path, name: str) -> Iterator[Backup]:
    """Read the backup at `path`, which people call `name`. Raises BackupError unless it
    is one, and whole, and not of a newer version."""
    if path.is_fifo():
        with path.open("rb") as pipe, read_backup(pipe, name) as backup:
            yield backup
        return
    _require_sqlite(path, name)
    with _opened(path, name) as file:
        seal, schema = file.seal(), file.schema()
        if seal is None or not is_known(schema):
            raise _too_new(name, seal, schema)
        file.require_whole(seal)
        if schema == HEAD:
            yield Backup(file, seal)
            return
        with tempfile.TemporaryDirectory(prefix="pushrelay-") as directory:
            copy = Path(directory, "backup.db")
            file.copy_to(copy)
            _upgrade(copy, file)
            with _opened(copy, name) as upgraded:
                yield Backup(upgraded, seal)


@contextmanager
def read_backup(stream: BinaryIO, name: str = "standard input") -> Iterator[Backup]:
    """Do what `open_backup` does with what is read of `stream`."""
    with tempfile.TemporaryDirectory(prefix="pushrelay-") as directory:
        path = Path(directory, "backup.db")
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file)
        except OSError as error:
            raise BackupError(
                f"{name} cannot be copied to {directory}: {error.strerror}"
            ) from error
        with open_backup(path, name) as backup:
            yield backup


def _require_sqlite(path: Path, name: str) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError as error:
        raise BackupError(f"{name} cannot be read: {error.strerror}") from error
    if not start:
        raise BackupError(f"{name} is empty")
    if start != _SQLITE:
        is_ = next(what for begin, what in _OTHERS.items() if start.startswith(begin))
        raise BackupError(f"{name} {is_}")


def _too_new(name: str, seal: Seal | None, schema: str) -> BackupError:
    made_by = f"pushrelay {seal.made_by}" if seal else "a newer version of pushrelay"
    return BackupError(
        f"{name} was made by {made_by} with schema {schema}, which this version does "
        f"not know ({HEAD}); restore it with the version that made it, or a newer one"
    )


def _upgrade(path: Path, file: _SealedFile) -> None:
    database = SqliteDatabase(URL.create("sqlite", database=str(path)), "normal")
    try:
        upgrade(database)
    except StartupError as error:
        raise file.damaged(one_line(error)) from error
    finally:
        database.close()


@contextmanager
def _opened(path: Path, name: str) -> Iterator[_SealedFile]:
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise BackupError(f"{name} cannot be read: {error}") from error
    with closing(connection):
        yield _SealedFile(connection, name)


class _SealedFile:
    """The file that `connection` is to; as it is now, whatever becomes of it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        with self._reading():
            connection.execute("BEGIN")
            tables = {name for (name,) in self._all(_TABLES)}
        if "alembic_version" not in tables:
            raise BackupError(
                f"{name} is no backup of pushrelay: other tables are in it"
            )
        if SEALS.name not in tables:
            raise BackupError(
                f"{name} is a database of pushrelay and no backup of it; make one: "
                "pushrelay backup --database.url=... FILE"
            )

    def schema(self) -> str:
        """Return the version of its schema."""
        with self._reading():
            [(version,)] = self._all(_SCHEMA)
            return str(version)

    def seal(self) -> Seal | None:
        """Return its seal; None if that is written as only a newer version knows."""
        with self._reading():
            [(packed,)] = self._all(sql(select(SEALS)))
            return read_seal(packed)

    def require_whole(self, seal: Seal) -> None:
        """Raise BackupError unless the rows are those that were sealed."""
        for name, sealed in seal.tables.items():
            digest = Digest()
            for row in self.rows(name, sealed.columns):
                digest.add([row])
                if digest.rows > sealed.rows:
                    break
            if digest.of(sealed.columns) != sealed:
                raise self.damaged(f"the rows of {name} are not those of the backup")

    def rows(self, name: str, columns: Iterable[str]) -> Iterator[Row]:
        """Give the rows of a table as they were written. Raises BackupError."""
        named = table_named(name, *map(column, columns))
        with self._reading():
            yield from self._all(sql(select(named).order_by(literal_column("rowid"))))

    def copy_to(self, path: Path) -> None:
        """Copy all of it into a new file."""
        with self._reading(), closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    def damaged(self, why: str) -> BackupError:
        """Return the error that says so."""
        return BackupError(f"{self.name} is damaged: {why}; use another backup")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, LookupError, TypeError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            is_corrupt = code == sqlite3.SQLITE_CORRUPT
            why = "pages are broken or cut off" if is_corrupt else one_line(error)
            raise self.damaged(why) from error

    def _all(self, query: Statement) -> sqlite3.Cursor:
        return self._connection.execute(query.sqlite)


_TABLES = sql(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
_SCHEMA = sql(text("SELECT version_num FROM alembic_version"))
