"""Runs, what they leave behind, and what is expected of jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_REVISION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_RAN = "finished_at IS NOT NULL AND outcome != 'skipped'"
_LISTED = "document IS NOT NULL"
_UNFINISHED = "document IS NOT NULL AND finished_at IS NULL"
_ENDED = "document IS NOT NULL AND outcome IS NOT NULL"
_LET_GO = "document IS NULL"


def upgrade() -> None:
    op.create_table(
        "run_evidence",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("revision", _REVISION, nullable=False),
        sa.Column("grouping_key", sa.LargeBinary),
        sa.Column("evidence", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_run_evidence"),
    )
    op.create_index("ix_run_evidence_revision", "run_evidence", ["revision"])
    op.create_table(
        "expectations",
        sa.Column("id", sa.LargeBinary(32), nullable=False),
        sa.Column("revision", _REVISION, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("expectation", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_expectations"),
    )
    op.create_index("ix_expectations_revision", "expectations", ["revision"])
    op.create_table(
        "runs",
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("job", sa.LargeBinary(32), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("reported_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("min_interval", sa.BigInteger),
        sa.Column("document", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    _index_of_some("ix_runs_ran_started_at", _RAN, "key", "started_at", "id")
    _index_of_some("ix_runs_ran_finished_at", _RAN, "key", "finished_at")
    _index_of_some("ix_runs_listed_job", _LISTED, "job", "started_at", "id")
    _index_of_some("ix_runs_listed_started_at", _LISTED, "started_at", "id")
    _index_of_some("ix_runs_listed_reported_at", _LISTED, "reported_at")
    _index_of_some("ix_runs_unfinished_started_at", _UNFINISHED, "started_at", "id")
    _index_of_some("ix_runs_listed_outcome", _ENDED, "outcome", "started_at", "id")
    _index_of_some("ix_runs_let_go_job", _LET_GO, "job")
    _index_of_some("ix_runs_let_go_reported_at", _LET_GO, "reported_at")


def _index_of_some(name: str, rows: str, *columns: str) -> None:
    where = sa.text(rows)
    op.create_index(
        name, "runs", list(columns), sqlite_where=where, postgresql_where=where
    )
