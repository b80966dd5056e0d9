"""What databases of older schemas hold comes along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import group_of, key_of
from databases import database_in
from sqlalchemy import column, insert, select, table

from pushrelay.groups import Group
from pushrelay.store import migrate
from pushrelay.store.group_rows import from_row, to_row
from pushrelay.store.schema import groups

BODIES = [
    "",
    "x 1",
    '# HELP b Text.\n# TYPE b counter\nb{l="2"} 1\nb{l="1"} 2\na 1',
    '# TYPE h histogram\nh_count 1\n# TYPE s summary\ns{quantile="0.5"} -0\nx 5',
]


FIRST_GROUPS = table(
    "groups",
    *(column(name) for name in ("id", "revision", "grouping_key")),
    *(column(name) for name in ("pushed_at", "failed_at", "families")),
)


def first_row(group: Group) -> dict[str, object]:
    """Return the row of `group` in the first schema."""
    listing, parts = [], []
    for family in group.families.values():
        message = family.message
        lengths = [len(family.series), None if message is None else len(message)]
        listing.append(
            [
                *(family.name, family.type, family.help, family.pushed_at),
                *(family.size, family.shape.pushed_order, family.shape.utf8_names),
                *lengths,
            ]
        )
        parts += [family.series, message or b""]
    packed = json.dumps(listing).encode() + b"\n" + b"".join(parts)
    row = to_row(group)
    return {column.name: row[column.name] for column in FIRST_GROUPS.c} | {
        "families": packed
    }


def contents(group: Group) -> object:
    families = [
        (
            *(family.name, family.type, family.help, family.size),
            *(family.shape.pushed_order, family.shape.utf8_names),
            *(family.pushed_at, family.series, family.message),
        )
        for family in group.families.values()
    ]
    return group.key, group.pushed_at, families


def test_groups_of_the_first_schema_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "HEAD", "0001")
        migrate.upgrade(database)
    held = [group_of(body, key_of(f"{n}")) for n, body in enumerate(BODIES)]
    with database.migrating() as connection:
        connection.execute(insert(FIRST_GROUPS), [first_row(group) for group in held])
    assert migrate.upgrade(database)
    with database.snapshot() as connection:
        rows = connection.execute(select(groups)).all()
    database.close()
    found = {row.id: from_row(row._asdict()) for row in rows}
    assert len(found) == len(held)
    for group in held:
        again = found[group.key.id]
        assert isinstance(again, Group)
        assert contents(again) == contents(group)
