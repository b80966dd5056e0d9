from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import database_in, database_url
from sqlalchemy import inspect, select, text

from pushrelay.errors import StartupError
from pushrelay.store.engine import Database
from pushrelay.store.migrate import HEAD, current_schema, require_head, upgrade
from pushrelay.store.schema import commits, metadata
from pushrelay.store.sqlite import SqliteDatabase

REPOSITORY = Path(__file__).parents[2]
UPGRADE = """
import sys
from pushrelay.store.engine import open_database
from pushrelay.store.migrate import upgrade
database = open_database(sys.argv[1])
sys.stdin.readline()
print(upgrade(database))
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    yield database
    database.close()


@pytest.fixture
def file(database: Database) -> Path:
    assert isinstance(database, SqliteDatabase)
    return database.path


def start_upgrade(url: str) -> subprocess.Popen[str]:
    """Start another process that upgrades a database once it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", UPGRADE, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def test_a_fresh_database_gets_the_newest_schema(database: Database) -> None:
    assert current_schema(database) is None
    assert upgrade(database)
    assert current_schema(database) == HEAD
    require_head(database)


def test_a_second_upgrade_does_nothing(database: Database) -> None:
    upgrade(database)
    with database.snapshot() as connection:
        before = connection.execute(select(commits)).all()
    assert not upgrade(database)
    with database.snapshot() as connection:
        assert connection.execute(select(commits)).all() == before


@pytest.mark.sqlite
def test_a_second_upgrade_does_not_touch_the_file(
    database: Database, file: Path
) -> None:
    upgrade(database)
    before = file.stat()
    assert not upgrade(database)
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_the_clock_of_a_fresh_store_has_a_newest_row(database: Database) -> None:
    upgrade(database)
    with database.snapshot() as connection:
        rows = connection.execute(select(commits.c.revision, commits.c.nonce)).all()
    assert [(revision, len(nonce)) for revision, nonce in rows] == [(0, 16)]


def test_processes_that_upgrade_at_once_do_it_once(
    database: Database, tmp_path: Path
) -> None:
    processes = [start_upgrade(database_url(tmp_path)) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30) for process in processes]
    assert [process.returncode for process in processes] == [0] * 2, answers
    assert sorted(out for out, _ in answers) == ["False\n", "True\n"]
    require_head(database)
    with database.snapshot() as connection:
        assert len(connection.execute(select(commits)).all()) == 1


def test_a_newer_schema_is_refused_and_left_as_it_is(database: Database) -> None:
    upgrade(database)
    with database.migrating() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartupError, match="schema 9999, which is newer"):
        upgrade(database)
    with pytest.raises(StartupError, match="schema 9999, which is newer"):
        require_head(database)
    assert current_schema(database) == "9999"


def test_a_schema_that_is_not_there_is_asked_for(database: Database) -> None:
    with pytest.raises(StartupError, match=r"schema none.*pushrelay db upgrade --data"):
        require_head(database)


@pytest.mark.sqlite
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    database: Database, file: Path
) -> None:
    content = b"precious notes, no database\n" * 100
    file.write_bytes(content)
    with pytest.raises(StartupError, match="file is not a database"):
        upgrade(database)
    assert file.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_as_it_is(
    database: Database,
) -> None:
    with database.migrating() as connection:
        connection.execute(text("CREATE TABLE accounts (id INTEGER)"))
    with pytest.raises(StartupError, match="tables: accounts"):
        upgrade(database)
    with database.snapshot() as connection:
        assert inspect(connection).get_table_names() == ["accounts"]


@pytest.mark.sqlite
def test_a_directory_in_the_files_place_is_refused(
    database: Database, file: Path
) -> None:
    database.close()
    file.unlink()
    file.mkdir()
    with pytest.raises(StartupError, match="is a directory; choose another"):
        upgrade(database)


def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("secrets.token_bytes", fail)
    with pytest.raises(StartupError, match="the disk is gone"):
        upgrade(database)
    assert current_schema(database) is None
    monkeypatch.undo()
    assert upgrade(database)


def test_the_code_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_migrations_build_the_schema_of_the_code(database: Database) -> None:
    upgrade(database)
    with database.snapshot() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
