"""The push times of a group as families (the Pushgateway's bookkeeping metrics)."""

from __future__ import annotations

from functools import lru_cache

from pushrelay.exposition.floats import format_float
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Group, StoredFamily
from pushrelay.model import (
    PUSH_FAILURE_TIME,
    PUSH_TIME,
    MetricType,
    is_legacy_label_name,
)

NANOSECONDS = 10**9
HELP = {
    PUSH_TIME: (
        "Last Unix time when changing this group in the Pushgateway succeeded."
    ),
    PUSH_FAILURE_TIME: (
        "Last Unix time when changing this group in the Pushgateway failed."
    ),
}


def evidence_series(group: Group, name: str) -> bytes:
    """Return the line of the push time `name` of `group`; 0 means never."""
    at = group.pushed_at if name == PUSH_TIME else group.failed_at
    seconds = format_float(at / NANOSECONDS)
    return b"%s{%s} %s\n" % (name.encode(), group.key.exposed, seconds.encode())


def evidence_family(group: Group, name: str) -> StoredFamily:
    """Return the family that `evidence_series` is the one line of."""
    shape = evidence_shape(group.key, name)
    return StoredFamily(shape, group.pushed_at, evidence_series(group, name))


def evidence_shape(key: GroupingKey, name: str) -> FamilyShape:
    """Return the shape of the push time `name` of the group `key`."""
    short = len(key.canonical) <= _REMEMBERED_KEY_BYTES
    return (_known_shape if short else _shape)(name, key.names)


def _shape(name: str, key_names: tuple[str, ...]) -> FamilyShape:
    return FamilyShape.of(
        name,
        MetricType.GAUGE,
        HELP[name],
        utf8_names=not all(map(is_legacy_label_name, key_names)),
        label_names=(tuple(sorted({*key_names, "instance"})),),
    )


# Few keys have names of their own, and hardly any are long.
_known_shape = lru_cache(maxsize=256)(_shape)
_REMEMBERED_KEY_BYTES = 512
