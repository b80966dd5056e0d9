"""Forgets deletions and commits that no view needs any more."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select

from pushrelay.store.change_rows import REVISED
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

KEPT_COMMITS = 100_000
KEPT_SECONDS = 3600
PRUNE_EVERY = 64
"""A prune every so many commits removes at most twice as many, so none takes long."""

_OLDEST = sql(
    select(func.min(commits.c.revision)).where(commits.c.revision >= bindparam("known"))
)
_PRUNABLE = sql(
    select(func.max(commits.c.revision)).where(
        (commits.c.at < bindparam("too_old"))
        | (commits.c.revision <= bindparam("too_many")),
        # Without limits, all the commits of an hour are looked at.
        commits.c.revision.between(bindparam("oldest"), bindparam("limit")),
    )
)
_PRUNE_COMMITS = sql(
    delete(commits).where(
        commits.c.revision.between(bindparam("oldest"), bindparam("through"))
    )
)


class Pruner:
    """Forgets deletions and commits, for a writer, as long as it has the same history
    of the store before it."""

    def __init__(self) -> None:
        # No commit before it is left. Where somebody keeps a snapshot open, a server
        # passes over those that are no more one by one, if it is to look for the first.
        self._oldest = 0

    def prune(self, session: Session, newest: int, now: int) -> None:
        """Forget deletions and commits of an hour or 100,000 commits ago, now and then.

        newest: the revision that is being committed. now: Unix nanoseconds.

        A view that is older than what was forgotten does not find its commit any more
        and reloads whole.
        """
        if newest % PRUNE_EVERY:
            return
        [[oldest]] = session.all(_OLDEST, {"known": self._oldest})
        # None: it is another history by now.
        self._oldest = oldest or 0
        if oldest is None:
            return
        limits = {
            "too_old": now - KEPT_SECONDS * 10**9,
            "too_many": newest - KEPT_COMMITS,
            "oldest": oldest,
            "limit": min(oldest + 2 * PRUNE_EVERY, newest - 1),
        }
        [[through]] = session.all(_PRUNABLE, limits)
        if through is None:
            return
        # What was emptied before the oldest commit went with its commit.
        for rows in REVISED:
            rows.prune(session, oldest, through)
        session.run(_PRUNE_COMMITS, {"oldest": oldest, "through": through})
