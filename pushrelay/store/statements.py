"""Statements, made into SQL once for each kind of database.

SQLAlchemy takes longer to run a small statement than a database does. So what is done
for every push and every scrape is compiled once, and run by the driver as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from sqlalchemy import ClauseElement, Dialect, Table, insert, text


class Statement:
    """A statement for a `Session`; `build` makes it with the dialect's own `insert`."""

    def __init__(self, build: Callable[[Callable[..., Any]], ClauseElement]) -> None:
        self._build = build

    @cached_property
    def sqlite(self) -> str:
        """Its SQL for SQLite, with parameters such as `:name`."""
        from sqlalchemy.dialects.sqlite import dialect, insert

        return str(self._build(insert).compile(dialect=dialect(paramstyle="named")))

    @cached_property
    def postgresql(self) -> str:
        """Its SQL for PostgreSQL, with parameters such as `%(name)s`."""
        from sqlalchemy.dialects.postgresql import insert, psycopg

        dialect: Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]  # it has none

        return str(self._build(insert).compile(dialect=dialect))


def sql(statement: ClauseElement) -> Statement:
    """Return `statement` for a `Session`, its parameters by name."""
    return Statement(lambda _: statement)


def upsert(table: Table) -> Statement:
    """Return the statement that writes whole rows, new or in place of others."""

    def build(insert: Callable[..., Any]) -> ClauseElement:
        statement = insert(table)
        replaced = {
            column.name: statement.excluded[column.name]
            for column in table.c
            if not column.primary_key
        }
        built: ClauseElement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key), set_=replaced
        )
        return built

    return Statement(build)


class Replacing:
    """The statements that write whole rows of `table`, new or in place of those with
    the same `id`, at a later `revision`.

    upsert: does it at once. On a server, `remove` is run with all `ids`, then `insert`
    with each row: there, the revision belongs to the key, for somebody who keeps a
    snapshot open keeps all versions of a row, of which an upsert would look at each.
    """

    def __init__(self, table: Table) -> None:
        self.upsert = upsert(table)
        self.insert = sql(insert(table))
        newest = f"SELECT ctid FROM {table.name} WHERE id = given.id"  # noqa: S608  # ours
        self.remove = sql(
            text(
                f"DELETE FROM {table.name} WHERE ctid = ANY(ARRAY("  # noqa: S608  # ours
                "SELECT newest.ctid FROM unnest(CAST(:ids AS bytea[])) AS given(id), "
                f"LATERAL ({newest} ORDER BY revision DESC LIMIT 1) AS newest))"
            )
        )
