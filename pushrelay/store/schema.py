"""The tables. Migrations build them; this is what the code expects to find.

commits: the store clock. Insert-only; its newest row is the clock, and the pair
    (revision, nonce) tells a view whether it still belongs to this history.
write_lock: one row, which writers on a server lock.
groups: a row a group. A deleted group is the same row, emptied, so that views learn
    of the deletion from its revision. Only groups that are pushed to in mode accumulate
    have `running_totals`.
jobs: what outlives the groups of a job; a row without a time is a deleted one.
receipts: pushes with an idempotency key that were accepted; `id` stands for the group
    and the key, `body` for what was pushed.
run_evidence: what the runs of a grouping key leave behind; emptied like a group.
expectations: what is expected of a job; emptied likewise.
runs: a row a run, known by its id for as long as a report of it may come again. `job`
    and `key` stand for its job and its grouping key. Its document, all that is known of
    it, may be let go before.
tokens: what gives rights, by the id in its text, of which only a digest is kept. A
    revoked one stays for a while; those with a `parent` are sessions.

The rows of groups, jobs, run_evidence and expectations bear the revision that wrote
them, and there is one of each id. On a server, where the key is both, writers see to
that.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    literal_column,
    tuple_,
)

from pushrelay.store.engine import REVISION

# Alembic can only alter or drop a constraint whose name it knows.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

commits = Table(
    "commits",
    metadata,
    Column("revision", REVISION, primary_key=True, autoincrement=False),
    Column("nonce", LargeBinary(16), nullable=False),
    Column("at", BigInteger, nullable=False),
)

write_lock = Table(
    "write_lock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
)

groups = Table(
    "groups",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("revision", REVISION, nullable=False, index=True),
    Column("grouping_key", LargeBinary),
    Column("pushed_at", BigInteger, nullable=False),
    Column("failed_at", BigInteger, nullable=False),
    Column("families", LargeBinary),
    Column("created_at", BigInteger, nullable=False, server_default="0"),
    Column("stale_after", BigInteger),
    Column("running_totals", LargeBinary),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("revision", REVISION, nullable=False, index=True),
    Column("name", LargeBinary, nullable=False),
    Column("pushed_at", BigInteger),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("body", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

run_evidence = Table(
    "run_evidence",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("revision", REVISION, nullable=False, index=True),
    Column("grouping_key", LargeBinary),
    Column("evidence", LargeBinary),
)

expectations = Table(
    "expectations",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("revision", REVISION, nullable=False, index=True),
    Column("name", LargeBinary, nullable=False),
    Column("expectation", LargeBinary),
)

runs = Table(
    "runs",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("job", LargeBinary(32), nullable=False),
    Column("key", LargeBinary(32), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", Text),
    Column("min_interval", BigInteger),
    Column("document", LargeBinary),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("selectors", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("former", LargeBinary(32)),
    Column("former_until", BigInteger),
    Column("parent", Text),
)

# A query uses an index of some rows only if it asks for these rows in the same words:
# without parameters.
RAN = and_(
    runs.c.finished_at.is_not(None), runs.c.outcome != literal_column("'skipped'")
)
"""Which runs came to their end without having been skipped."""
PLACE = tuple_(runs.c.started_at, runs.c.id)
"""Where a run is in the order of starts."""
LISTED = runs.c.document.is_not(None)
LET_GO = runs.c.document.is_(None)
"""Which runs have, and which do not have, their document."""
UNFINISHED = and_(LISTED, runs.c.finished_at.is_(None))
_ENDED = and_(LISTED, runs.c.outcome.is_not(None))


def _index_of_some(name: str, rows: ColumnElement[bool], *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=rows, postgresql_where=rows)


_index_of_some("ix_runs_ran_started_at", RAN, runs.c.key, runs.c.started_at, runs.c.id)
_index_of_some("ix_runs_ran_finished_at", RAN, runs.c.key, runs.c.finished_at)
_index_of_some("ix_runs_listed_job", LISTED, runs.c.job, runs.c.started_at, runs.c.id)
_index_of_some("ix_runs_listed_started_at", LISTED, runs.c.started_at, runs.c.id)
_index_of_some("ix_runs_listed_reported_at", LISTED, runs.c.reported_at)
_index_of_some(
    "ix_runs_unfinished_started_at", UNFINISHED, runs.c.started_at, runs.c.id
)
_index_of_some(
    "ix_runs_listed_outcome", _ENDED, runs.c.outcome, runs.c.started_at, runs.c.id
)
_index_of_some("ix_runs_let_go_job", LET_GO, runs.c.job)
_index_of_some("ix_runs_let_go_reported_at", LET_GO, runs.c.reported_at)
