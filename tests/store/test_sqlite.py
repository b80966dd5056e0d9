"""What is particular to databases in a file."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, locked, new_database
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
    assert not database.create()


def test_a_database_is_made_by_one_of_those_who_want_it(tmp_path: Path) -> None:
    databases = [open_file(f"sqlite:///{tmp_path}/x.db") for _ in range(8)]
    with ThreadPoolExecutor(len(databases)) as pool:
        made = list(pool.map(SqliteDatabase.create, databases))
    assert sorted(made) == [False] * 7 + [True]
    # Of two who leave at once, neither may be the last one, and the log stays.
    log = {"x.db-wal", "x.db-shm"}
    assert {file.name for file in tmp_path.iterdir()} - log == {"x.db", "x.db.lock"}


def test_a_database_that_another_one_writes_may_be_started_with(
    database: SqliteDatabase,
) -> None:
    with locked(database):
        assert not database.create()


def test_a_database_that_is_begun_is_not_there_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_file(f"sqlite:///{tmp_path}/x.db")

    def fail(begun: Path, _: Path) -> None:
        assert begun.stat().st_size > 0
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StartupError, match=r"cannot make the database .*I/O error"):
        database.create()
    assert [file.name for file in tmp_path.iterdir()] == ["x.db.lock"]
    monkeypatch.undo()
    assert database.create()


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


def test_who_wrote_leaves_all_in_the_file(database: SqliteDatabase) -> None:
    with closing(database.open_writer()) as writer:
        with writer.transaction():
            writer.run(sql(text("UPDATE commits SET at = 7")), {})
        # One that does not write may well be the last to leave.
        with database.reading(), database.reading():
            pass
        writer.discard()
    database.close()
    files = {file.name for file in database.path.parent.iterdir()}
    assert files == {"relay.db", "relay.db.lock"}


def test_no_connection_is_left_after_closing(database: SqliteDatabase) -> None:
    with database.reading(), database.reading():
        pass
    database.close()
    open_files = {
        os.path.realpath(f"/proc/self/fd/{number}")
        for number in os.listdir("/proc/self/fd")
    }
    assert str(database.path) not in open_files
