"""What tests of the core build from a line of text: keys, families, groups."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from databases import database_in
from google.protobuf import text_format
from sqlalchemy import func, insert, select

from pushrelay.changes import GroupChange, Position
from pushrelay.config import Limits
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import Escaping, escape_label_name
from pushrelay.exposition.protobuf_encoder import delimit
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.stored import to_payload
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricFamily
from pushrelay.store.engine import Database
from pushrelay.store.group_rows import to_row
from pushrelay.store.migrate import upgrade
from pushrelay.store.reader import newest_position
from pushrelay.store.schema import commits, groups
from pushrelay.store.session import Session
from pushrelay.store.sqlite import SqliteDatabase

NO_TABLE = r"no such table|does not exist"
LOCKED = r"database is locked|lock timeout"
"""What databases say of a table that is not there, and of a lock that others have."""


def key_of(job: str = "a", **labels: str) -> GroupingKey:
    return GroupingKey.of({"job": job, **labels})


def families_of(text: str, key: GroupingKey) -> list[MetricFamily]:
    """Return the families of a pushed body; its last line end may be missing."""
    body = f"{text}\n".encode() if text else b""
    return parse_text(body, key, Limits(), utf8_names=True)


def families_of_messages(texts: Iterable[str], key: GroupingKey) -> list[MetricFamily]:
    """Return the families of a pushed body of protobuf, written as protobuf's text."""
    messages = [
        text_format.Parse(text, pb.MetricFamily()).SerializeToString() for text in texts
    ]
    body = b"".join([delimit(len(message)) + message for message in messages])
    return parse_protobuf(body, key, Limits())


def group_of(
    text: str = "x 1",
    key: GroupingKey | None = None,
    *,
    revision: int = 1,
    pushed_at: int = 10**9,
    failed_at: int = 0,
) -> Group:
    """Return the group that a push of `text` to `key` leaves."""
    key = key or key_of()
    payload = to_payload(families_of(text, key), pushed_at)
    return Group(key, revision, pushed_at, failed_at, payload)


def new_database(directory: Path, sync: str = "normal") -> Database:
    """Return the database of `directory` with the newest schema."""
    database = database_in(directory, sync)
    if not database.is_shared:
        database.create()
        upgrade(database)
    return database


@contextmanager
def write_locked(database: Database) -> Iterator[Session]:
    """Hold the write lock, as another relay might."""
    with closing(database.open_writer()) as session, session.transaction():
        newest_position(session)
        yield session


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Keep others from writing: on SQLite by the lock of the file itself."""
    if isinstance(database, SqliteDatabase):
        with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.rollback()
    else:
        with write_locked(database):
            yield


def commit(database: Database, *changes: GroupChange, nonce: str = "n") -> Position:
    """Commit `changes` at the next revision, as another relay might."""
    with database.migrating() as connection:
        newest = connection.execute(select(func.max(commits.c.revision))).scalar_one()
        revision = newest + 1
        mark = f"{nonce}{revision}".ljust(16).encode()
        connection.execute(
            insert(commits), {"revision": revision, "nonce": mark, "at": 0}
        )
        for change in changes:
            row = to_row(change) | {"revision": revision}
            connection.execute(groups.delete().where(groups.c.id == row["id"]))
            connection.execute(insert(groups), row)
    return Position(revision, mark)


def change(database: Database, *statements: Any) -> None:
    """Change tables as nobody should."""
    with database.migrating() as connection:
        for statement in statements:
            connection.execute(statement)


def stay_distinct(labels: Iterable[str]) -> bool:
    """Whether the names of a series' `labels`, with those that every series has, stay
    apart however a scraper wants them escaped."""
    names = {*labels, "instance", "job"}
    return all(
        len({escape_label_name(name, scheme) for name in names}) == len(names)
        for scheme in Escaping
    )
