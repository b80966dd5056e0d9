"""Reads the store clock and what changed since a position of it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from pushrelay.changes import Changes, Position
from pushrelay.store.engine import Database, unavailable
from pushrelay.store.group_rows import from_row
from pushrelay.store.schema import commits, groups

ReadChanges = Callable[[Position | None], Changes | None]
"""`read_changes` on some connection."""

_NEWEST = (
    select(commits.c.revision, commits.c.nonce)
    .order_by(commits.c.revision.desc())
    .limit(1)
)
_NONCE_OF = select(commits.c.nonce).where(commits.c.revision == bindparam("revision"))
_CHANGED = select(groups).where(groups.c.revision > bindparam("revision"))
_REVISION_OF = select(commits.c.revision).where(commits.c.nonce == bindparam("nonce"))


def newest_position(connection: Connection) -> Position:
    """Return where the store clock stands."""
    revision, nonce = connection.execute(_NEWEST).one()
    return Position(revision, nonce)


def read_changes(connection: Connection, since: Position | None) -> Changes | None:
    """Return what happened after `since`, or None if nothing did.

    Everything is read anew when `since` is None, or is not on this store's clock: it
    was pruned, or this is another history (a restored backup). `connection` must be
    in one transaction that sees one state.
    """
    position = newest_position(connection)
    if position == since:
        return None
    if since is not None and not _is_stored(connection, since):
        since = None
    revision = -1 if since is None else since.revision
    rows = connection.execute(_CHANGED, {"revision": revision})
    changed = [from_row(row._asdict()) for row in rows]
    return Changes(since, position, changed)


def read_snapshot(database: Database, since: Position | None) -> Changes | None:
    """Do `read_changes` in a transaction of its own. Raises StoreUnavailable."""
    try:
        with database.snapshot() as connection:
            return read_changes(connection, since)
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def is_committed(connection: Connection, nonce: bytes) -> bool:
    """Return whether the commit that wrote `nonce` is in the store."""
    return connection.execute(_REVISION_OF, {"nonce": nonce}).first() is not None


def _is_stored(connection: Connection, position: Position) -> bool:
    nonce = connection.execute(_NONCE_OF, {"revision": position.revision}).scalar()
    return nonce == position.nonce
