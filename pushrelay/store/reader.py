"""Reads the store clock and what changed since a position of it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, func, literal_column, select
from sqlalchemy.exc import NoResultFound

from pushrelay.changes import Changes, Position
from pushrelay.store.change_rows import Rows, ask_for_some, read_since, some_changes
from pushrelay.store.engine import Database, DatabaseErrors, unavailable
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

ReadChanges = Callable[[Position | None], Changes | None]
"""`read_changes` on some connection."""

FEW = 1_000
"""So many changed rows of a kind are few: to read them takes some hundredths of a
second."""


class FarBehind(Exception):
    """It takes long to read what happened since: it is much, or all."""


_NEWEST = sql(
    select(commits.c.revision, commits.c.nonce).where(
        commits.c.revision == select(func.max(commits.c.revision)).scalar_subquery()
    )
)
_ONE = sql(select(literal_column("1")))
_NONCE_OF = sql(
    select(commits.c.nonce).where(commits.c.revision == bindparam("revision"))
)
_REVISION_OF = sql(
    select(commits.c.revision).where(commits.c.nonce == bindparam("nonce"))
)


def newest_position(session: Session) -> Position:
    """Return where the store clock stands, and learn what time it is."""
    newest = session.first_timed(_NEWEST)
    if newest is None:
        raise NoResultFound("the store has no commits")
    return Position(*newest)


def learn_time(session: Session) -> None:
    """Learn what time it is, whatever is stored."""
    session.first_timed(_ONE)


def read_changes(
    session: Session, since: Position | None, *, is_likely: bool = False
) -> Changes | None:
    """Return what happened after `since`, or None if nothing did.

    Everything is read anew when `since` is None, or is not on this store's clock: it
    was pruned, or this is another history (a restored backup). `session` must be
    in one transaction that sees one state. is_likely: whether something did happen, so
    that all is asked for at once.
    """
    try:
        return read_few_changes(session, since, is_likely=is_likely)
    except FarBehind:
        position = newest_position(session)
    if since is not None and not _is_stored(session, since):
        since = None
    return read_since(session, since, position)


def read_few_changes(
    session: Session,
    since: Position | None,
    most: int = FEW,
    *,
    is_likely: bool = False,
) -> Changes | None:
    """Do `read_changes` for fewer than `most` rows of a kind. Raises FarBehind."""
    if since is None:
        raise FarBehind
    asked = _ask(session, since, most) if is_likely else None
    position = newest_position(session)
    if position == since:
        return None
    nonce, rows = asked or _ask(session, since, most)
    is_stored = list(nonce) == [(since.nonce,)]
    changes = some_changes(since, position, rows, most)
    if changes is None or not is_stored:
        raise FarBehind
    return changes


def _ask(session: Session, since: Position, most: int) -> tuple[Rows, list[Rows]]:
    nonce = session.all(_NONCE_OF, {"revision": since.revision})
    return nonce, ask_for_some(session, since, most)


def read_snapshot(database: Database, since: Position | None) -> Changes | None:
    """Do `read_changes` in a transaction of its own. Raises StoreUnavailable."""
    try:
        with database.reading(newest=True) as session:
            # Mostly nothing happened, and one query by itself sees one state.
            if newest_position(session) == since:
                return None
            with session.transaction():
                return read_changes(session, since, is_likely=True)
    except DatabaseErrors as error:
        raise unavailable(database, error) from error


def is_committed(session: Session, nonce: bytes) -> bool:
    """Return whether the commit that wrote `nonce` is in the store."""
    return session.first(_REVISION_OF, {"nonce": nonce}) is not None


def _is_stored(session: Session, position: Position) -> bool:
    found = session.first(_NONCE_OF, {"revision": position.revision})
    return found == (position.nonce,)
