"""Looks for what is wrong in a database, and changes nothing.

What is there for a while until someone removes it is no fault: deletions that views may
still ask for, old receipts and runs, and what is forgotten.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Table, inspect, select, text

from pushrelay.store import row_checks
from pushrelay.store.change_rows import REVISED
from pushrelay.store.clock_checks import Clock, lock_faults
from pushrelay.store.engine import Database, DatabaseErrors, one_line
from pushrelay.store.fault import CLOCK_REMEDY, FILE_REMEDY, ROW_REMEDY, Fault
from pushrelay.store.migrate import require_schema
from pushrelay.store.reader import learn_time
from pushrelay.store.row_checks import Row, broken
from pushrelay.store.run_ends import RunEnds
from pushrelay.store.schema import (
    expectations,
    groups,
    jobs,
    metadata,
    receipts,
    run_evidence,
    runs,
    tokens,
)
from pushrelay.store.session import Session
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.statements import sql


@dataclass(frozen=True, slots=True)
class _Kind:
    """How rows of a table are called, and looked into."""

    name: Callable[[Row], str]
    check: row_checks.Check


_KINDS = {
    groups: _Kind(row_checks.key_of, row_checks.group_faults),
    jobs: _Kind(row_checks.job_of, row_checks.job_faults),
    expectations: _Kind(row_checks.job_of, row_checks.expectation_faults),
    receipts: _Kind(row_checks.id_of, row_checks.receipt_faults),
    run_evidence: _Kind(row_checks.key_of, row_checks.evidence_faults),
    # After the evidence, which runs are compared with.
    runs: _Kind(row_checks.run_of, row_checks.run_faults),
    tokens: _Kind(row_checks.token_named, row_checks.token_faults),
}
_CONTENT = {rows.table: rows.content.name for rows in REVISED}


class Check:
    """One look at `database`, of which relays may write another state meanwhile.

    now: as `Database.now`. rows: how many were looked at, by table. revision: of what
    was looked at, if there is one.
    """

    def __init__(
        self, database: Database, now: Callable[[], int] | None = None
    ) -> None:
        self.rows: Counter[str] = Counter()
        self.revision: int | None = None
        self._database = database
        self._now = now or database.now

    def faults(self) -> Iterator[Fault]:
        """Look, and tell what is wrong as it is found. Raises StartupError where the
        schema is not the one of this version."""
        require_schema(self._database)
        try:
            missing = list(self._missing())
            yield from missing
            if not missing:
                with self._database.reading() as session, session.transaction():
                    yield from self._faults(session)
        except DatabaseErrors as error:
            reason = f"cannot be read any further: {one_line(error)}"
            yield Fault(
                "database", "", reason, f"try again; if it stays so, {FILE_REMEDY}"
            )

    def _missing(self) -> Iterator[Fault]:
        with self._database.snapshot() as connection:
            inspector = inspect(connection)
            for table in metadata.sorted_tables:
                if not inspector.has_table(table.name):
                    yield _missing(table, "is not there")
                    continue
                if not inspector.get_pk_constraint(table.name)["constrained_columns"]:
                    yield _missing(table, "lacks its primary key")
                columns = inspector.get_columns(table.name)
                indexes = inspector.get_indexes(table.name)
                have = {each["name"] for each in (*columns, *indexes)}
                for wanted in (*table.columns, *table.indexes):
                    if wanted.name not in have:
                        yield _missing(table, f"lacks {wanted.name}")

    def _faults(self, session: Session) -> Iterator[Fault]:
        if isinstance(self._database, SqliteDatabase):
            yield from _file_faults(session)
        yield from lock_faults(session)
        learn_time(session)
        rows = _Rows(self._now())
        yield from rows.clock.faults(session)
        self.revision = rows.clock.newest
        for table, kind in _KINDS.items():
            for values in session.stream(sql(select(table))):
                self.rows[table.name] += 1
                row = dict(zip(table.c.keys(), values, strict=True))
                yield from rows.faults(table, kind, row)
        for key, what in rows.ends.missing():
            yield Fault(run_evidence.name, key, what, _RUN_REMEDY)


class _Rows:
    """Looks into rows, with what is known of others; now: Unix nanoseconds."""

    def __init__(self, now: int) -> None:
        self.clock = Clock(now)
        self.ends = RunEnds(now)
        self._ids: dict[Table, set[bytes]] = defaultdict(set)

    def faults(self, table: Table, kind: _Kind, row: Row) -> Iterator[Fault]:
        """Check a row of `table`."""
        found = list(broken(kind.check, row))
        for what in found:
            yield Fault(table.name, kind.name(row), what, ROW_REMEDY)
        for what in broken(lambda row: self._clock_faults(table, row), row):
            yield Fault(table.name, kind.name(row), what, CLOCK_REMEDY)
        # Of the others, it is the key, and there may be very many.
        if table in _CONTENT:
            if row["id"] in self._ids[table]:
                yield Fault(table.name, kind.name(row), "is there again", _ID_REMEDY)
            self._ids[table].add(row["id"])
        if table is run_evidence and not found:
            self.ends.expect(row)
        elif table is runs:
            for what in self.ends.compare(row):
                yield Fault(table.name, kind.name(row), what, _RUN_REMEDY)

    def _clock_faults(self, table: Table, row: Row) -> Iterator[str]:
        oldest, newest = self.clock.oldest, self.clock.newest
        if table is receipts:
            yield from self.clock.future(row["at"])
        if table not in _CONTENT or oldest is None or newest is None:
            return
        revision, content = row["revision"], row[_CONTENT[table]]
        if not 0 <= revision <= newest:
            yield f"was written by commit {revision}, and the newest is {newest}"
        elif content is None and revision < oldest:
            yield (
                f"was deleted by commit {revision}, which went without it: the oldest "
                f"is {oldest}"
            )


_ID_REMEDY = (
    "delete all but its row of the highest revision, and start the relays again"
)
_RUN_REMEDY = "report the end of the run, or retire its job"
_INTEGRITY = sql(text("PRAGMA integrity_check"))


def _file_faults(session: Session) -> Iterator[Fault]:
    for (line,) in list(session.all(_INTEGRITY)):
        if line != "ok":
            yield Fault("database", "", f"is damaged: {line}", FILE_REMEDY)


def _missing(table: Table, what: str) -> Fault:
    remedy = "back it up if that is still possible, and restore into an empty database"
    return Fault(table.name, "", what, remedy)
