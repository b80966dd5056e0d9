"""The store clock, as it is in the database: each commit has the next revision."""

from __future__ import annotations

import secrets

from sqlalchemy import bindparam, delete, insert

from pushrelay.changes import Position
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

_INSERT = sql(insert(commits))
_DELETE = sql(delete(commits).where(commits.c.revision == bindparam("revision")))

_PROBE = -1
"""Revision of a row that has gone again when it is committed, and yet was written."""


def advance(session: Session, position: Position, at: int) -> None:
    """Let `position`, with the next revision, be the newest; at: Unix nanoseconds."""
    row = {"revision": position.revision, "nonce": position.nonce, "at": at}
    session.run(_INSERT, row)


def write_traceless(session: Session, size: int) -> None:
    """Write so many bytes of which nothing is left, and which nobody sees."""
    # Nothing that could be compressed.
    advance(session, Position(_PROBE, secrets.token_bytes(size)), 0)
    session.run(_DELETE, {"revision": _PROBE})
