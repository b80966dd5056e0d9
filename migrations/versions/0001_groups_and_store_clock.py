"""Groups and the store clock."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REVISION = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    commits = op.create_table(
        "commits",
        sa.Column("revision", _REVISION, autoincrement=False),
        sa.Column("nonce", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_commits"),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("revision", _REVISION, nullable=False),
        sa.Column("grouping_key", sa.LargeBinary),
        sa.Column("pushed_at", sa.BigInteger, nullable=False),
        sa.Column("failed_at", sa.BigInteger, nullable=False),
        sa.Column("families", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
    )
    op.create_index("ix_groups_revision", "groups", ["revision"])
    # The clock always has a newest row, so that an empty store has a position too.
    first = {"revision": 0, "nonce": secrets.token_bytes(16), "at": time.time_ns()}
    op.bulk_insert(commits, [first])
