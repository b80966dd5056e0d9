"""What is said when SQLite, or the system, refuses to go on."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import new_database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from pushrelay.store import sqlite_faults
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.sqlite_faults import Damaged, require_access
from pushrelay.store.sqlite_log import require_log
from pushrelay.store.statements import sql

pytestmark = pytest.mark.sqlite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    (directory := tmp_path / "data").mkdir()
    database = new_database(directory)
    assert isinstance(database, SqliteDatabase)
    yield database
    database.close()


def of_code(code: int, text: str = "as SQLite says") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def wrapped(error: Exception) -> Exception:
    """What SQLAlchemy makes of `error`."""
    return OperationalError("SELECT", {}, error)


FULL = (
    r"the disk of the database is full: .*/data has \d+\.\d MiB of \d+\.\d MiB left; "
)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (of_code(sqlite3.SQLITE_FULL), FULL + "make room there"),
        (wrapped(of_code(sqlite3.SQLITE_FULL)), FULL),
        (OSError(errno.ENOSPC, "No space left on device"), FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
        (of_code(sqlite3.SQLITE_CORRUPT), "relay.db is damaged: as SQLite says; move"),
        (wrapped(of_code(sqlite3.SQLITE_NOTADB)), "relay.db is damaged: as SQLite s"),
        # Extended codes.
        (of_code(sqlite3.SQLITE_CORRUPT | 3 << 8), "relay.db is damaged"),
        (of_code(sqlite3.SQLITE_IOERR | 4 << 8), "^as SQLite says$"),
        (of_code(sqlite3.SQLITE_BUSY, "database\nis locked"), "^database is locked$"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_an_error_is_told_with_what_to_do(
    database: SqliteDatabase, error: Exception, told: str
) -> None:
    assert re.search(told, database.explain(error))


def remove_directory(file: Path) -> None:
    shutil.rmtree(file.parent)


def remove_file(file: Path) -> None:
    file.unlink()


def put_directory_for_log(file: Path) -> None:
    file.with_name("relay.db-wal").mkdir()


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (remove_directory, "there is no directory .*/data; make it, or mount what"),
        (remove_file, "there is no file .*/data/relay.db; put it back, or mount"),
        (put_directory_for_log, "/data/relay.db-wal is a directory; choose another"),
    ],
)
def test_what_is_missing_is_told_when_the_file_cannot_be_opened(
    database: SqliteDatabase, do: Callable[[Path], None], told: str
) -> None:
    database.close()
    do(database.path)
    error = of_code(sqlite3.SQLITE_CANTOPEN)
    assert re.search(told, database.explain(error))


def test_a_disk_without_room_is_told_whatever_failed_on_it(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_faults, "_LITTLE", 2**63)
    assert re.search(FULL, database.explain(of_code(sqlite3.SQLITE_IOERR)))


def test_a_user_without_a_name_has_a_number(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 123456)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    told = database.explain(of_code(sqlite3.SQLITE_READONLY))
    assert told.startswith("user 123456 may not enter /, which belongs to root (d")


def sums_of(words: tuple[int, ...]) -> tuple[int, int]:
    """The checksum of a log over pairs of words, as its format has it."""
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) % 2**32
        second = (second + odd + first) % 2**32
    return first, second


def test_a_log_that_goes_while_it_is_looked_at_keeps_nobody_out(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (log := Path(f"{database.path}-wal")).touch()
    may = os.access

    def leave(path: Path, mode: int, *, effective_ids: bool) -> bool:
        if path == log:
            log.unlink()  # as the last one does who used the database
        return may(path, mode, effective_ids=effective_ids)

    monkeypatch.setattr(sqlite_faults.os, "access", leave)
    require_access(database.path)
    assert not log.exists()


@pytest.mark.parametrize(("order", "magic"), [("<", 0x377F0682), (">", 0x377F0683)])
def test_a_log_of_either_byte_order_is_known(
    database: SqliteDatabase, order: str, magic: int
) -> None:
    log = database.path.with_name("relay.db-wal")
    database.close()
    header = struct.pack(">6I", magic, 3007000, 4096, 1, 2**31, 7)
    sums = sums_of(struct.unpack(f"{order}6I", header))
    log.write_bytes(header + struct.pack(">2I", *sums))
    require_log(database.path)
    log.write_bytes(header + struct.pack(">2I", sums[0], sums[1] ^ 1))
    with pytest.raises(Damaged, match=r"log .*relay.db-wal is damaged"):
        require_log(database.path)


def test_the_log_of_sqlite_itself_is_known(database: SqliteDatabase) -> None:
    with closing(database.open_writer()) as session, session.transaction():
        session.run(sql(text("UPDATE commits SET at = 1")), {})
        size = database.path.with_name("relay.db-wal").stat().st_size
        require_log(database.path)
    assert size
