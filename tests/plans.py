"""How databases look up what is asked of them."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import text

from pushrelay.store.session import Session
from pushrelay.store.sqlite_session import SqliteSession
from pushrelay.store.statements import Statement, sql

_EVERYTHING_BUT_INDEXES = sql(
    text(
        "SELECT set_config('enable_seqscan', 'off', false), "
        "set_config('enable_sort', 'off', false), "
        "set_config('enable_bitmapscan', 'off', false)"
    )
)


class _Explained(Statement):
    def __init__(self, statement: Statement) -> None:
        self.sqlite = f"EXPLAIN QUERY PLAN {statement.sqlite}"
        self.postgresql = f"EXPLAIN {statement.postgresql}"


class _Measured(Statement):
    def __init__(self, statement: Statement) -> None:
        how = "ANALYZE, BUFFERS, FORMAT JSON"
        self.postgresql = f"EXPLAIN ({how}) {statement.postgresql}"


def assert_plan(
    session: Session,
    statement: Statement,
    values: dict[str, Any],
    plan: str,
    other: str | None = None,
) -> None:
    """Assert that `statement` is one look at an index, which begins `plan`, in whose
    order rows are read; the rest of `plan` is what SQLite says.

    other: an index that PostgreSQL may choose as well."""
    steps = plan_of(session, statement, values)
    if isinstance(session, SqliteSession):
        # Sorting would be a step of its own.
        assert len(steps) == 1, steps
        assert plan in steps[0]
        return
    name = re.sub(r"(USING INDEX )?sqlite_autoindex_(\w+)_1", r"pk_\2", plan)
    used = re.findall(r"using (\w+) on", " ".join(steps))
    assert used in ([name.split()[0]], [other]), steps
    assert not any("Sort" in step or "Seq Scan" in step for step in steps), steps


def plan_of(
    session: Session, statement: Statement, values: dict[str, Any]
) -> list[str]:
    """Return the steps of `statement`, if indexes are used wherever that can be."""
    if isinstance(session, SqliteSession):
        return [row[3] for row in session.all(_Explained(statement), values)]
    list(session.all(_EVERYTHING_BUT_INDEXES))
    return [row[0] for row in session.all(_Explained(statement), values)]


def pages_read(session: Session, statement: Statement, values: dict[str, Any]) -> int:
    """Have PostgreSQL do `statement`; return how many pages it looked at."""
    [[told]] = session.all(_Measured(statement), values)
    plan = told[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
