"""The tables. Migrations build them; this is what the code expects to find.

commits: the store clock. Insert-only; its newest row is the clock, and the pair
    (revision, nonce) tells a view whether it still belongs to this history.
groups: a row a group. A deleted group is the same row, emptied, so that views learn
    of the deletion from its revision. Only groups that are pushed to in mode accumulate
    have `running_totals`.
jobs: what outlives the groups of a job; a row without a time is a deleted one.
receipts: pushes with an idempotency key that were accepted; `id` stands for the group
    and the key, `body` for what was pushed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table

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
