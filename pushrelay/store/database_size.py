"""How large a database is."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from pushrelay.store.engine import Database, DatabaseErrors
from pushrelay.store.shared_call import SharedCall
from pushrelay.store.statements import sql

log = logging.getLogger(__name__)


class _Size(ColumnElement[int]):
    """The bytes that the database takes, without those of a file that are free for what
    comes next."""

    inherit_cache = True
    type = BigInteger()


@compiles(_Size, "sqlite")
def _of_file(_element: Any, _compiler: Any, **_options: Any) -> str:
    return (
        "((SELECT page_count FROM pragma_page_count)"
        " - (SELECT freelist_count FROM pragma_freelist_count))"
        " * (SELECT page_size FROM pragma_page_size)"
    )


@compiles(_Size, "postgresql")
def _on_server(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "pg_database_size(current_database())"


_SIZE = sql(select(_Size()))


class DatabaseSize:
    """Knows how large `database` was when it said so last.

    bytes: 0 as long as it has not. No write waits for it: a server looks at all of its
    files, which may take long, and it may refuse to.
    """

    def __init__(self, database: Database) -> None:
        self.bytes = 0
        self._database = database
        self._is_told = True
        self._call = SharedCall(self._measure, "database-size")

    def measure(self) -> Future[None]:
        """Ask the database; return a future that is done when that has ended, whether
        or not it said anything."""
        return self._call.request()

    def stop(self) -> None:
        """Ask no more."""
        self._call.stop()

    def _measure(self) -> None:
        try:
            with self._database.reading() as session:
                [[size]] = session.all(_SIZE)
        except (*DatabaseErrors, OSError) as error:
            if self._is_told:
                log.warning(
                    "how large the database is cannot be found out, so that "
                    "--limit.database-bytes goes by what was known last: %s",
                    self._database.explain(error),
                )
            self._is_told = False
        else:
            self.bytes = int(size)
            self._is_told = True
