"""Lists runs for people, the newest first, and finds one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, literal_column, select, tuple_

from pushrelay.runs import Outcome, Run
from pushrelay.store.engine import Database, DatabaseErrors, unavailable
from pushrelay.store.job_rows import job_id
from pushrelay.store.run_documents import unpack_run
from pushrelay.store.schema import LISTED, PLACE, UNFINISHED, runs
from pushrelay.store.statements import Statement, sql

RUNNING = "running"
ABANDONED = "abandoned"
"""The states of a run whose end is not known, which the rows do not tell apart; others
have their outcome's value."""

STATES = (RUNNING, ABANDONED, *(outcome.value for outcome in Outcome))


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are listed; None: whichever.

    state: one of STATES. since, until: they started at `since` or later, and before
    `until`; Unix nanoseconds. after: the start and the id of the last run of the page
    before. limit: how many at most. ids: the first and the last id that they may have.
    """

    job: str | None = None
    state: str | None = None
    since: int | None = None
    until: int | None = None
    after: tuple[int, bytes] | None = None
    limit: int = 100
    ids: tuple[bytes, bytes] | None = None

    def is_place(self, place: tuple[int, bytes]) -> bool:
        """Whether a run that has this start and id is listed if nothing else stands in
        its way."""
        return (
            (self.since is None or place[0] >= self.since)
            and (self.until is None or place[0] < self.until)
            and (self.after is None or place < self.after)
            and (self.ids is None or self.ids[0] <= place[1] <= self.ids[1])
        )


def list_runs(database: Database, wanted: RunFilter) -> list[Run]:
    """Return the runs that are wanted and have their documents, by start and id, the
    last one first: without an end if either state of such runs is wanted. Raises
    StoreUnavailable."""
    values = _values(wanted)
    return _read(database, _listing(frozenset(values)), values)


def find_run(database: Database, id_: bytes) -> Run | None:
    """Return the run with this id, if it is known and has its document. Raises
    StoreUnavailable."""
    found = _read(database, _FIND, {"id": id_})
    return found[0] if found else None


def find_runs(database: Database, ids: Iterable[bytes]) -> dict[bytes, Run]:
    """Return those of the runs with these ids that `find_run` would return, by id.
    Raises StoreUnavailable."""
    try:
        with database.reading() as session:
            rows = {id_: session.first(_FIND, {"id": id_}) for id_ in ids}
    except DatabaseErrors as error:
        raise unavailable(database, error) from error
    return {id_: unpack_run(row[0]) for id_, row in rows.items() if row is not None}


def _read(
    database: Database, statement: Statement, values: dict[str, Any]
) -> list[Run]:
    try:
        with database.reading() as session:
            documents = [document for (document,) in session.all(statement, values)]
    except DatabaseErrors as error:
        raise unavailable(database, error) from error
    return [unpack_run(document) for document in documents]


def _values(wanted: RunFilter) -> dict[str, Any]:
    """Return what a listing is run with; the names say which conditions it has."""
    values: dict[str, Any] = {"limit": wanted.limit}
    if wanted.job is not None:
        values["job"] = job_id(wanted.job)
    if wanted.state in (RUNNING, ABANDONED):
        values["unfinished"] = None
    elif wanted.state is not None:
        name = "state" if wanted.job is None else "state_in_job"
        values[name] = wanted.state
    if wanted.since is not None:
        values["since"] = wanted.since
    if wanted.until is not None:
        values["until"] = wanted.until
    if wanted.after is not None:
        values["after_start"], values["after_id"] = wanted.after
    if wanted.ids is not None:
        values["first_id"], values["last_id"] = wanted.ids
    return values


_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "job": runs.c.job == bindparam("job"),
    "unfinished": UNFINISHED,
    "state": runs.c.outcome == bindparam("state"),
    # Not by the index of outcomes: other jobs may have many such runs.
    "state_in_job": literal_column("outcome || ''") == bindparam("state_in_job"),
    "since": runs.c.started_at >= bindparam("since"),
    "until": runs.c.started_at < bindparam("until"),
    "after_id": tuple_(bindparam("after_start"), bindparam("after_id")) > PLACE,
    "last_id": runs.c.id.between(bindparam("first_id"), bindparam("last_id")),
}


@cache
def _listing(names: frozenset[str]) -> Statement:
    conditions = [each for name, each in _CONDITIONS.items() if name in names]
    return sql(
        select(runs.c.document)
        .where(LISTED, *conditions)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(bindparam("limit"))
        # Else the dialect writes a parameter of its own.
        .offset(literal_column("0"))
    )


_FIND = sql(select(runs.c.document).where(LISTED, runs.c.id == bindparam("id")))
