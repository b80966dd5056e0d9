from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, new_database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.store.engine import Database, DatabaseErrors, open_database, unavailable
from pushrelay.store.session import Session


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data/relay.db", "not a database URL"),
        ("", "not a database URL"),
        ("postgresql://u:secret@h/d", "postgresql is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_names_no_sqlite_file_is_refused(url: str, words: str) -> None:
    with pytest.raises(StartupError, match=words):
        open_database(url)


def test_the_password_of_a_malformed_url_is_not_shown() -> None:
    with pytest.raises(StartupError) as raised:
        open_database("post gres://user:secret@host/db")
    assert "secret" not in str(raised.value)


def test_an_unknown_sync_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="full, normal"):
        open_database(f"sqlite:///{tmp_path}/x.db", "off")


def test_the_path_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_database("sqlite:///data/x.db").path == tmp_path / "data" / "x.db"


def test_the_directory_is_made_once(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/a/b/x.db")
    assert database.create()
    assert (tmp_path / "a" / "b").is_dir()
    database.path.touch()
    assert not database.create()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = open_database(f"sqlite:///{tmp_path}/file/x.db")
    with pytest.raises(StartupError, match="cannot make the database"):
        database.create()


@pytest.mark.parametrize(("sync", "level"), [("full", 2), ("normal", 1)])
def test_writers_use_the_log_and_the_sync_mode(
    tmp_path: Path, sync: str, level: int
) -> None:
    database = new_database(tmp_path, sync)
    with database.connect_writer() as writer:
        assert writer.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert writer.execute(text("PRAGMA synchronous")).scalar() == level
    database.close()


def test_a_snapshot_sees_one_state(database: Database) -> None:
    count = text("SELECT count(*) FROM commits")
    with database.snapshot() as reader, database.connect_writer() as writer:
        before = reader.execute(count).scalar()
        with writer.begin():
            writer.execute(text("INSERT INTO commits VALUES (1, x'00', 0)"))
        assert reader.execute(count).scalar() == before == 1
    with database.snapshot() as reader:
        assert reader.execute(count).scalar() == 2


def test_a_writing_transaction_holds_the_lock_from_its_beginning(
    database: Database,
) -> None:
    with database.connect_writer() as writer, writer.begin():
        other = sqlite3.connect(database.path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_the_write_lock_is_held_by_one_at_a_time(database: Database) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with database.write_lock():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_write_lock_is_released_by_an_error(database: Database) -> None:
    with pytest.raises(ValueError, match="oops"), database.write_lock():
        raise ValueError("oops")
    with database.write_lock():
        pass


@pytest.fixture
def replace(database: Database, tmp_path: Path) -> Callable[[], None]:
    """Puts another database, with two commits, in the place of `database`."""
    (tmp_path / "other").mkdir()
    other = new_database(tmp_path / "other")
    commit(other)
    other.close()

    def replace() -> None:
        for suffix in ("-wal", "-shm"):
            database.path.with_name(database.path.name + suffix).unlink()
        other.path.rename(database.path)

    return replace


def count_commits(session: Session) -> int:
    [[count]] = session.all("SELECT count(*) FROM commits")
    return int(count)


def test_sessions_on_a_replaced_file_are_not_used(
    database: Database, replace: Callable[[], None]
) -> None:
    writer = database.open_writer()
    with database.reading() as kept:
        assert count_commits(kept) == 1
    assert database.is_current(writer)

    replace()

    assert not database.is_current(writer)
    writer.close()
    with database.reading() as reader:
        assert reader is not kept
        assert count_commits(reader) == 2
    with closing(database.open_writer()) as writer:
        assert database.is_current(writer)
        assert count_commits(writer) == 2


def test_connections_to_a_replaced_file_are_not_used(
    database: Database, replace: Callable[[], None]
) -> None:
    count = text("SELECT count(*) FROM commits")
    with database.snapshot() as reader, database.connect_writer() as writer:
        assert reader.execute(count).scalar() == writer.execute(count).scalar() == 1
    replace()
    with database.snapshot() as reader, database.connect_writer() as writer:
        assert reader.execute(count).scalar() == writer.execute(count).scalar() == 2


def test_a_reader_is_kept_for_the_next_one_who_asks(database: Database) -> None:
    with database.reading() as first:
        pass
    with database.reading() as second:
        assert second is first
        # Who reads at the same time gets another one.
        with database.reading() as third:
            assert third is not first


def test_a_kept_reader_sees_later_commits(database: Database) -> None:
    for count in range(1, 5):
        with database.reading() as reader:
            reader.first("SELECT * FROM commits")
            assert count_commits(reader) == count
        commit(database)


def test_a_reader_that_failed_is_not_kept(database: Database) -> None:
    with pytest.raises(DatabaseErrors), database.reading() as failed:
        failed.first("SELECT * FROM nothing")
    with database.reading() as reader:
        assert reader is not failed
        assert count_commits(reader) == 1


def test_a_missing_file_is_an_error_of_the_database(database: Database) -> None:
    database.close()
    database.path.unlink()
    with pytest.raises(DatabaseErrors), database.reading():
        pass
    with pytest.raises(DatabaseErrors):
        database.open_writer()


def test_no_connection_is_left_after_closing(database: Database) -> None:
    with database.reading(), database.reading():
        pass
    database.close()
    open_files = {
        os.path.realpath(f"/proc/self/fd/{number}")
        for number in os.listdir("/proc/self/fd")
    }
    assert str(database.path) not in open_files


def test_the_drivers_words_reach_the_user() -> None:
    error = OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error"))
    shown = unavailable(error)
    assert isinstance(shown, StoreUnavailable)
    assert str(shown) == "the database is unavailable: disk I/O error"
