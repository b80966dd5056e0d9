"""What outlives the groups of a job as rows of the database, in both directions."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import bindparam, select

from pushrelay.changes import JobRecord
from pushrelay.store.engine import sql, upsert
from pushrelay.store.schema import jobs
from pushrelay.store.session import Session

_COLUMNS = (jobs.c.name, jobs.c.revision, jobs.c.pushed_at)
_ALL = sql(select(*_COLUMNS))
_CHANGED = sql(select(*_COLUMNS).where(jobs.c.revision > bindparam("revision")))
_UPSERT = sql(upsert(jobs))


def write_jobs(session: Session, records: list[JobRecord]) -> None:
    """Store `records`; a later one of a job replaces an earlier one."""
    if records:
        rows = {record.job: _row(record) for record in records}
        session.run_many(_UPSERT, rows.values())


def read_jobs(session: Session, since: int | None) -> list[JobRecord]:
    """Return all records, or those that were written after the revision `since`."""
    if since is None:
        rows = session.all(_ALL)
    else:
        rows = session.all(_CHANGED, {"revision": since})
    return [JobRecord(name.decode(), revision, at) for name, revision, at in rows]


def _row(record: JobRecord) -> dict[str, Any]:
    # Names may be long and hold NUL: they are bytes, and no index key.
    name = record.job.encode()
    return {
        "id": hashlib.sha256(name).digest(),
        "revision": record.revision,
        "name": name,
        "pushed_at": record.pushed_at,
    }
