"""All that views follow, written to the database and read from it."""

from __future__ import annotations

from typing import Any

from pushrelay.changes import Changes, GroupChange, Position
from pushrelay.store.evidence_rows import EVIDENCE, evidence_of, write_evidence
from pushrelay.store.expectation_rows import (
    EXPECTATIONS,
    expectation_of,
    write_expectations,
)
from pushrelay.store.group_rows import from_row, to_row
from pushrelay.store.job_rows import JOBS, job_of, write_jobs
from pushrelay.store.revised_rows import RevisedRows
from pushrelay.store.schema import groups
from pushrelay.store.session import Session

_GROUPS = RevisedRows(groups, groups.c, groups.c.families)
_COLUMNS = groups.c.keys()

REVISED = (_GROUPS, JOBS, EVIDENCE, EXPECTATIONS)


def write_changes(session: Session, changes: Changes) -> None:
    """Store `changes`, whose rows bear their revision already."""
    _GROUPS.write(session, map(to_row, changes.groups))
    write_jobs(session, changes.jobs)
    write_evidence(session, changes.runs)
    write_expectations(session, changes.expectations)


def read_since(session: Session, since: Position | None, position: Position) -> Changes:
    """Return what was written after `since`, or all; up to `position`, the newest."""
    revision = None if since is None else since.revision
    # All are asked for before any is read: together, where the database is far away.
    groups, jobs, evidence, expectations = [
        rows.read(session, revision) for rows in REVISED
    ]
    return Changes(
        since,
        position,
        list(map(_group, groups)),
        list(map(job_of, jobs)),
        list(map(evidence_of, evidence)),
        list(map(expectation_of, expectations)),
    )


def _group(row: tuple[Any, ...]) -> GroupChange:
    return from_row(dict(zip(_COLUMNS, row, strict=True)))
