"""Layouts of groups apart from their times and lengths."""

from __future__ import annotations

import json
from itertools import accumulate

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_groups = sa.table(
    "groups", sa.column("id", sa.LargeBinary), sa.column("families", sa.LargeBinary)
)


def upgrade() -> None:
    connection = op.get_bind()
    held = sa.select(_groups.c.id).where(_groups.c.families.is_not(None))
    for (id_,) in connection.execute(held).all():
        this = _groups.c.id == id_
        packed = connection.execute(
            sa.select(_groups.c.families).where(this)
        ).scalar_one()
        connection.execute(
            _groups.update().where(this).values(families=_repacked(packed))
        )


def _repacked(packed: bytes) -> bytes:
    """Return a row's families with what groups share on a line of its own."""
    head, _, rest = packed.partition(b"\n")
    layout, times, series, messages = [], [], [], []
    at = 0
    for family in json.loads(head):
        name, type_, help_, pushed_at, size, order, utf8_names, length, more = family
        # Names of labels matter only when a family is pushed.
        layout.append([name, type_, help_, size, order, utf8_names, []])
        times.append(pushed_at)
        series.append(rest[at : at + length])
        at += length
        messages.append(None if more is None else rest[at : at + more])
        at += more or 0
    bounds = list(accumulate(map(len, series), initial=0))
    kept = [message for message in messages if message is not None]
    lengths = [None if m is None else len(m) for m in messages] if kept else []
    numbers = [times, bounds, lengths]
    return b"\n".join([_dump(layout), _dump(numbers), b"".join(series + kept)])


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
