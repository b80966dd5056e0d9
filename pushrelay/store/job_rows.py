"""What outlives the groups of a job as rows of the database, in both directions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from pushrelay.changes import JobRecord
from pushrelay.store.revised_rows import RevisedRows
from pushrelay.store.schema import jobs
from pushrelay.store.session import Session

JOBS = RevisedRows(
    jobs, (jobs.c.name, jobs.c.revision, jobs.c.pushed_at), jobs.c.pushed_at
)


def write_jobs(session: Session, records: Iterable[JobRecord]) -> None:
    """Store `records`; a later one of a job replaces an earlier one."""
    JOBS.write(session, map(_row, records))


def job_of(row: tuple[Any, ...]) -> JobRecord:
    """Return what a row that was read of `JOBS` stores."""
    name, revision, pushed_at = row
    return JobRecord(name.decode(), revision, pushed_at)


def job_id(job: str) -> bytes:
    """Return the 32 bytes that stand for `job`: names may be long and hold NUL, so that
    they are no index key."""
    return hashlib.sha256(job.encode()).digest()


def _row(record: JobRecord) -> dict[str, Any]:
    return {
        "id": job_id(record.job),
        "revision": record.revision,
        "name": record.job.encode(),
        "pushed_at": record.pushed_at,
    }
