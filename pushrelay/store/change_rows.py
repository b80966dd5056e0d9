"""All that views follow, written to the database and read from it."""

from __future__ import annotations

from pushrelay.changes import Changes, GroupChange, Position
from pushrelay.store.evidence_rows import EVIDENCE, read_evidence, write_evidence
from pushrelay.store.expectation_rows import (
    EXPECTATIONS,
    read_expectations,
    write_expectations,
)
from pushrelay.store.group_rows import from_row, to_row
from pushrelay.store.job_rows import JOBS, read_jobs, write_jobs
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
    return Changes(
        since,
        position,
        _read_groups(session, revision),
        read_jobs(session, revision),
        read_evidence(session, revision),
        read_expectations(session, revision),
    )


def _read_groups(session: Session, since: int | None) -> list[GroupChange]:
    rows = _GROUPS.read(session, since)
    return [from_row(dict(zip(_COLUMNS, row, strict=True))) for row in rows]
