"""How large a database is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from pushrelay.store.session import Session
from pushrelay.store.statements import sql


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


def database_bytes(session: Session) -> int:
    """Return how many bytes the database takes."""
    [[size]] = session.all(_SIZE)
    return int(size)
