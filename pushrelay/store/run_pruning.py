"""Lets the documents of old runs go, and forgets runs that nothing is reported of.

What is to be done is looked for without the write lock. It is done by the ids of the
runs, some at a time, and pushes have their turn in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    literal_column,
    null,
    select,
    update,
)

from pushrelay.grouping_key import GroupingKey
from pushrelay.runs import REMEMBERED
from pushrelay.store.engine import Database, DatabaseErrors, unavailable
from pushrelay.store.job_rows import job_id
from pushrelay.store.schema import LET_GO, LISTED, run_evidence, runs
from pushrelay.store.statements import Statement, sql

AT_ONCE = 250
"""Runs in a transaction: 3 ms of small ones, 10 to 30 ms of those with 20 kB each."""

KNOWN = REMEMBERED + 24 * 3600 * 10**9
"""So long after what it reports is a run known: a day longer than reports of it are
taken, for clocks differ."""

_OLD = runs.c.reported_at < bindparam("before")
_THIS = runs.c.id == bindparam("id")


def _find_old(some: ColumnElement[bool]) -> Statement:
    return sql(
        select(runs.c.id)
        .where(some, _OLD)
        .order_by(runs.c.reported_at)
        .limit(bindparam("most"))
        # Else the dialect writes a parameter of its own.
        .offset(literal_column("0"))
    )


_OLD_DOCUMENTS = _find_old(LISTED)
_OLD_ROWS = _find_old(LET_GO)
_JOBS_SINCE = sql(
    select(run_evidence.c.grouping_key).where(
        run_evidence.c.revision > bindparam("since"),
        run_evidence.c.grouping_key.is_not(None),
    )
)
_SURPLUS = sql(
    select(runs.c.id)
    .where(LISTED, runs.c.job == bindparam("job"))
    .order_by(runs.c.started_at.desc(), runs.c.id.desc())
    # Without a limit, the dialect writes a parameter of its own.
    .limit(literal_column(str(2**63 - 1)))
    .offset(bindparam("keep"))
)
_LET_GO = sql(update(runs).where(_THIS).values(document=null()))
# They may have been reported again meanwhile.
_LET_OLD_GO = sql(update(runs).where(_THIS, _OLD).values(document=null()))
_REMOVE_OLD = sql(delete(runs).where(_THIS, _OLD))


def prune_runs(
    database: Database, keep: int, max_age: int, now: int, since: int = 0
) -> int:
    """Do all of `prune_in_portions`; return how many runs it was."""
    return sum(prune_in_portions(database, keep, max_age, now, since))


def prune_in_portions(
    database: Database, keep: int, max_age: int, now: int, since: int
) -> Iterator[int]:
    """Let documents go that are older than `max_age` or beyond the newest `keep` of
    their job, and remove runs without a document that are no longer `KNOWN`.

    max_age: nanoseconds since what was reported last. now: Unix nanoseconds. since: a
    revision; jobs without reports after it are known to have no more than `keep`
    documents. Gives the number of runs of each portion when it is done. Raises
    StoreUnavailable.
    """
    try:
        yield from _prune_beyond(database, keep, since)
        yield from _prune_documents(database, now, max_age)
        yield from _prune_old(database, _OLD_ROWS, _REMOVE_OLD, now - KNOWN)
    except (*DatabaseErrors, OSError) as error:
        raise unavailable(database, error) from error


def _prune_beyond(database: Database, keep: int, since: int) -> Iterator[int]:
    surplus = _surplus(database, keep, since)
    while portion := [{"id": id_} for id_ in islice(surplus, AT_ONCE)]:
        yield _write(database, _LET_GO, portion)


def _prune_documents(database: Database, now: int, max_age: int) -> Iterator[int]:
    change = _LET_OLD_GO if max_age < KNOWN else _REMOVE_OLD
    return _prune_old(database, _OLD_DOCUMENTS, change, now - max_age)


def _prune_old(
    database: Database, find: Statement, change: Statement, before: int
) -> Iterator[int]:
    values = {"before": before, "most": AT_ONCE}
    while ids := _read(database, find, values):
        yield _write(database, change, [{"id": id_, "before": before} for id_ in ids])


def _surplus(database: Database, keep: int, since: int) -> Iterator[bytes]:
    """Give the runs beyond the newest `keep` of each job reported of after `since`."""
    keys = _read(database, _JOBS_SINCE, {"since": since})
    for job in {GroupingKey.from_canonical(key).job for key in keys}:
        yield from _read(database, _SURPLUS, {"job": job_id(job), "keep": keep})


def _read(database: Database, query: Statement, values: dict[str, Any]) -> list[bytes]:
    with database.reading() as session:
        return [value for (value,) in session.all(query, values)]


def _write(database: Database, change: Statement, rows: list[dict[str, Any]]) -> int:
    with closing(database.open_writer()) as session, session.transaction():
        session.run_many(change, rows)
    return len(rows)
