"""Backs a database up into a file, which is a database of SQLite whatever that is.

The file has the tables of the store, and the table `backup` with the seal. Any tool for
SQLite can look into it, migrations bring it up to date, and what is read of a database
is written to it as it is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from sqlalchemy import URL, Column, MetaData, Table, Text, insert, select
from sqlalchemy.schema import CreateTable

from pushrelay import __version__
from pushrelay.errors import BackupError, StartupError
from pushrelay.store.backup_seal import Digest, Seal, SealedTable
from pushrelay.store.engine import Database, DatabaseErrors, one_line, unavailable
from pushrelay.store.kept_rows import KEPT, NEWEST, Row, portions
from pushrelay.store.migrate import require_schema, upgrade
from pushrelay.store.schema import commits
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.statements import sql

SEALS = Table("backup", MetaData(), Column("seal", Text))
"""Has one row."""

# Of a store that has lost its clock, the rest can be saved.
_NEWEST = sql(select(commits.c.revision).where(NEWEST))


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup has. rows: how many, by table. size: of the file, bytes."""

    revision: int
    rows: dict[str, int]
    size: int


def back_up(database: Database, file: Path) -> BackedUp:
    """Back `database` up into `file`, in the place of the backup that may be there.

    Only its owner may read it, and it is on disk. If this raises BackupError,
    StartupError or StoreUnavailable, all is as it was.
    """
    # A link stays one.
    target = Path(os.path.realpath(file))
    _require_replaceable(target, file, database)
    with _backup_in(target.parent, str(file), database) as (made, backed_up):
        os.replace(made, target)
        _sync_directory(target.parent)
    return backed_up


def write_backup(database: Database, stream: BinaryIO) -> BackedUp:
    """Write a backup of `database` to `stream`, which gets nothing before it is whole.
    Raises what `back_up` raises."""
    directory = Path(tempfile.gettempdir())
    with _backup_in(directory, "to standard output", database) as (made, backed_up):
        with made.open("rb") as file:
            shutil.copyfileobj(file, stream)
        stream.flush()
    return backed_up


def _require_replaceable(target: Path, file: Path, database: Database) -> None:
    if target.exists() and not target.is_file():
        raise BackupError(f"{file} is no file; write - for standard output")
    if isinstance(database, SqliteDatabase) and _is_part(target, database.path):
        raise BackupError(f"{file} is the database itself; choose another file")
    # SQLite would take what is in the log of the one before for a part of the backup.
    for beside in ("-wal", "-journal", ".lock"):
        if Path(f"{target}{beside}").exists():
            raise BackupError(
                f"{file} is a database that is in use, or was so: {target}{beside} is "
                "there; choose another file"
            )
    if target.exists() and target.stat().st_size and not _is_backup(target):
        raise BackupError(
            f"{file} is there and is no backup of pushrelay; choose another file, or "
            "remove that one"
        )


def _is_backup(file: Path) -> bool:
    """Whether the file is a backup, be it a damaged one."""
    name = f"file:{quote(str(file))}?mode=ro&immutable=1"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(name, uri=True)) as connection,
    ):
        connection.execute(sql(select(SEALS)).sqlite).fetchone()
        return True
    return False


def _is_part(file: Path, database: Path) -> bool:
    """Whether `file` is one of those in which the database at `database` is."""
    real = os.path.realpath(database)
    beside = [f"{real}{end}" for end in ("-wal", "-shm", "-journal", ".lock")]
    return str(file) in beside or (file.exists() and file.samefile(database))


@contextmanager
def _backup_in(
    directory: Path, name: str, database: Database
) -> Iterator[tuple[Path, BackedUp]]:
    """Make a backup in a directory of its own in `directory`, which is removed in the
    end with all that is there still; people call it `name`."""
    require_schema(database)
    with (
        _writing(name),
        tempfile.TemporaryDirectory(prefix=".pushrelay-backup-", dir=directory) as own,
    ):
        path = Path(own, "backup.db")
        new = _NewBackup(path, name)
        try:
            yield path, _fill(new, database)
        finally:
            new.close()


def _fill(new: _NewBackup, database: Database) -> BackedUp:
    try:
        with database.reading() as session, session.transaction():
            newest = session.first(_NEWEST)
            for table, kept in KEPT.items():
                rows = session.stream(sql(select(table).where(kept)))
                new.fill(table, portions(rows))
    except DatabaseErrors as error:
        raise unavailable(database, error) from error
    return BackedUp(newest[0] if newest else 0, new.rows, new.seal())


class _NewBackup:
    """A backup that is being made at `path`. All that is done with it raises
    BackupError."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._tables: dict[str, SealedTable] = {}
        _make_tables(path, name)
        self._connection = sqlite3.connect(path, isolation_level=None)
        with _writing(name):
            # Whatever the umask is: what jobs push and print may be secret.
            path.chmod(0o600)
            # The file is all there is to it, and nobody needs it before it is whole.
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute("BEGIN")
            # A migration has written one.
            self._connection.execute(sql(commits.delete()).sqlite)

    @property
    def rows(self) -> dict[str, int]:
        """How many it has, by table."""
        return {name: table.rows for name, table in self._tables.items()}

    def fill(self, table: Table, portions: Iterable[list[Row]]) -> None:
        """Store all rows of `table`."""
        columns, digest = table.c.keys(), Digest()
        statement = sql(insert(table)).sqlite
        for portion in portions:
            digest.add(portion)
            values = [dict(zip(columns, row, strict=True)) for row in portion]
            with _writing(self._name):
                self._connection.executemany(statement, values)
        self._tables[table.name] = digest.of(columns)

    def seal(self) -> int:
        """Finish it; return the size of the file, which is on disk then."""
        seal = Seal(__version__, time.time_ns(), self._tables)
        with _writing(self._name):
            self._connection.execute(sql(CreateTable(SEALS)).sqlite)
            packed = {"seal": seal.packed()}
            self._connection.execute(sql(insert(SEALS)).sqlite, packed)
            self._connection.execute("COMMIT")
            self._connection.close()
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
                return os.fstat(file.fileno()).st_size

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):
            self._connection.close()


def _make_tables(path: Path, name: str) -> None:
    database = SqliteDatabase(URL.create("sqlite", database=str(path)), "normal")
    try:
        database.create()
        upgrade(database)
    except StartupError as error:
        raise _unwritable(name, error.__cause__ or error) from error
    finally:
        database.close()


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _unwritable(name, error) from error


def _unwritable(name: str, error: BaseException) -> BackupError:
    reason = getattr(error, "strerror", None) or one_line(error)
    return BackupError(f"the backup {name} cannot be written: {reason}")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
