"""The rows that make a store what it is, whichever kind of database holds them.

What is left out is a database's own, as the row that writers lock, or says only to
views what has gone: whoever reads these rows begins anew. Who had logged in does so
anew, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, true

from pushrelay.store.change_rows import REVISED
from pushrelay.store.schema import commits, receipts, runs, tokens

Row = tuple[Any, ...]

MOST_ROWS = 500
MOST_BYTES = 4 * 1024 * 1024
"""So many rows, or rows of so many bytes, are in memory at a time, or one."""

NEWEST = commits.c.revision == select(func.max(commits.c.revision)).scalar_subquery()

KEPT: dict[Table, ColumnElement[bool]] = {
    commits: NEWEST,
    **{rows.table: rows.content.is_not(None) for rows in REVISED},
    receipts: true(),
    runs: true(),
    tokens: tokens.c.parent.is_(None),
}
"""The tables, each with which of its rows are kept."""


def portions(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Give `rows` in lists that are not too large for memory."""
    portion: list[Row] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += sum([len(value) for value in row if isinstance(value, bytes)])
        if len(portion) == MOST_ROWS or size >= MOST_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
