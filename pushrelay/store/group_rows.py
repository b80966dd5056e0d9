"""Groups as rows of the database, in both directions.

The families of a group lie in one value: a line of JSON with their layout, which many
groups share and is read once for all of them; a line of JSON with the times and
lengths; their series text; and their protobuf messages, one after the other. So
loading a group slices bytes, and no series is parsed or rendered again. Large values
are compressed (zlib, RFC 1950), which takes far less time than to write them to disk.
Running totals lie in a value like that of the families.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from isal import isal_zlib

from pushrelay.changes import Emptied, GroupChange
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Group, Layout, Payload
from pushrelay.model import MetricType

LARGE_BYTES = 64 * 1024
"""From this size on, the families of a group are compressed."""

_PLAIN = b"["
"""What JSON begins with, and no zlib stream."""


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
            "created_at": 0,
            "stale_after": None,
            "running_totals": None,
        }
    running = change.running_totals
    return {
        "id": change.key.id,
        "revision": change.revision,
        "grouping_key": change.key.canonical,
        "pushed_at": change.pushed_at,
        "failed_at": change.failed_at,
        "families": _pack(change.payload),
        "created_at": change.created_at,
        "stale_after": change.stale_after,
        "running_totals": None if running is None else _pack(running),
    }


def from_row(row: Mapping[str, Any]) -> GroupChange:
    """Return what `row` stores."""
    if row["families"] is None:
        return Emptied(row["id"], row["revision"])
    running = row["running_totals"]
    return Group(
        GroupingKey(row["grouping_key"], row["id"]),
        row["revision"],
        row["pushed_at"],
        row["failed_at"],
        _unpack(row["families"]),
        row["created_at"],
        row["stale_after"],
        running_totals=None if running is None else _unpack(running),
    )


def _pack(payload: Payload) -> bytes:
    head = _heads.get(payload.layout)
    if head is None:
        head = _heads[payload.layout] = _pack_layout(payload.layout)
    messages = payload.messages or ()
    lengths = [None if message is None else len(message) for message in messages]
    numbers = _dump([payload.pushed_at, payload.bounds.tolist(), lengths])
    parts = [head, b"\n", numbers, b"\n", payload.text, *filter(None, messages)]
    packed = b"".join(parts)
    return packed if len(packed) < LARGE_BYTES else bytes(isal_zlib.compress(packed, 1))


def _unpack(packed: bytes) -> Payload:
    if not packed.startswith(_PLAIN):
        packed = isal_zlib.decompress(packed)
    head, numbers, rest = packed.split(b"\n", 2)
    layout = _layouts.get(head)
    if layout is None:
        layout = _layouts[head] = _unpack_layout(head)
    pushed_at, bounds, lengths = json.loads(numbers)
    return Payload(
        layout,
        rest[: bounds[-1]] if lengths else rest,
        array("I", bounds),
        tuple(pushed_at) if isinstance(pushed_at, list) else pushed_at,
        _split(rest, bounds[-1], lengths) if lengths else None,
    )


def _split(
    packed: bytes, start: int, lengths: list[int | None]
) -> tuple[bytes | None, ...]:
    messages: list[bytes | None] = []
    for length in lengths:
        messages.append(None if length is None else packed[start : start + length])
        start += length or 0
    return tuple(messages)


def _pack_layout(layout: Layout) -> bytes:
    return _dump(
        [
            [
                family.name,
                family.type,
                family.help,
                family.size,
                family.pushed_order,
                family.utf8_names,
                family.label_names,
            ]
            for family in layout.families
        ]
    )


def _unpack_layout(head: bytes) -> Layout:
    families = [
        FamilyShape.of(
            name,
            MetricType(type_),
            help_,
            size=size,
            pushed_order=None if order is None else tuple(order),
            utf8_names=utf8_names,
            label_names=tuple(map(tuple, label_names)),
        )
        for name, type_, help_, size, order, utf8_names, label_names in json.loads(head)
    ]
    return Layout.of(tuple(families))


def _dump(value: object) -> bytes:
    # JSON escapes line ends, so that the first LF ends what it writes.
    return _JSON.encode(value).encode()


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


_heads: WeakKeyDictionary[Layout, bytes] = WeakKeyDictionary()
_layouts: WeakValueDictionary[bytes, Layout] = WeakValueDictionary()
"""What layouts look like in a row, in both directions."""
