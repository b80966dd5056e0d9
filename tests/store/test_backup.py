"""What was backed up comes back, from any kind of database into any other."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, group_of, key_of
from databases import database_in
from full_store import POLICIES, add_once, fill_in, rows_of, told
from relay_use import Clock, on_loop, open_relay, put, samples, two_relays
from sqlalchemy import select, text

from pushrelay.changes import Position
from pushrelay.errors import BackupError, StartupError, StoreUnavailable
from pushrelay.store import backup
from pushrelay.store.backup import back_up
from pushrelay.store.backup_reader import open_backup
from pushrelay.store.change_rows import REVISED
from pushrelay.store.engine import Database, DriverError, open_database
from pushrelay.store.kept_rows import MOST_BYTES, portions
from pushrelay.store.reader import newest_position, read_snapshot
from pushrelay.store.restore import Restored, restore
from pushrelay.store.schema import commits, groups
from pushrelay.store.sqlite import SqliteDatabase

pytestmark = pytest.mark.usefixtures("rarely")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "it.db"


@pytest.fixture(autouse=True)
def directory(file: Path) -> None:
    file.parent.mkdir()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    """Another database, a file which is not there."""
    database = open_database(f"sqlite:///{tmp_path}/other/relay.db", "normal")
    yield database
    database.close()


def restore_from(file: Path, database: Database, *, replace: bool = False) -> Restored:
    with open_backup(file, "it") as opened:
        return restore(database, opened, replace=replace)


def position_of(database: Database) -> Position:
    with database.reading() as session:
        return newest_position(session)


def test_all_that_is_stored_comes_back_through_a_database_of_another_kind(
    tmp_path: Path, clock: Clock, file: Path, other: Database
) -> None:
    before = fill_in(tmp_path, clock)
    database = database_in(tmp_path)
    rows = rows_of(database)
    assert all(rows.values())
    made = back_up(database, file)
    assert made.rows == {"commits": 1, **{name: len(r) for name, r in rows.items()}}
    assert made.size == file.stat().st_size

    restore_from(file, other)
    assert rows_of(other) == rows
    back_up(other, file)
    with database.migrating() as connection:
        connection.execute(groups.delete().where(groups.c.families.is_not(None)))
    restored = restore_from(file, database, replace=True)
    assert rows_of(database) == rows
    database.close()
    assert restored.rows == {name: len(each) for name, each in rows.items()}

    async def tell() -> None:
        async with open_relay(tmp_path, POLICIES, clock) as relay:
            assert await told(relay) == before
            # It counted before it was backed up.
            assert await add_once(relay, clock())
            await put(relay, key_of("new"), "x 1", at=clock())
            assert 'x{instance="",job="new"} 1' in await samples(relay)

    asyncio.run(tell())


def test_a_restored_database_begins_a_new_clock(
    database: Database, file: Path, other: Database
) -> None:
    group = group_of("x 1", key_of("a"))
    for _ in range(3):
        commit(database, group)
    backed_up_at = position_of(database)
    made = back_up(database, file)
    assert made.revision == backed_up_at.revision == 3

    restored = restore_from(file, other)
    assert (restored.of, restored.revision) == (3, 4)
    assert position_of(other).nonce != backed_up_at.nonce
    for _ in range(5):
        commit(other, group)
    before = position_of(other)
    assert restore_from(file, other, replace=True).revision == before.revision + 1
    after = position_of(other)
    # Whoever was anywhere on the clocks before reads all of it anew.
    for since in (backed_up_at, before, Position(after.revision, before.nonce)):
        changes = read_snapshot(other, since)
        assert changes is not None
        assert changes.since is None
        assert changes.position == after
        assert [each.revision for each in changes.groups] == [after.revision]
    with other.snapshot() as connection:
        assert len(connection.execute(select(commits)).all()) == 1
    restore_from(file, other, replace=True)
    assert position_of(other).nonce != after.nonce


@on_loop
async def test_relays_that_serve_show_what_is_restored(
    tmp_path: Path, clock: Clock, file: Path
) -> None:
    async with two_relays(tmp_path, clock) as (one, two):
        await put(one, key_of("a"), "x 1")
        await put(one, key_of("b"), "x 1")
        was = await samples(two)
        database = database_in(tmp_path)
        await asyncio.to_thread(back_up, database, file)
        await put(one, key_of("a"), "# TYPE y gauge\ny 2")
        await one.delete(key_of("b"))
        assert await samples(two) != was
        await asyncio.to_thread(restore_from, file, database, replace=True)
        assert await samples(one) == await samples(two) == was
        await put(one, key_of("a"), "x 5")
        await put(two, key_of("b"), "x 6")
        later = ['x{instance="",job="a"} 5', 'x{instance="",job="b"} 6']
        assert await samples(one) == await samples(two) == later
        database.close()


def test_a_backup_is_readable_by_its_owner_alone(
    database: Database, file: Path
) -> None:
    before = os.umask(0)
    try:
        back_up(database, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.sqlite
def test_a_backup_takes_the_place_of_the_one_before_where_a_link_leads(
    database: Database, file: Path
) -> None:
    link = file.with_name("newest.db")
    link.symlink_to(file.name)
    back_up(database, file)
    content = file.read_bytes()
    with file.open("rb") as before:
        back_up(database, link)
        # Whoever reads it still does so.
        assert before.read() == content
    assert link.is_symlink()
    assert file.read_bytes() != content


def test_a_backup_that_fails_leaves_what_was_there(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(database, group_of("x 1", key_of("a")))
    back_up(database, file)
    content = file.read_bytes()

    def fail(rows: object) -> None:
        raise DriverError("the server has gone")

    monkeypatch.setattr(backup, "portions", fail)
    with pytest.raises(StoreUnavailable, match="the server has gone"):
        back_up(database, file)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.sqlite
def test_a_file_that_cannot_be_replaced_is_named(
    database: Database, file: Path
) -> None:
    assert isinstance(database, SqliteDatabase)
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    for target, problem in {
        pipe: f"{pipe} is no file; write - for standard output",
        database.path: f"{database.path} is the database itself",
        Path(f"{database.path}-wal"): "relay.db-wal is the database itself",
        file / "missing" / "it.db": f"the backup {file}/missing/it.db cannot be "
        "written: No such file or directory",
    }.items():
        with pytest.raises(BackupError, match=re.escape(problem)):
            back_up(database, target)
    assert list(file.parent.iterdir()) == [pipe]


@pytest.mark.sqlite
@pytest.mark.parametrize("end", ["-wal", "-journal", ".lock"])
def test_a_backup_takes_the_place_of_no_database_that_is_in_use(
    end: str, database: Database, file: Path
) -> None:
    file.write_bytes(b"another database")
    Path(f"{file}{end}").write_bytes(b"its own")
    link = file.with_name("link")
    link.symlink_to(file)
    for target in (file, link):
        with pytest.raises(BackupError) as caught:
            back_up(database, target)
        assert str(caught.value) == (
            f"{target} is a database that is in use, or was so: {file}{end} is there; "
            "choose another file"
        )
    assert file.read_bytes() == b"another database"


@pytest.mark.sqlite
def test_a_backup_takes_the_place_of_nothing_but_a_backup(
    database: Database, file: Path
) -> None:
    other = file.with_name("other.db")
    assert isinstance(database, SqliteDatabase)
    shutil.copy(database.path, other)
    text_file = file.with_name("diary.txt")
    text_file.write_text("Dear diary")
    for target in (other, text_file):
        before = target.read_bytes()
        with pytest.raises(BackupError) as caught:
            back_up(database, target)
        assert str(caught.value) == (
            f"{target} is there and is no backup of pushrelay; choose another file, or "
            "remove that one"
        )
        assert target.read_bytes() == before


@pytest.mark.sqlite
def test_an_empty_file_may_become_a_backup(database: Database, file: Path) -> None:
    file.touch()
    back_up(database, file)
    assert file.stat().st_size > 0


@pytest.mark.sqlite
def test_a_database_with_another_schema_is_not_backed_up(
    database: Database, file: Path
) -> None:
    with database.migrating() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    with pytest.raises(StartupError, match=r"schema 0005.*run `pushrelay db upgrade"):
        back_up(database, file)


@pytest.mark.sqlite
def test_large_stores_are_read_in_portions() -> None:
    small, large = (1, b"x"), (2, bytes(MOST_BYTES))
    assert list(portions([])) == []
    assert list(portions([small, large, small])) == [[small, large], [small]]
    assert [len(each) for each in portions([small] * 1001)] == [500, 500, 1]


def test_what_was_deleted_is_not_in_a_backup(
    tmp_path: Path, clock: Clock, file: Path
) -> None:
    fill_in(tmp_path, clock)
    database = database_in(tmp_path)
    back_up(database, file)
    database.close()
    with closing(sqlite3.connect(file)) as connection:
        for rows in REVISED:
            deleted = (
                f"SELECT count(*) FROM {rows.table.name} WHERE {rows.content.name}"  # noqa: S608  # of the schema
            )
            assert connection.execute(f"{deleted} IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM commits").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
