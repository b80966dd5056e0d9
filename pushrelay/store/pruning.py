"""Forgets deletions and commits that no view needs any more."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.engine import Connection

from pushrelay.store.schema import commits, groups

KEPT_COMMITS = 100_000
KEPT_SECONDS = 3600
PRUNE_EVERY = 64
"""A prune every so many commits removes at most twice as many, so none takes long."""

_PRUNABLE = select(func.max(commits.c.revision)).where(
    (commits.c.at < bindparam("too_old"))
    | (commits.c.revision <= bindparam("too_many")),
    commits.c.revision < bindparam("newest"),
)
_OLDEST = select(func.min(commits.c.revision))
_PRUNE_COMMITS = delete(commits).where(commits.c.revision <= bindparam("through"))
_PRUNE_GROUPS = delete(groups).where(
    groups.c.revision.between(bindparam("oldest"), bindparam("through")),
    groups.c.families.is_(None),
)


def prune(connection: Connection, newest: int, now: int) -> None:
    """Forget deletions and commits of an hour or 100,000 commits ago, now and then.

    newest: the revision that is being committed. now: Unix nanoseconds.

    A view that is older than what was forgotten does not find its commit any more and
    reloads whole.
    """
    if newest % PRUNE_EVERY:
        return
    too_old = now - KEPT_SECONDS * 10**9
    limits = {"too_old": too_old, "too_many": newest - KEPT_COMMITS, "newest": newest}
    through = connection.execute(_PRUNABLE, limits).scalar()
    if through is None:
        return
    oldest = connection.execute(_OLDEST).scalar_one()
    bounded = min(through, oldest + 2 * PRUNE_EVERY)
    # What was emptied before the oldest commit went with its commit.
    connection.execute(_PRUNE_GROUPS, {"oldest": oldest, "through": bounded})
    connection.execute(_PRUNE_COMMITS, {"through": bounded})
