"""Receipts of pushes with an idempotency key, so that a retry counts once.

They are written in the transaction of their push, and forgotten a day later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, literal_column, select

from pushrelay.store.schema import receipts
from pushrelay.store.session import Session
from pushrelay.store.statements import sql, upsert

KEPT_SECONDS = 24 * 3600
_OLDEST_AT_ONCE = 2
"""So many old receipts go for each new one, so that they never pile up."""

_FIND = sql(
    select(receipts.c.body).where(
        receipts.c.id == bindparam("id"), receipts.c.at > bindparam("oldest")
    )
)
_UPSERT = upsert(receipts)
_PRUNE = sql(
    delete(receipts).where(
        receipts.c.id.in_(
            select(receipts.c.id)
            .where(receipts.c.at <= bindparam("oldest"))
            .order_by(receipts.c.at)
            .limit(bindparam("most"))
            # Else the dialect writes a parameter of its own.
            .offset(literal_column("0"))
        )
    )
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted push.

    id: 32 bytes that stand for its group and its idempotency key. body: SHA-256 of what
    was pushed. at: Unix nanoseconds.
    """

    id: bytes
    body: bytes
    at: int


def find_receipt(session: Session, id_: bytes, now: int) -> bytes | None:
    """Return what was pushed under `id_` within a day before `now`, if anything."""
    found = session.first(_FIND, {"id": id_, "oldest": _oldest(now)})
    return None if found is None else bytes(found[0])


def write_receipts(session: Session, new: Iterable[Receipt], now: int) -> None:
    """Store `new` receipts, and forget some that are older than a day at `now`."""
    rows = [{"id": r.id, "body": r.body, "at": r.at} for r in new]
    if rows:
        session.run_many(_UPSERT, rows)
        most = _OLDEST_AT_ONCE * len(rows)
        session.run(_PRUNE, {"oldest": _oldest(now), "most": most})


def _oldest(now: int) -> int:
    return now - KEPT_SECONDS * 10**9
