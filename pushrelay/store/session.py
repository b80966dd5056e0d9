"""A connection of the driver, for what is done for every push and every scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pushrelay.store.statements import Replacing, Statement

Values = Mapping[str, Any]
"""What a statement is run with, by the names of its parameters."""


class Session(Protocol):
    """A connection from a pool, used by one thread at a time.

    A statement outside of `transaction` is one by itself and sees one state. All
    methods raise `engine.DatabaseErrors`.
    """

    @property
    def is_current(self) -> bool:
        """Whether it is on the database, as far as is known without asking that."""

    def all(
        self, statement: Statement, values: Values | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a query one after the other."""

    def stream(self, statement: Statement) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a query with many, of which never all are in memory; in a
        transaction, and to the end."""

    def first(
        self, statement: Statement, values: Values | None = None
    ) -> tuple[Any, ...] | None:
        """Return the only row of a query, if it has one."""

    def first_timed(self, statement: Statement) -> tuple[Any, ...] | None:
        """Do what `first` does; from what others share, have the time told with it."""

    def run(self, statement: Statement, values: Values) -> None:
        """Run a statement that gives no rows."""

    def run_many(self, statement: Statement, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""

    def replace(self, replacing: Replacing, rows: Sequence[Values]) -> None:
        """Write `rows`, each of another id, in place of those that there are."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is done in the block, or nothing of it if that raises.

        One that writes has the write lock: whoever has it is next on the store clock.
        An error of the commit itself leaves it open whether it took place.
        """

    def close(self) -> None:
        """Give the connection back to its pool."""

    def discard(self) -> None:
        """Close the connection for good; what it has not committed is undone."""
