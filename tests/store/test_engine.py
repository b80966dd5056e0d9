from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import new_database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.store.engine import Database, unavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.close()


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
        Database(url)


def test_the_password_of_a_malformed_url_is_not_shown() -> None:
    with pytest.raises(StartupError) as raised:
        Database("post gres://user:secret@host/db")
    assert "secret" not in str(raised.value)


def test_an_unknown_sync_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="full, normal"):
        Database(f"sqlite:///{tmp_path}/x.db", "off")


def test_the_path_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Database("sqlite:///data/x.db").path == tmp_path / "data" / "x.db"


def test_the_directory_is_made_once(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a/b/x.db")
    assert database.create()
    assert (tmp_path / "a" / "b").is_dir()
    database.path.touch()
    assert not database.create()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/x.db")
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


def test_connections_to_a_replaced_file_are_not_used(
    database: Database, tmp_path: Path
) -> None:
    count = text("SELECT count(*) FROM commits")
    writer = database.connect_writer()
    with database.snapshot() as reader:
        reader.execute(count)
    assert database.is_current(writer)
    (tmp_path / "other").mkdir()
    other = new_database(tmp_path / "other")
    with other.connect_writer() as connection, connection.begin():
        connection.execute(text("INSERT INTO commits VALUES (7, x'00', 0)"))
    other.close()

    for suffix in ("-wal", "-shm"):
        database.path.with_name(database.path.name + suffix).unlink()
    other.path.rename(database.path)

    assert not database.is_current(writer)
    writer.close()
    with database.snapshot() as reader:
        assert reader.execute(count).scalar() == 2
    with database.connect_writer() as writer:
        assert database.is_current(writer)


def test_the_drivers_words_reach_the_user() -> None:
    error = OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error"))
    shown = unavailable(error)
    assert isinstance(shown, StoreUnavailable)
    assert str(shown) == "the database is unavailable: disk I/O error"
