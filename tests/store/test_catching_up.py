"""What others wrote is read before the write lock is taken, but for a short rest."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import commit, key_of, write_locked
from databases import database_url
from desks import Desk, x
from postgres_server import run_sql
from sqlalchemy import make_url

from pushrelay.changes import Changes, Emptied, Position
from pushrelay.errors import StoreUnavailable
from pushrelay.store import writer
from pushrelay.store.engine import Database
from pushrelay.store.reader import FEW, FarBehind, ReadChanges, read_few_changes
from pushrelay.store.schema import commits
from pushrelay.store.sqlite import SqliteDatabase

MANY = FEW


class Readings:
    """The readings of a desk: of how many groups, and whether nobody could write."""

    def __init__(
        self, desk: Desk, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._catch_up = desk.decider.catch_up
        self._database = desk.database
        self._directory = directory
        self.groups: dict[bool, list[int]] = {True: [], False: []}
        monkeypatch.setattr(desk.decider, "catch_up", self._noting)

    def _noting(self, read: ReadChanges) -> Position:
        def note(since: Position | None) -> Changes | None:
            changes = read(since)
            held = is_write_locked(self._database, self._directory)
            self.groups[held].append(len(changes.groups) if changes else 0)
            return changes

        return self._catch_up(note)


def is_write_locked(database: Database, directory: Path) -> bool:
    """Return whether somebody has the write lock."""
    if isinstance(database, SqliteDatabase):
        with open(f"{database.path}.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    url = make_url(database_url(directory))
    return not run_sql(url, "SELECT id FROM write_lock FOR UPDATE SKIP LOCKED")


@pytest.fixture
def readings(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Readings:
    desk.write(x("own"))
    return Readings(desk, tmp_path, monkeypatch)


def test_a_little_is_read_with_the_lock_at_once(
    desk: Desk, database: Database, readings: Readings
) -> None:
    commit(database, x("a"), x("b"))
    assert desk.write(x("c")) == [None]
    assert readings.groups == {True: [2], False: []}


def test_much_is_read_without_the_lock(
    desk: Desk, database: Database, readings: Readings
) -> None:
    commit(database, *(x(f"a{n}") for n in range(MANY)))
    assert desk.write(x("c")) == [None]
    assert readings.groups == {True: [0], False: [MANY]}
    assert desk.decider.jobs == desk.stored()


def test_much_that_was_deleted_is_read_without_the_lock(
    desk: Desk, database: Database, readings: Readings
) -> None:
    commit(database, *(x(f"a{n}") for n in range(MANY)))
    desk.write(x("b"))
    commit(database, *(Emptied(key_of(f"a{n}").id, 4) for n in range(MANY)))
    assert desk.write(x("c")) == [None]
    assert readings.groups == {True: [0, 0], False: [MANY, MANY]}
    assert set(desk.decider.jobs) == {"own", "b", "c"}


def test_another_history_is_read_without_the_lock(
    desk: Desk, database: Database, readings: Readings
) -> None:
    commit(database, x("a"))
    with database.migrating() as connection:
        connection.execute(commits.update().values(nonce=b"another history!"))
    assert desk.write(x("b")) == [None]
    assert readings.groups == {True: [0], False: [2]}
    assert desk.decider.jobs == desk.stored()


def follow_refreshes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]
) -> None:
    """Have something written after each reading of the desk without the lock."""

    def refresh() -> None:
        desk.refresh()
        write()

    monkeypatch.setattr(desk.writer, "_refresh", refresh)


def test_what_comes_meanwhile_is_read_with_the_lock(
    desk: Desk,
    database: Database,
    readings: Readings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow_refreshes(desk, monkeypatch, lambda: commit(database, x("meanwhile")))
    commit(database, *(x(f"a{n}") for n in range(MANY)))
    assert desk.write(x("c")) == [None]
    assert readings.groups == {True: [1], False: [MANY]}


def test_others_that_write_much_again_and_again_do_not_keep_it_from_writing(
    desk: Desk,
    database: Database,
    readings: Readings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow_refreshes(
        desk,
        monkeypatch,
        lambda: commit(database, *(x(f"a{n}", 2) for n in range(MANY))),
    )
    commit(database, *(x(f"a{n}") for n in range(MANY)))
    assert desk.write(x("c")) == [None]
    assert readings.groups == {True: [MANY], False: [MANY]}


def test_who_reads_too_slowly_is_unavailable(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "READ_UNDER_LOCK", (2, 4))
    # What it is told to read brings it no further.
    monkeypatch.setattr(desk.writer, "_refresh", lambda: None)
    desk.write(x("own"))
    commit(database, *(x(f"a{n}") for n in range(4)))
    answers = desk.write(x("b"), x("c"))
    for answer in answers:
        assert isinstance(answer, StoreUnavailable)
        assert "more than this one can read" in str(answer)
    desk.refresh()
    assert desk.write(x("d")) == [None]
    assert {"b", "c"}.isdisjoint(desk.stored())


def test_a_reading_that_fails_fails_the_batch(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreUnavailable("gone")

    desk.write(x("own"))
    monkeypatch.setattr(desk.writer, "_refresh", fail)
    commit(database, *(x(f"a{n}") for n in range(MANY)))
    [answer] = desk.write(x("b"))
    assert str(answer) == "gone"


def test_few_changes_are_fewer_than_the_limit(desk: Desk, database: Database) -> None:
    since = desk.decider.position
    commit(database, x("a"), x("b"), x("c"))
    with write_locked(database) as session:
        changes = read_few_changes(session, since, 4)
        assert changes is not None
        assert len(changes.groups) == 3
        with pytest.raises(FarBehind):
            read_few_changes(session, since, 3)
