"""All that views follow, written to the database and read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pushrelay.changes import Changes, GroupChange, Position
from pushrelay.store.engine import DatabaseErrors, UnreadableRow
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

T = TypeVar("T")

_GROUPS = RevisedRows(groups, groups.c, groups.c.families)
_COLUMNS = groups.c.keys()

Rows = Iterable[tuple[Any, ...]]
"""Those of a query, which may still have to be run."""

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
    return _changes(since, position, [each.read(session, revision) for each in REVISED])


def ask_for_some(session: Session, since: Position, most: int) -> list[Rows]:
    """Ask for what was written after `since`, up to `most` rows of each kind."""
    return [each.read_some(session, since.revision, most) for each in REVISED]


def some_changes(
    since: Position, position: Position, asked: list[Rows], most: int
) -> Changes | None:
    """Return what `ask_for_some` asked for, None if `most` was too little."""
    found = [list(rows) for rows in asked]
    if any(len(rows) == most for rows in found):
        return None
    return _changes(since, position, found)


def _changes(
    since: Position | None, position: Position, found: Sequence[Rows]
) -> Changes:
    groups, jobs, evidence, expectations = found
    return Changes(
        since,
        position,
        _all(_group, groups, "groups"),
        _all(job_of, jobs, "jobs"),
        _all(evidence_of, evidence, "run_evidence"),
        _all(expectation_of, expectations, "expectations"),
    )


def _all(make: Callable[[Any], T], rows: Iterable[Any], table: str) -> list[T]:
    """Return what `make` makes of the `rows` of `table`. Raises UnreadableRow."""
    try:
        return list(map(make, rows))
    except DatabaseErrors:
        raise
    except Exception as error:
        # Whatever comes of garbage: of JSON, of compressed text, of lengths.
        raise UnreadableRow(
            f"a row of table {table} cannot be read ({type(error).__name__}: {error}); "
            "restore a backup with `pushrelay restore`; `pushrelay db check` tells more"
        ) from error


def _group(row: tuple[Any, ...]) -> GroupChange:
    return from_row(dict(zip(_COLUMNS, row, strict=True)))
