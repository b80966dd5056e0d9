"""What is particular to databases in a file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, new_database
from sqlalchemy import text

from pushrelay.errors import StartupError
from pushrelay.store.engine import DatabaseErrors, open_database
from pushrelay.store.session import Session
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.statements import sql

pytestmark = pytest.mark.sqlite

COUNT = text("SELECT count(*) FROM commits")


def open_file(url: str) -> SqliteDatabase:
    database = open_database(url)
    assert isinstance(database, SqliteDatabase)
    return database


def new_file(directory: Path, sync: str = "normal") -> SqliteDatabase:
    database = new_database(directory, sync)
    assert isinstance(database, SqliteDatabase)
    return database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = new_file(tmp_path)
    yield database
    database.close()


def test_the_path_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_file("sqlite:///data/x.db").path == tmp_path / "data" / "x.db"


def test_the_directory_is_made_once(tmp_path: Path) -> None:
    database = open_file(f"sqlite:///{tmp_path}/a/b/x.db")
    assert database.create()
    assert (tmp_path / "a" / "b").is_dir()
    database.path.touch()
    assert not database.create()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = open_file(f"sqlite:///{tmp_path}/file/x.db")
    with pytest.raises(StartupError, match="cannot make the database"):
        database.create()


@pytest.mark.parametrize(("sync", "level"), [("full", 2), ("normal", 1)])
def test_writers_use_the_log_and_the_sync_mode(
    tmp_path: Path, sync: str, level: int
) -> None:
    database = new_file(tmp_path, sync)
    with closing(database.open_writer()) as writer:
        for name, value in (("journal_mode", "wal"), ("synchronous", level)):
            assert writer.first(sql(text(f"PRAGMA {name}"))) == (value,)
    database.close()


def test_a_writing_transaction_holds_the_lock_from_its_beginning(
    database: SqliteDatabase,
) -> None:
    with closing(database.open_writer()) as writer, writer.transaction():
        other = sqlite3.connect(database.path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


@pytest.fixture
def replace(database: SqliteDatabase, tmp_path: Path) -> Callable[[], None]:
    """Puts another database, with two commits, in the place of `database`."""
    (tmp_path / "other").mkdir()
    other = new_file(tmp_path / "other")
    commit(other)
    other.close()

    def replace() -> None:
        for suffix in ("-wal", "-shm"):
            database.path.with_name(database.path.name + suffix).unlink()
        other.path.rename(database.path)

    return replace


def count_commits(session: Session) -> int:
    [[count]] = session.all(sql(COUNT))
    return int(count)


def test_sessions_on_a_replaced_file_are_not_used(
    database: SqliteDatabase, replace: Callable[[], None]
) -> None:
    writer = database.open_writer()
    with database.reading() as kept:
        assert count_commits(kept) == 1
    assert writer.is_current

    replace()

    assert not writer.is_current
    writer.close()
    with database.reading() as reader:
        assert reader is not kept
        assert count_commits(reader) == 2
    with closing(database.open_writer()) as writer:
        assert writer.is_current
        assert count_commits(writer) == 2


def test_connections_to_a_replaced_file_are_not_used(
    database: SqliteDatabase, replace: Callable[[], None]
) -> None:
    with database.snapshot() as reader:
        assert reader.execute(COUNT).scalar() == 1
    with database.migrating() as writer:
        assert writer.execute(COUNT).scalar() == 1
    replace()
    with database.snapshot() as reader:
        assert reader.execute(COUNT).scalar() == 2
    with database.migrating() as writer:
        assert writer.execute(COUNT).scalar() == 2


def test_a_missing_file_is_an_error_of_the_database(database: SqliteDatabase) -> None:
    database.close()
    database.path.unlink()
    with pytest.raises(DatabaseErrors), database.reading():
        pass
    with pytest.raises(DatabaseErrors):
        database.open_writer()


def test_no_connection_is_left_after_closing(database: SqliteDatabase) -> None:
    with database.reading(), database.reading():
        pass
    database.close()
    open_files = {
        os.path.realpath(f"/proc/self/fd/{number}")
        for number in os.listdir("/proc/self/fd")
    }
    assert str(database.path) not in open_files
