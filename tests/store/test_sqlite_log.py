"""A write-ahead log that only looks as if commits had been lost is no damage."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, group_of, key_of, new_database

from pushrelay.store.engine import open_database
from pushrelay.store.sqlite_faults import Damaged
from pushrelay.store.sqlite_log import log_of, require_all_commits

pytestmark = pytest.mark.sqlite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database whose commits are in its log, as a killed relay leaves it."""
    (source := tmp_path / "source").mkdir()
    (copy := tmp_path / "copy").mkdir()
    database = new_database(source)
    for number in range(5):
        commit(database, group_of("x 1", key_of(f"j{number}")))
    for name in ("relay.db", "relay.db-wal"):
        shutil.copy(source / name, copy)
    database.close()
    return copy / "relay.db"


def log_after(file: Path, size: int) -> bytes:
    """Return the log of a copy of `file` after a commit of so many bytes."""
    directory = Path(shutil.copytree(file.parent, file.parent.with_name("try")))
    tried = directory / file.name
    with closing(sqlite3.connect(tried)) as connection:
        connection.execute("CREATE TABLE blobs AS SELECT ? AS blob", (bytes(size),))
        connection.commit()
        log = log_of(tried).read_bytes()
    shutil.rmtree(directory)
    return log


def test_traces_of_commits_that_failed_are_no_damage(file: Path) -> None:
    """As where a disk does not sync what was written, for it is full: the next one is
    written over it, and may be shorter."""
    logs = [log_after(file, size) for size in (30_000, 20_000, 10_000)]
    left = b""
    for log in reversed(logs):
        left += log[len(left) :]
    log_of(file).write_bytes(left)
    database = open_database(f"sqlite:///{file}")
    assert not database.create()
    database.close()


def test_a_log_that_somebody_begins_anew_is_no_damage(file: Path) -> None:
    salts = log_of(file).read_bytes()[16:24]
    index = file.with_name(file.name + "-shm")
    # What is said of it first: that it has other salts, and no commits yet.
    index.write_bytes(bytes(32) + salts[::-1] + bytes(8))
    require_all_commits(file)
    index.write_bytes(bytes(32) + salts + bytes(8))
    with pytest.raises(Damaged):
        require_all_commits(file)
