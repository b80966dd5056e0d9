"""Reads runs for charts: a few columns of many rows, and never a document.

Runs that ended are read by their key, whether or not their documents were let go. Those
that have no end, or were skipped, have no index by key: they are looked for among the
last runs of their job that have their documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import bindparam, literal_column, or_, select

from pushrelay.grouping_key import GroupingKey
from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome
from pushrelay.store.engine import Database, DatabaseErrors, unavailable
from pushrelay.store.job_rows import job_id
from pushrelay.store.schema import LISTED, RAN, runs
from pushrelay.store.session import Session
from pushrelay.store.statements import Statement, sql

Marks = dict[bytes, RunMark]
"""Marks by the ids of their runs."""

LOOKED_THROUGH = 1000
"""So many of the last runs of a job, or twice those that are asked for, are looked
through for those without an end and those that were skipped: 2 ms."""

_COLUMNS = (
    runs.c.id,
    runs.c.key,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.outcome,
    LISTED.label("is_listed"),
)


def _last(*some: Any) -> Any:
    """Return the query for the last runs to start that are `some`."""
    return (
        select(*_COLUMNS)
        .where(*some)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(bindparam("most"))
        # Else the dialect writes a parameter of its own.
        .offset(literal_column("0"))
    )


_RAN_OF_KEY = sql(_last(RAN, runs.c.key == bindparam("key")))
_LOOKED_AT = _last(
    LISTED, runs.c.job == bindparam("job"), runs.c.started_at >= bindparam("since")
).subquery("looked_at")
_OTHERS_OF_JOB = sql(
    select(_LOOKED_AT).where(
        or_(
            _LOOKED_AT.c.finished_at.is_(None),
            _LOOKED_AT.c.outcome == literal_column("'skipped'"),
        )
    )
)
_FIND = sql(select(*_COLUMNS).where(runs.c.id == bindparam("id")))


def last_marks(
    database: Database, keys: Iterable[GroupingKey], most: int
) -> dict[bytes, list[RunMark]]:
    """Return the last `most` runs to start of each of `keys`, by its id, oldest first.
    Raises StoreUnavailable."""
    asked = {key.id: key for key in keys}
    found: dict[bytes, Marks] = {id_: {} for id_ in asked}
    with _reading(database) as session:
        for id_, marks in zip(asked, _ran(session, asked, most), strict=True):
            found[id_] |= marks
        firsts: defaultdict[str, list[int]] = defaultdict(list)
        for id_, key in asked.items():
            firsts[key.job].append(_first(_latest(found[id_], most), most))
        since = {job: (min(each), most * len(each)) for job, each in firsts.items()}
        for mark in _others(session, since):
            if mark.key in found:
                found[mark.key][mark.id] = mark
    return {id_: _latest(marks, most) for id_, marks in found.items()}


def find_marks(database: Database, ids: Iterable[bytes]) -> Marks:
    """Return the runs with these ids that are known. Raises StoreUnavailable."""
    with _reading(database) as session:
        asked = [session.all(_FIND, {"id": id_}) for id_ in ids]
        return {id_: mark for rows in asked for id_, mark in _marks(rows).items()}


@contextmanager
def _reading(database: Database) -> Iterator[Session]:
    """Lend a session in a transaction, so that a run that ends meanwhile is not missed:
    it has no end, or has one."""
    try:
        with database.reading() as session, session.transaction():
            yield session
    except DatabaseErrors as error:
        raise unavailable(database, error) from error


def _ran(session: Session, keys: Iterable[bytes], most: int) -> Iterator[Marks]:
    """Give, for each of `keys`, its last runs that ended and were not skipped."""
    values = [{"key": key, "most": most} for key in keys]
    return _all_of(session, _RAN_OF_KEY, values)


def _others(session: Session, wanted: dict[str, tuple[int, int]]) -> Iterator[RunMark]:
    """Give the runs that have no end, or were skipped, of jobs, each since a moment and
    so many at most."""
    values = [
        {"job": job_id(job), "since": since, "most": max(LOOKED_THROUGH, 2 * most)}
        for job, (since, most) in wanted.items()
    ]
    for marks in _all_of(session, _OTHERS_OF_JOB, values):
        yield from marks.values()


def _all_of(
    session: Session, statement: Statement, asked: list[dict[str, Any]]
) -> Iterator[Marks]:
    # All are asked before any is read: a server answers them in one round trip.
    for rows in [session.all(statement, values) for values in asked]:
        yield _marks(rows)


def _marks(rows: Iterator[tuple[Any, ...]]) -> Marks:
    return {
        id_: RunMark(
            id_,
            key,
            started_at,
            finished_at,
            None if outcome is None else Outcome(outcome),
            bool(is_listed),
        )
        for id_, key, started_at, finished_at, outcome, is_listed in rows
    }


def _place(mark: RunMark) -> tuple[int, bytes]:
    return mark.started_at, mark.id


def _latest(marks: Marks, most: int) -> list[RunMark]:
    """Return the last `most` to start, oldest first."""
    return sorted(marks.values(), key=_place)[max(0, len(marks) - most) :]


def _first(latest: list[RunMark], most: int) -> int:
    """Return from when on others belong to the last `most`, beside the `latest`."""
    return latest[0].started_at if latest and len(latest) >= most else 0
