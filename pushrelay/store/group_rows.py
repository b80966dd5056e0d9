"""Groups as rows of the database, in both directions.

The families of a group lie in one value: a line of JSON that lists them, followed by
their series text and protobuf messages one after the other. So loading a group slices
bytes, and no series is parsed or rendered again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pushrelay.changes import Emptied, GroupChange
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Group, MetricType, StoredFamily


def to_row(change: GroupChange) -> dict[str, Any]:
    """Return the row that stores `change`."""
    if isinstance(change, Emptied):
        return {
            "id": change.id,
            "revision": change.revision,
            "grouping_key": None,
            "pushed_at": 0,
            "failed_at": 0,
            "families": None,
        }
    return {
        "id": change.key.id,
        "revision": change.revision,
        "grouping_key": change.key.canonical,
        "pushed_at": change.pushed_at,
        "failed_at": change.failed_at,
        "families": _pack(change.families.values()),
    }


def from_row(row: Mapping[str, Any]) -> GroupChange:
    """Return what `row` stores."""
    if row["families"] is None:
        return Emptied(row["id"], row["revision"])
    families = {family.name: family for family in _unpack(row["families"])}
    return Group(
        GroupingKey.from_canonical(row["grouping_key"]),
        row["revision"],
        row["pushed_at"],
        row["failed_at"],
        families,
    )


def _pack(families: Iterable[StoredFamily]) -> bytes:
    listing, parts = [], []
    for family in families:
        message = family.message or b""
        listing.append(
            [
                family.name,
                family.type,
                family.help,
                family.pushed_at,
                family.size,
                family.pushed_order,
                family.utf8_names,
                len(family.series),
                None if family.message is None else len(message),
            ]
        )
        parts += [family.series, message]
    # JSON escapes line ends and NUL, so the first LF ends the listing.
    header = json.dumps(listing, ensure_ascii=False, separators=(",", ":"))
    return b"".join([header.encode(), b"\n", *parts])


def _unpack(packed: bytes) -> Iterable[StoredFamily]:
    header_end = packed.index(b"\n")
    position = header_end + 1
    for entry in json.loads(packed[:header_end]):
        name, type_, help_, pushed_at, size, order, utf8_names, *lengths = entry
        series = packed[position : position + lengths[0]]
        position += lengths[0]
        message = None
        if lengths[1] is not None:
            message = packed[position : position + lengths[1]]
            position += lengths[1]
        yield StoredFamily(
            name,
            MetricType(type_),
            help_,
            pushed_at,
            series,
            size,
            None if order is None else tuple(order),
            message,
            utf8_names,
        )
