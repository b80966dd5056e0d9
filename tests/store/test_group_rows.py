from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import group_of, key_of, new_database
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from pushrelay.changes import Emptied
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Group, Payload, StoredFamily
from pushrelay.model import MetricType
from pushrelay.store.group_rows import LARGE_BYTES, from_row, to_row
from pushrelay.store.schema import groups

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
TIME = st.integers(0, 2**63 - 1)
KEYS = st.dictionaries(TEXT, TEXT, max_size=4).map(
    lambda labels: GroupingKey.of({"job": "a", **labels})
)
SHAPES = st.builds(
    FamilyShape.of,
    TEXT,
    st.sampled_from(MetricType),
    TEXT,
    size=st.integers(0, 10**6),
    pushed_order=st.none() | st.lists(st.integers(0, 99), max_size=5).map(tuple),
    utf8_names=st.booleans(),
    label_names=st.lists(st.lists(TEXT, max_size=2).map(tuple), max_size=3).map(tuple),
)
FAMILIES = st.builds(
    StoredFamily,
    SHAPES,
    pushed_at=TIME,
    series=st.binary(max_size=50),
    message=st.none() | st.binary(max_size=50),
)
PAYLOADS = st.lists(FAMILIES, max_size=4, unique_by=lambda family: family.name).map(
    Payload.of
)
GROUPS = st.builds(
    lambda key, revision, times, payload, stale_after, running_totals: Group(
        *(key, revision, *times[:2], payload, times[2], stale_after),
        running_totals=running_totals,
    ),
    KEYS,
    TIME,
    st.tuples(TIME, TIME, TIME),
    PAYLOADS,
    st.none() | TIME,
    st.none() | PAYLOADS,
)


def contents(group: object) -> object:
    """All that a group holds, in a form that compares by value."""
    assert isinstance(group, Group)
    running = group.running_totals
    times = (group.pushed_at, group.failed_at, group.created_at, group.stale_after)
    return (
        *(group.key, group.revision, times, families_of(group.payload)),
        None if running is None else families_of(running),
    )


def families_of(payload: Payload) -> list[object]:
    # Shapes by identity: equal ones exist once.
    return [
        (family.shape, family.pushed_at, family.series, family.message)
        for family in payload.families()
    ]


@given(GROUPS)
def test_a_group_comes_back_from_its_row_as_it_was(group: Group) -> None:
    assert contents(from_row(to_row(group))) == contents(group)


def test_the_families_of_a_large_group_are_compressed() -> None:
    body = "".join(f'x{{l="{line}"}} {line}\n' for line in range(10_000))
    for group in (group_of(body), group_of(body[: len(body) // 100] + '"} 1')):
        row = to_row(group)
        is_large = len(group.payload.text) > LARGE_BYTES
        assert (len(row["families"]) < len(group.payload.text)) is is_large
        assert contents(from_row(row)) == contents(group)


def test_only_groups_with_running_totals_have_a_value_for_them() -> None:
    group = group_of()
    assert to_row(group)["running_totals"] is None
    running = replace(group, running_totals=group.payload)
    assert to_row(running)["running_totals"] == to_row(group)["families"]
    assert to_row(Emptied(group.key.id, 7))["running_totals"] is None


def test_a_deleted_group_comes_back_as_its_id_and_revision() -> None:
    emptied = Emptied(key_of().id, 7)
    assert from_row(to_row(emptied)) == emptied


def test_a_group_without_families_is_not_a_deleted_one() -> None:
    group = group_of("")
    assert contents(from_row(to_row(group))) == contents(group)


@pytest.mark.parametrize(
    "body",
    [
        "x 1",
        '# HELP x Two\\nlines.\n# TYPE x counter\nx{l="\x00 \\n \\" é 🦆"} 1',
        '{"metric with\nline end 🦆","level.é"="v"} NaN'.replace("\n", "\\n"),
        "b 1\na 1\nc 1",
        "x 1\ny 2\nx 3".replace("x 3", 'x{a="b"} 3'),
        '# TYPE s summary\ns{quantile="0.5"} NaN\ns_sum 1\ns_count 2',
        "# TYPE h histogram\nh_sum -0\nh_count 0",
    ],
)
def test_a_pushed_group_survives_the_database(tmp_path: Path, body: str) -> None:
    key = key_of("\x00\n\x7f", instance="", **{"label é": "value\x00"})
    group = group_of(body, key, revision=5, pushed_at=2**62 + 1, failed_at=3)
    database = new_database(tmp_path)
    with database.migrating() as connection:
        connection.execute(insert(groups), to_row(group))
    with database.snapshot() as connection:
        row = connection.execute(select(groups)).one()
    database.close()
    assert contents(from_row(row._asdict())) == contents(group)
