"""The databases of a test: of the kind that it is run for.

On PostgreSQL they are used again and again, for to make one takes long; a test has
those that it took until it ends.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from postgres_server import plain, run_sql
from sqlalchemy import URL

from pushrelay.store.engine import Database, open_database
from pushrelay.store.migrate import HEAD, upgrade
from pushrelay.store.schema import metadata, write_lock

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")

_EMPTIED = [table.name for table in metadata.sorted_tables if table is not write_lock]
_EMPTY = "; ".join(
    [
        "SET lock_timeout = '10s'",
        f"TRUNCATE {', '.join(_EMPTIED)}",
        "INSERT INTO commits VALUES (0, '{nonce}', {now})",
    ]
)
_IS_AS_MIGRATED = f"""
    SELECT 1 FROM alembic_version JOIN write_lock ON version_num = '{HEAD}' AND id = 1
"""  # noqa: S608  # the newest schema is ours
_WITHOUT_TABLES = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


class _Pooled:
    """A database on the server at `server`, and a connection that makes it empty."""

    def __init__(self, server: URL, number: int) -> None:
        name = f"pushrelay_test_{os.getpid()}_{number}"
        self._server = server
        run_sql(server, f"CREATE DATABASE {name}")
        self.url = server.set(database=name)
        self._connection = psycopg.connect(plain(self.url), autocommit=True)

    def make_empty(self) -> None:
        """Make it as a migration leaves an empty one."""
        try:
            nonce, now = secrets.token_hex(8), time.time_ns()
            self._connection.execute(_EMPTY.format(nonce=nonce, now=now).encode())
            if self._connection.execute(_IS_AS_MIGRATED).fetchone():
                return
        except psycopg.errors.UndefinedTable:
            pass
        self.remove_tables()
        database = open_database(_text(self.url))
        upgrade(database)
        database.close()

    def remove_tables(self) -> None:
        self._connection.execute(_WITHOUT_TABLES)

    def drop(self) -> None:
        self._connection.close()
        # What a test left connected is no reason to keep it.
        name = self.url.database
        run_sql(self._server, f"DROP DATABASE {name} WITH (FORCE)")


class Databases:
    """The databases on the server at `server`."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._all: list[_Pooled] = []
        self._free: list[_Pooled] = []

    def take(self) -> _Pooled:
        if not self._free:
            made = _Pooled(self._server, len(self._all))
            self._all.append(made)
            return made
        return self._free.pop()

    def take_back(self, database: _Pooled) -> None:
        self._free.append(database)

    def drop(self) -> None:
        for database in self._all:
            database.drop()


class _Use:
    """What those who run now take: from `databases`, or files if there are none."""

    def __init__(self, databases: Databases | None) -> None:
        self.databases = databases
        self.taken: dict[Path, _Pooled] = {}


_uses = [_Use(None)]


@contextmanager
def taking_from(databases: Databases | None) -> Iterator[None]:
    """Let databases be taken from `databases`, and be given back at the end."""
    use = _Use(databases)
    _uses.append(use)
    try:
        yield
    finally:
        _uses.pop()
        for database in use.taken.values():
            assert databases is not None
            databases.take_back(database)


@contextmanager
def taking() -> Iterator[None]:
    """Let databases that are taken from now on be given back at the end."""
    with taking_from(_uses[-1].databases):
        yield


def database_url(directory: Path, *, has_tables: bool = True) -> str:
    """Return the URL of the database that belongs to `directory`; the first time, it is
    empty. has_tables: whether it has its tables then; a file is not even made."""
    databases = _uses[-1].databases
    if databases is None:
        return f"sqlite:///{directory}/relay.db"
    for use in reversed(_uses):
        if directory in use.taken:
            return _text(use.taken[directory].url)
    taken = _uses[-1].taken[directory] = databases.take()
    if has_tables:
        taken.make_empty()
    else:
        taken.remove_tables()
    return _text(taken.url)


def database_in(directory: Path, sync: str = "normal", **how: Any) -> Database:
    """Open the database that belongs to `directory`, as `database_url` says."""
    return open_database(database_url(directory, **how), sync)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
