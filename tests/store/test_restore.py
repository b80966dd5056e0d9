"""A backup is restored as a whole, into a database that may take it, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders import commit, group_of, key_of
from databases import database_in
from full_store import rows_of
from sqlalchemy import Table, insert, text

from pushrelay.changes import Emptied
from pushrelay.errors import BackupError, PushrelayError, StartupError
from pushrelay.groups import Group
from pushrelay.store import postgresql
from pushrelay.store.backup import back_up
from pushrelay.store.backup_reader import Backup, open_backup
from pushrelay.store.engine import Database, open_database
from pushrelay.store.kept_rows import Row
from pushrelay.store.migrate import HEAD, current_schema, require_head, upgrade
from pushrelay.store.reader import newest_position, read_snapshot
from pushrelay.store.restore import restore
from pushrelay.store.schema import (
    commits,
    expectations,
    groups,
    jobs,
    receipts,
    run_evidence,
    runs,
    tokens,
    write_lock,
)
from pushrelay.store.sqlite import SqliteDatabase


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Backup]:
    """A backup of two groups."""
    source = open_database(f"sqlite:///{tmp_path}/source/relay.db", "normal")
    source.create()
    upgrade(source)
    commit(source, group_of("x 1", key_of("a")), group_of("x 1", key_of("b")))
    back_up(source, tmp_path / "it.db")
    source.close()
    with open_backup(tmp_path / "it.db", "it.db") as opened:
        yield opened


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Database]:
    """A database without tables; a file is not even there."""
    database = database_in(tmp_path, has_tables=False)
    yield database
    database.close()


def jobs_in(database: Database) -> list[str]:
    changes = read_snapshot(database, None)
    assert changes is not None
    found = [change for change in changes.groups if isinstance(change, Group)]
    return sorted(group.key.job for group in found)


def set_schema(database: Database, schema: str) -> None:
    with database.migrating() as connection:
        change = text("UPDATE alembic_version SET version_num = :schema")
        connection.execute(change, {"schema": schema})


def test_tables_are_made_where_there_are_none(bare: Database, backup: Backup) -> None:
    restored = restore(bare, backup)
    assert restored.rows["groups"] == 2
    assert current_schema(bare) == HEAD
    assert jobs_in(bare) == ["a", "b"]


def test_nothing_is_left_of_a_restore_that_fails(
    bare: Database, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_runs(monkeypatch)
    with pytest.raises(BackupError, match="it breaks"):
        restore(bare, backup)
    assert current_schema(bare) is None


def test_what_is_replaced_is_there_until_all_is_restored(
    database: Database, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(database, group_of("x 1", key_of("before")))
    with monkeypatch.context() as patch:
        fail_at_runs(patch)
        with pytest.raises(BackupError, match="it breaks"):
            restore(database, backup, replace=True)
    assert jobs_in(database) == ["before"]
    restore(database, backup, replace=True)
    assert jobs_in(database) == ["a", "b"]


def fail_at_runs(patch: pytest.MonkeyPatch) -> None:
    """Let backups break when nearly all of them was read."""
    rows = Backup.rows

    def read(self: Backup, table: Table) -> Iterator[Row]:
        if table is runs:
            raise BackupError("it breaks")
        return rows(self, table)

    patch.setattr(Backup, "rows", read)


HELD: dict[Table, dict[str, Any]] = {
    jobs: {"id": bytes(32), "revision": 0, "name": b"a", "pushed_at": 1},
    receipts: {"id": bytes(32), "body": bytes(32), "at": 1},
    expectations: {"id": bytes(32), "revision": 0, "name": b"", "expectation": b"{}"},
    run_evidence: {
        "id": bytes(32),
        "revision": 0,
        "grouping_key": b"",
        "evidence": b"{}",
    },
    tokens: {
        "id": "a",
        "name": "a",
        "digest": bytes(32),
        "scopes": "push",
        "selectors": "[]",
        "limits": "{}",
        "created_at": 1,
    },
    runs: {
        "id": bytes(16),
        "job": bytes(32),
        "key": bytes(32),
        "started_at": 1,
        "reported_at": 1,
    },
}


@pytest.mark.parametrize("table", HELD, ids=lambda table: table.name)
def test_a_database_that_holds_anything_is_not_replaced_unasked(
    table: Table, database: Database, backup: Backup
) -> None:
    with database.migrating() as connection:
        connection.execute(insert(table), HELD[table])
    with pytest.raises(BackupError) as caught:
        restore(database, backup)
    assert str(caught.value) == (
        f"the database {database.name} is not empty ({table.name} 1); --replace lets "
        "the backup take the place of what it has"
    )
    assert rows_of(database)["groups"] == []
    restore(database, backup, replace=True)
    with database.snapshot() as connection:
        assert connection.execute(table.select()).all() == []


def test_a_database_of_which_all_was_deleted_is_empty(
    database: Database, backup: Backup
) -> None:
    key = key_of("deleted")
    commit(database, group_of("x 1", key))
    commit(database, Emptied(key.id, 0))
    restore(database, backup)
    assert jobs_in(database) == ["a", "b"]
    with database.snapshot() as connection:
        assert len(connection.execute(groups.select()).all()) == 2


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("0005", r"schema 0005.*run `pushrelay db upgrade"),
        ("9999", "schema 9999, which is newer"),
    ],
)
def test_a_database_with_another_schema_is_left_as_it_is(
    schema: str, problem: str, database: Database, backup: Backup
) -> None:
    set_schema(database, schema)
    for replace in (False, True):
        with pytest.raises(StartupError, match=problem):
            restore(database, backup, replace=replace)
    assert current_schema(database) == schema
    assert jobs_in(database) == []


def test_a_database_of_something_else_is_left_as_it_is(
    bare: Database, backup: Backup
) -> None:
    bare.create()
    with bare.migrating() as connection:
        connection.execute(text("CREATE TABLE accounts (id INTEGER)"))
    with pytest.raises(StartupError, match="tables: accounts"):
        restore(bare, backup, replace=True)


@pytest.mark.sqlite
def test_a_database_that_is_damaged_is_left_as_it_is(
    bare: Database, backup: Backup
) -> None:
    assert isinstance(bare, SqliteDatabase)
    bare.path.write_bytes(b"precious notes, no database\n" * 100)
    with pytest.raises(PushrelayError, match="not a database"):
        restore(bare, backup, replace=True)
    assert bare.path.read_bytes().startswith(b"precious")


@pytest.mark.postgres
def test_a_restore_that_is_frozen_does_not_stop_the_relays(
    database: Database, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Backup.rows

    def read_while_others_write(self: Backup, table: Table) -> Iterator[Row]:
        if table is runs:
            with closing(database.open_writer()) as session, session.transaction():
                newest_position(session)
        return rows(self, table)

    monkeypatch.setattr(Backup, "rows", read_while_others_write)
    monkeypatch.setattr(postgresql, "MIGRATING_IDLE_SECONDS", 0.2)
    with pytest.raises(BackupError, match=r"as it was: .*idle-in-transaction"):
        restore(database, backup)
    assert jobs_in(database) == []


def test_the_row_that_writers_lock_is_put_back(
    database: Database, backup: Backup
) -> None:
    with database.migrating() as connection:
        connection.execute(write_lock.delete())
    restore(database, backup)
    require_head(database)


def test_a_clock_that_is_lost_begins_anew(database: Database, backup: Backup) -> None:
    with database.migrating() as connection:
        connection.execute(commits.delete())
    assert restore(database, backup).revision == 2
    assert jobs_in(database) == ["a", "b"]
