"""The rows of runs, as the reports of runs are decided by them.

A run is known by its id for as long as a report of it may come again, also when its
document was let go. All is looked up by an index, and where runs are reported in their
order, few rows are looked at.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, func, literal_column, select, tuple_

from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import Neighbour
from pushrelay.runs import End, Outcome, Run
from pushrelay.store.job_rows import job_id
from pushrelay.store.run_documents import pack_run, unpack_run
from pushrelay.store.schema import LET_GO, LISTED, PLACE, RAN, run_evidence, runs
from pushrelay.store.session import Session
from pushrelay.store.statements import Statement, sql, upsert

_FOR_EVER = 2**63 - 1

_GET = sql(
    select(
        runs.c.document,
        runs.c.key,
        runs.c.started_at,
        runs.c.min_interval,
        runs.c.finished_at,
        runs.c.outcome,
    ).where(runs.c.id == bindparam("id"))
)
_KEY_OF = sql(
    select(run_evidence.c.grouping_key).where(run_evidence.c.id == bindparam("id"))
)
_UPSERT = upsert(runs)
# Each by an index of its own.
_OF_JOB = runs.c.job == bindparam("job")
_END_LISTED = sql(delete(runs).where(LISTED, _OF_JOB))
_END_LET_GO = sql(delete(runs).where(LET_GO, _OF_JOB))
_END_ALL = sql(delete(runs))

_OF_KEY = (RAN, runs.c.key == bindparam("key"))
_OVERLAPPING = sql(
    select(func.count()).where(
        *_OF_KEY,
        runs.c.id != bindparam("id"),
        runs.c.finished_at > bindparam("started_at"),
        # Not by the index of starts: most runs started before this one finished.
        literal_column("started_at + 0") < bindparam("finished_at"),
    )
)
_THIS_PLACE = tuple_(bindparam("started_at"), bindparam("id"))
_NEIGHBOUR = (
    select(runs.c.started_at, runs.c.min_interval)
    .where(*_OF_KEY)
    .limit(literal_column("1"))
    # Else the dialect writes a parameter of its own.
    .offset(literal_column("0"))
)
_BEFORE = sql(
    _NEIGHBOUR.where(PLACE < _THIS_PLACE).order_by(
        runs.c.started_at.desc(), runs.c.id.desc()
    )
)
_AFTER = sql(
    _NEIGHBOUR.where(PLACE > _THIS_PLACE).order_by(runs.c.started_at, runs.c.id)
)
_FAILURES_AFTER = sql(
    select(func.count(), func.min(runs.c.finished_at)).where(
        *_OF_KEY,
        runs.c.finished_at > bindparam("finished_at"),
        runs.c.outcome != literal_column("'success'"),
    )
)


def told_of(run: Run) -> dict[str, Any]:
    """Return what the columns of `run` say that its document says, too."""
    end = run.end
    return {
        "job": job_id(run.key.job),
        "key": run.key.id,
        "started_at": run.started_at,
        "reported_at": run.reported_at,
        "finished_at": None if end is None else end.finished_at,
        "outcome": None if end is None else end.outcome.value,
        "min_interval": run.min_interval,
    }


class RunRows:
    """The rows of runs, read and written in the transaction of `session`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, id_: bytes) -> Run | None:
        """Return the run with this id, if it is known.

        If its document was let go, of its end only time and outcome are known, and the
        labels of its key only if there is evidence of its runs.
        """
        row = self._session.first(_GET, {"id": id_})
        if row is None:
            return None
        document, key_id, started_at, min_interval, finished_at, outcome = row
        if document is not None:
            return unpack_run(document)
        found = self._session.first(_KEY_OF, {"id": key_id})
        return Run(
            id_,
            GroupingKey((found and found[0]) or b"", key_id),
            started_at,
            min_interval=min_interval,
            end=None if outcome is None else End(finished_at, Outcome(outcome)),
        )

    def put(self, run: Run) -> None:
        """Store `run`, with a document, in place of what was known of it."""
        row = {"id": run.id, **told_of(run), "document": pack_run(run)}
        self._session.run(_UPSERT, row)

    def of(self, key: GroupingKey) -> KeyHistory:
        """Return the finished runs of `key`, as far as they are known."""
        return KeyHistory(self._session, key)

    def end_job(self, job: str) -> None:
        """Remove all runs of `job`."""
        for statement in (_END_LISTED, _END_LET_GO):
            self._session.run(statement, {"job": job_id(job)})

    def end_all(self) -> None:
        """Remove all runs."""
        self._session.run(_END_ALL, {})


class KeyHistory:
    """A `History` of the runs of one key, which asks the database each time."""

    def __init__(self, session: Session, key: GroupingKey) -> None:
        self._session = session
        self._key = {"key": key.id}

    def overlapping(self, run: Run) -> int:
        end = run.end
        finished_at = _FOR_EVER if end is None else end.finished_at
        values = {**self._place_of(run), "finished_at": finished_at}
        [[number]] = self._session.all(_OVERLAPPING, values)
        return int(number)

    def neighbours(self, run: Run) -> tuple[Neighbour | None, Neighbour | None]:
        place = self._place_of(run)
        return self._first(_BEFORE, place), self._first(_AFTER, place)

    def failures_after(self, finished_at: int) -> tuple[int, int | None]:
        values = {**self._key, "finished_at": finished_at}
        [[number, first]] = self._session.all(_FAILURES_AFTER, values)
        return number, first

    def _first(self, statement: Statement, place: dict[str, Any]) -> Neighbour | None:
        found = self._session.first(statement, place)
        return None if found is None else Neighbour(*found)

    def _place_of(self, run: Run) -> dict[str, Any]:
        return {**self._key, "started_at": run.started_at, "id": run.id}
