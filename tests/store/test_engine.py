from __future__ import annotations

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, write_locked
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError

from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.store.engine import Database, DatabaseErrors, open_database, unavailable
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

COUNT = text("SELECT count(*) FROM commits")
NOTHING = sql(text("SELECT * FROM nothing"))


def count_commits(session: Session) -> int:
    [[count]] = session.all(sql(COUNT))
    return int(count)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data/relay.db", "not a database URL"),
        ("", "not a database URL"),
        ("mysql://u:secret@h/d", "mysql is not supported; write sqlite:///FILE"),
        ("postgresql+psycopg2://u:secret@h/d", "psycopg2 is not used here; write"),
        ("postgresql://u:x@secret/y@h/d", "more than one @ before .* write @ as %40"),
        ("postgresql:/u:secret@h/d", "not a database URL: 'postgresql:...'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_names_no_database_is_refused(url: str, words: str) -> None:
    with pytest.raises(StartupError, match=words) as raised:
        open_database(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_may_be_named_in_several_ways(scheme: str) -> None:
    assert open_database(f"{scheme}://u:p%40@h/d").name == "postgresql://u@h/d"


def test_the_password_of_a_malformed_url_is_not_shown() -> None:
    with pytest.raises(StartupError) as raised:
        open_database("post gres://user:secret@host/db")
    assert "secret" not in str(raised.value)


def test_an_unknown_sync_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="full, normal"):
        open_database(f"sqlite:///{tmp_path}/x.db", "off")


def test_a_driver_that_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("postgresql", "postgres_session"):
        monkeypatch.delitem(sys.modules, f"pushrelay.store.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StartupError, match=r"operations\.md says how$") as raised:
        open_database("postgresql://host/db")
    # Nothing that an index might have of somebody else.
    assert "pip install" not in str(raised.value)


def test_a_snapshot_sees_one_state(database: Database) -> None:
    with database.snapshot() as reader:
        before = reader.execute(COUNT).scalar()
        with database.migrating() as writer:
            row = {"revision": 1, "nonce": b"", "at": 0}
            writer.execute(insert(commits), row)
        assert reader.execute(COUNT).scalar() == before == 1
    with database.snapshot() as reader:
        assert reader.execute(COUNT).scalar() == 2


def test_the_write_lock_is_held_by_one_at_a_time(database: Database) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with write_locked(database):
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
    with pytest.raises(ValueError, match="oops"), write_locked(database):
        raise ValueError("oops")
    with write_locked(database):
        pass


def test_nobody_writes_while_the_schema_is_changed(database: Database) -> None:
    written = threading.Event()

    def write() -> None:
        with write_locked(database):
            written.set()

    with database.migrating() as connection:
        waits = threading.Thread(target=write)
        waits.start()
        assert connection.execute(COUNT).scalar() == 1
        assert not written.wait(0.05)
    waits.join()
    assert written.is_set()


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
            reader.first(sql(text("SELECT * FROM commits")))
            assert count_commits(reader) == count
        commit(database)


def test_a_reader_that_failed_is_not_kept(database: Database) -> None:
    with pytest.raises(DatabaseErrors), database.reading() as failed:
        failed.first(NOTHING)
    with database.reading() as reader:
        assert reader is not failed
        assert count_commits(reader) == 1


def test_a_writer_is_used_again_after_an_error_of_another_kind(
    database: Database,
) -> None:
    def write_and_fail(writer: Session) -> None:
        writer.run(sql(insert(commits)), {"revision": 1, "nonce": b"", "at": 0})
        assert count_commits(writer) == 2
        raise ZeroDivisionError

    with closing(database.open_writer()) as writer:
        with pytest.raises(ZeroDivisionError), writer.transaction():
            write_and_fail(writer)
        assert writer.is_current
        with writer.transaction():
            assert count_commits(writer) == 1


def test_the_drivers_words_reach_the_user(database: Database) -> None:
    error = OperationalError("SELECT", {}, sqlite3.OperationalError("no such\ntable"))
    shown = unavailable(database, error)
    assert isinstance(shown, StoreUnavailable)
    assert str(shown) == "the database is unavailable: no such table"
