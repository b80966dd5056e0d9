"""Tables whose rows bear the revision that wrote them: all that views follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Table, bindparam, delete, literal_column, select

from pushrelay.store.session import Session
from pushrelay.store.statements import Replacing, sql


class RevisedRows:
    """The rows of `table`, which has the columns `id` and `revision`.

    columns: what is read of a row, in this order. content: the column that is NULL in
    the rows that stand for what is no more; both are kept.
    """

    def __init__(
        self, table: Table, columns: Iterable[Column[Any]], content: Column[Any]
    ) -> None:
        self.table = table
        self.content = content
        revision = table.c.revision
        # In the order of the file; by their revisions, rows lie all over it.
        everything = select(*columns)
        changed = everything.where(revision > bindparam("revision"))
        self._all = sql(everything)
        self._changed = sql(changed)
        # Ordered, so that no database looks for as many rows all over the table.
        some = changed.order_by(revision).limit(bindparam("most"))
        # Else the dialect writes a parameter of its own.
        self._some = sql(some.offset(literal_column("0")))
        self.replacing = Replacing(table)
        between = revision.between(bindparam("oldest"), bindparam("through"))
        self._prune = sql(delete(table).where(between, content.is_(None)))

    def read(self, session: Session, since: int | None) -> Iterator[tuple[Any, ...]]:
        """Give all rows, or those that were written after the revision `since`."""
        if since is None:
            return session.stream(self._all)
        return session.all(self._changed, {"revision": since})

    def read_some(
        self, session: Session, since: int, most: int
    ) -> Iterator[tuple[Any, ...]]:
        """Give the first rows that were written after the revision `since`, up to
        `most`."""
        return session.all(self._some, {"revision": since, "most": most})

    def write(self, session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store `rows`; a later one of an id replaces an earlier one."""
        if last := {row["id"]: row for row in rows}:
            session.replace(self.replacing, list(last.values()))

    def prune(self, session: Session, oldest: int, through: int) -> None:
        """Remove what is no more since a revision from `oldest` to `through`."""
        session.run(self._prune, {"oldest": oldest, "through": through})
