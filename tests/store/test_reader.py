from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from builders import NO_TABLE, commit, group_of, key_of
from databases import database_in, database_url

from pushrelay.changes import Emptied, GroupChange, Position
from pushrelay.errors import StoreUnavailable
from pushrelay.groups import Group
from pushrelay.store import reader
from pushrelay.store.engine import Database
from pushrelay.store.reader import is_committed, read_changes, read_snapshot
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.sqlite import SqliteDatabase

REPOSITORY = Path(__file__).parents[2]


def ids(changes: list[GroupChange]) -> set[bytes]:
    return {c.id if isinstance(c, Emptied) else c.key.id for c in changes}


def test_an_empty_store_has_a_position(database: Database) -> None:
    changes = read_snapshot(database, None)
    assert changes is not None
    assert (changes.since, changes.position.revision, changes.groups) == (None, 0, [])


def test_nothing_is_read_where_nothing_happened(database: Database) -> None:
    position = commit(database, group_of())
    assert read_snapshot(database, position) is None


def test_only_what_changed_since_is_read(database: Database) -> None:
    a, b, c = (group_of(key=key_of(job)) for job in "abc")
    first = commit(database, a, b)
    second = commit(database, c)
    third = commit(database, Emptied(b.key.id, 3))
    changes = read_snapshot(database, first)
    assert changes is not None
    assert (changes.since, changes.position) == (first, third)
    assert ids(changes.groups) == ids([b, c])
    changes = read_snapshot(database, second)
    assert changes is not None
    assert changes.groups == [Emptied(b.key.id, 3)]


def test_another_history_with_the_same_revision_is_read_whole(
    database: Database,
) -> None:
    commit(database, group_of(key=key_of("kept")))
    here = commit(database, group_of(key=key_of("here")))
    elsewhere = Position(here.revision, b"another history!")
    changes = read_snapshot(database, elsewhere)
    assert changes is not None
    assert changes.since is None
    assert ids(changes.groups) == {key_of("kept").id, key_of("here").id}


@pytest.mark.sqlite  # a file that another one takes the place of
def test_a_restored_backup_is_read_whole(database: Database, tmp_path: Path) -> None:
    assert isinstance(database, SqliteDatabase)
    commit(database, group_of(key=key_of("kept")))
    with (
        sqlite3.connect(database.path) as source,
        sqlite3.connect(tmp_path / "backup.db") as backup,
    ):
        source.backup(backup)
    source.close()
    backup.close()
    lost = commit(database, group_of(key=key_of("lost")))
    database.close()
    (tmp_path / "backup.db").rename(database.path)

    changes = read_snapshot(database, lost)

    assert changes is not None
    assert changes.since is None
    assert ids(changes.groups) == {key_of("kept").id}
    # The lost revision is given again, to something else.
    again = commit(database, group_of(key=key_of("new")), nonce="other")
    assert again.revision == lost.revision
    changes = read_snapshot(database, lost)
    assert changes is not None
    assert changes.since is None


def test_a_position_whose_commit_was_pruned_is_read_whole(database: Database) -> None:
    old = commit(database, group_of(key=key_of("a")))
    commit(database, group_of(key=key_of("b")))
    with database.migrating() as connection:
        connection.execute(commits.delete().where(commits.c.revision <= old.revision))
    changes = read_snapshot(database, old)
    assert changes is not None
    assert changes.since is None
    assert len(changes.groups) == 2


def test_the_commits_of_another_process_are_seen(
    database: Database, tmp_path: Path
) -> None:
    position = commit(database, group_of(key=key_of("a")))
    code = """
import sys
sys.path.insert(0, "tests")
from builders import commit, group_of, key_of
from pushrelay.store.engine import open_database
commit(open_database(sys.argv[1]), group_of(key=key_of("b")))
"""
    subprocess.run(
        [sys.executable, "-c", code, database_url(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
        timeout=30,
    )
    changes = read_snapshot(database, position)
    assert changes is not None
    assert changes.since == position
    [group] = changes.groups
    assert isinstance(group, Group)
    assert group.key == key_of("b")


def test_a_commit_is_found_by_its_nonce(database: Database) -> None:
    position = commit(database)
    with database.reading() as session:
        assert is_committed(session, position.nonce)
        assert not is_committed(session, b"never written...")


def test_a_store_that_lost_its_commits_is_unavailable(database: Database) -> None:
    with database.migrating() as connection:
        connection.execute(commits.delete())
    with pytest.raises(StoreUnavailable, match="no commits"):
        read_snapshot(database, None)


def test_what_is_read_is_of_one_state(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(database, group_of(key=key_of("a")))
    second = commit(database, group_of(key=key_of("b")))
    find = reader.newest_position

    def find_and_be_overtaken(session: Session) -> Position:
        found = find(session)
        commit(database, group_of(key=key_of("c")))
        return found

    with database.reading() as session, session.transaction():
        monkeypatch.setattr(reader, "newest_position", find_and_be_overtaken)
        changes = read_changes(session, first)
        monkeypatch.undo()
    assert changes is not None
    assert (changes.since, changes.position) == (first, second)
    assert ids(changes.groups) == {key_of("b").id}


def test_a_commit_between_the_looks_at_the_clock_is_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(database, group_of(key=key_of("a")))
    commit(database, group_of(key=key_of("b")))
    find = reader.newest_position

    def find_and_be_overtaken(session: Session) -> Position:
        monkeypatch.undo()
        found = find(session)
        commit(database, group_of(key=key_of("c")))
        return found

    monkeypatch.setattr(reader, "newest_position", find_and_be_overtaken)
    changes = read_snapshot(database, first)
    assert changes is not None
    assert changes.position.revision == 3
    assert ids(changes.groups) == {key_of("b").id, key_of("c").id}


def test_a_store_without_its_tables_is_unavailable(tmp_path: Path) -> None:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        read_snapshot(database, None)
    database.close()
