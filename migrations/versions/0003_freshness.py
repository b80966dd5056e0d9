"""When groups began and what their pushes said of staleness; jobs; idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REVISION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_groups = sa.table(
    "groups",
    sa.column("created_at", sa.BigInteger),
    sa.column("pushed_at", sa.BigInteger),
    sa.column("failed_at", sa.BigInteger),
)


def upgrade() -> None:
    created_at = sa.Column(
        "created_at", sa.BigInteger, nullable=False, server_default="0"
    )
    op.add_column("groups", created_at)
    op.add_column("groups", sa.Column("stale_after", sa.BigInteger))
    pushed_at, failed_at = _groups.c.pushed_at, _groups.c.failed_at
    earliest_known = sa.case(
        (pushed_at == 0, failed_at),
        (failed_at == 0, pushed_at),
        (pushed_at < failed_at, pushed_at),
        else_=failed_at,
    )
    op.execute(_groups.update().values(created_at=earliest_known))
    op.create_table(
        "jobs",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("revision", _REVISION, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("pushed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_revision", "jobs", ["revision"])
    op.create_table(
        "receipts",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
    )
    op.create_index("ix_receipts_at", "receipts", ["at"])
