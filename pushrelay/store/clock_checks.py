"""What can be wrong with the store clock."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sqlalchemy import select

from pushrelay.store.fault import CLOCK_REMEDY, Fault
from pushrelay.store.row_checks import Row, broken
from pushrelay.store.schema import commits, write_lock
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

TOLERANCE = 300 * 10**9
"""So far, in nanoseconds, may clocks of hosts be apart, or be put back."""

_PUT_BACK = "run `pushrelay db upgrade`, which puts it back"
_REMOVE = "stop the relays and run: DELETE FROM write_lock WHERE id <> 1"

_COMMITS = sql(select(commits).order_by(commits.c.revision))
_LOCKS = sql(select(write_lock))


def lock_faults(session: Session) -> Iterator[Fault]:
    """Check the row that writers lock."""
    ids = sorted([id_ for (id_,) in session.all(_LOCKS)])
    if not ids:
        what, remedy = "has no row, so that no relay can write", _PUT_BACK
    elif ids != [1]:
        what, remedy = f"has the rows {', '.join(map(str, ids))}", _REMOVE
    else:
        return
    yield Fault(write_lock.name, "", what, remedy)


class Clock:
    """Looks through the commits.

    now: by the clock of the database, Unix nanoseconds. oldest, newest: of their
    revisions, once that is done.
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self.oldest: int | None = None
        self.newest: int | None = None

    def faults(self, session: Session) -> Iterator[Fault]:
        """Check them."""
        nonces: dict[bytes, int] = {}
        at_before = 0
        for values in session.stream(_COMMITS):
            row = dict(zip(commits.c.keys(), values, strict=True))
            revision, nonce, at = values
            for what in broken(partial(self._faults, at_before), row):
                yield _fault(revision, what)
            if (other := nonces.setdefault(nonce, revision)) != revision:
                yield _fault(revision, f"has the nonce of commit {other}")
            self.oldest = revision if self.oldest is None else self.oldest
            self.newest, at_before = revision, at
        if self.newest is None:
            yield _fault(None, "there are none, so that no relay can read the store")

    def _faults(self, at_before: int, row: Row) -> Iterator[str]:
        revision, nonce, at = row["revision"], row["nonce"], row["at"]
        if self.newest is not None and revision != self.newest + 1:
            yield f"comes right after commit {self.newest}: those between are missing"
        if len(nonce) != 16:
            yield f"has a nonce of {len(nonce)} bytes instead of 16"
        yield from self.future(at)
        if at < at_before - TOLERANCE:
            yield f"was made {_seconds(at_before - at)} before the commit before it"

    def future(self, at: int) -> Iterator[str]:
        """Say so if it is not yet that time."""
        if at > self._now + TOLERANCE:
            yield f"was made {_seconds(at - self._now)} in the future"


def _fault(revision: int | None, what: str) -> Fault:
    return Fault(
        "commits", "" if revision is None else str(revision), what, CLOCK_REMEDY
    )


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9} s"
