"""What is no backup, or not all of one, is refused with the reason."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from builders import key_of, new_database
from databases import database_in
from full_store import POLICIES, fill_in
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_use import Clock, open_relay, put, samples
from sound import check_sound

from pushrelay import __version__
from pushrelay.errors import BackupError
from pushrelay.store.backup import back_up, write_backup
from pushrelay.store.backup_reader import open_backup, read_backup
from pushrelay.store.kept_rows import KEPT, Row
from pushrelay.store.migrate import HEAD

pytestmark = [pytest.mark.sqlite, pytest.mark.usefixtures("rarely")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a full store."""
    directory = tmp_path_factory.mktemp("whole")
    fill_in(directory, Clock())
    database = database_in(directory)
    back_up(database, directory / "it.db")
    database.close()
    return directory / "it.db"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, for a test to change."""
    path = tmp_path / "copy.db"
    path.write_bytes(whole.read_bytes())
    return path


def rows_in(path: Path) -> dict[str, list[Row]]:
    with open_backup(path, "it.db") as backup:
        return {table.name: list(backup.rows(table)) for table in KEPT}


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def refusal(path: Path) -> str:
    with pytest.raises(BackupError) as caught, open_backup(path, "it.db"):
        pass
    return str(caught.value)


def test_a_backup_says_who_made_it(whole: Path) -> None:
    with open_backup(whole, "it.db") as backup:
        assert (backup.name, backup.made_by) == ("it.db", __version__)
        assert 0 <= time.time_ns() - backup.made_at < 600 * 10**9


def test_a_backup_that_was_cut_off_is_said(copy: Path) -> None:
    os.truncate(copy, copy.stat().st_size // 2)
    assert refusal(copy) == (
        "it.db is damaged: pages are broken or cut off; use another backup"
    )


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_part_of_a_backup_passes_for_one(whole: Path, data: st.DataObject) -> None:
    content = whole.read_bytes()
    length = data.draw(st.integers(0, len(content) - 1))
    part = whole.with_name("part.db")
    part.write_bytes(content[:length])
    assert refusal(part)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damage_is_found_or_does_not_matter(whole: Path, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
    damaged = whole.with_name("damaged.db")
    damaged.write_bytes(content)
    with suppress(BackupError):
        assert rows_in(damaged) == rows_in(whole)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM runs WHERE rowid = 1",
        "INSERT INTO receipts VALUES (zeroblob(32), zeroblob(32), 1)",
        "UPDATE groups SET pushed_at = pushed_at + 1 WHERE rowid = 2",
        "UPDATE commits SET revision = revision + 1",
    ],
)
def test_a_change_of_any_row_is_found(statement: str, copy: Path) -> None:
    run(copy, statement)
    assert re.fullmatch(
        r"it\.db is damaged: the rows of \w+ are not those of the backup; use another "
        "backup",
        refusal(copy),
    )


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["DROP TABLE backup"], "is a database of pushrelay and no backup of it"),
        (["DROP TABLE alembic_version"], "is no backup of pushrelay: other tables"),
        (["DELETE FROM backup"], "is damaged: "),
        (["INSERT INTO backup SELECT * FROM backup"], "is damaged: "),
        (["UPDATE backup SET seal = '{}'"], "is damaged: "),
        (["UPDATE backup SET seal = '[]'"], "is damaged: "),
        (["UPDATE backup SET seal = NULL"], "is damaged: "),
        (
            ["UPDATE backup SET seal = json_set(seal, '$.tables', json('[1]'))"],
            "is damaged: ",
        ),
        (
            ["UPDATE backup SET seal = json_set(seal, '$.tables.runs', 1)"],
            "is damaged: ",
        ),
        (
            ["UPDATE backup SET seal = json_set(seal, '$.tables.runs.columns', 5)"],
            "is damaged: ",
        ),
        (["UPDATE backup SET seal = json_set(seal, '$.made_at', 1e30)"], "is damaged:"),
        (["DROP TABLE runs"], "is damaged: no such table: runs"),
        (["DELETE FROM alembic_version"], "is damaged: "),
        (
            ["UPDATE alembic_version SET version_num = '9999'"],
            f"was made by pushrelay {__version__} with schema 9999, which this version "
            f"does not know ({HEAD}); restore it with the version that made it, or a "
            "newer one",
        ),
        (
            ["UPDATE backup SET seal = json_set(seal, '$.format', 2)"],
            "was made by a newer version of pushrelay",
        ),
        # Its tables have the newest schema already.
        (["UPDATE alembic_version SET version_num = '0005'"], "is damaged: "),
    ],
)
def test_what_is_not_as_backups_are_is_refused(
    statements: list[str], problem: str, copy: Path
) -> None:
    run(copy, *statements)
    assert refusal(copy).startswith(f"it.db {problem}")


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    copy: Path, whole: Path
) -> None:
    run(
        copy,
        "DROP TABLE write_lock",
        "DROP TABLE tokens",
        "UPDATE backup SET seal = json_remove(seal, '$.tables.tokens')",
        "UPDATE alembic_version SET version_num = '0005'",
    )
    before = copy.read_bytes()
    assert rows_in(copy) == rows_in(whole) | {"tokens": []}
    assert copy.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"x 1\n", "is no backup of pushrelay"),
        (
            gzip.compress(b"x", mtime=0),
            "is compressed; decompress it with gunzip first",
        ),
        (b"\x28\xb5\x2f\xfd..", "is compressed; decompress it with unzstd first"),
        (b"PGDMP\x01", "is a dump of PostgreSQL, which pg_restore reads"),
        (b"SQLite format 3\0" + bytes(1000), "is damaged: file is not a database"),
    ],
)
def test_files_of_other_kinds_are_told_for_what_they_are(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "it.db"
    path.write_bytes(content)
    assert refusal(path).startswith(f"it.db {problem}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "it.db cannot be read: Is a directory"
    missing = tmp_path / "missing"
    assert refusal(missing) == "it.db cannot be read: No such file or directory"


def test_a_backup_goes_through_a_pipe(whole: Path, tmp_path: Path) -> None:
    database = new_database(tmp_path)
    stream = io.BytesIO()
    assert write_backup(database, stream).size == stream.tell()
    database.close()
    with read_backup(io.BytesIO(whole.read_bytes())) as backup:
        assert backup.name == "standard input"
        assert {table.name: list(backup.rows(table)) for table in KEPT} == rows_in(
            whole
        )
    half = io.BytesIO(stream.getvalue()[:50_000])
    with pytest.raises(BackupError, match="standard input is "), read_backup(half):
        pass


def test_a_backup_may_come_from_a_named_pipe(whole: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(pipe.write_bytes, whole.read_bytes())
        assert rows_in(pipe) == rows_in(whole)
        assert written.result() == whole.stat().st_size


def test_a_name_may_have_any_bytes(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff?#%41.db")
    path.write_bytes(whole.read_bytes())
    assert rows_in(path) == rows_in(whole)


def test_a_relay_can_serve_a_copy_of_a_backup(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_bytes(whole.read_bytes())

    async def serve() -> None:
        async with open_relay(tmp_path, POLICIES) as relay:
            assert await put(relay, key_of("new"), "x 1") is False
            assert 'x{instance="",job="new"} 1' in await samples(relay)
            assert len(relay.groups()) > 5

    asyncio.run(serve())
    check_sound(tmp_path)
