"""A connection of the driver, for what is done for every push and every scrape.

SQLAlchemy takes longer to run a small statement than SQLite does. So the statements of
these ways are made into SQL once (`engine.sql`), and run here as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection

Values = Mapping[str, Any]
"""What a statement is run with, by the names of its parameters."""


class Session:
    """A connection from a pool, used by one thread at a time.

    A statement outside of `transaction` is one by itself and sees one state. All
    methods raise `engine.DatabaseErrors`.
    """

    def __init__(self, connection: PoolProxiedConnection, begin: str) -> None:
        self._connection = connection
        self._driver: Any = connection.driver_connection
        self._begin = begin

    @property
    def notes(self) -> dict[Any, Any]:
        """What was noted of the connection when it was made."""
        return self._connection.info

    def all(self, sql: str, values: Values | None = None) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a query one after the other."""
        rows: Iterator[tuple[Any, ...]] = self._driver.execute(sql, values or {})
        return rows

    def first(self, sql: str, values: Values | None = None) -> tuple[Any, ...] | None:
        """Return the only row of a query, if it has one."""
        # A query of which something is left would keep its state of the database.
        rows = list(self.all(sql, values))
        return rows[0] if rows else None

    def run(self, sql: str, values: Values) -> None:
        """Run a statement that gives no rows."""
        self._driver.execute(sql, values)

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        self._driver.cursor().executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done in the block, or nothing of it if that raises.

        An error of the commit itself leaves it open whether it took place.
        """
        self._driver.execute(self._begin)
        try:
            yield
        except BaseException:
            self._driver.rollback()
            raise
        self._commit()

    def close(self) -> None:
        """Give the connection back to its pool."""
        self._connection.close()

    def discard(self) -> None:
        """Close the connection for good; what it has not committed is undone."""
        self._connection.invalidate()
        self._connection.close()

    def _commit(self) -> None:
        # Unlike the driver's own `commit`, it fails if there is nothing to commit.
        self._driver.execute("COMMIT")
