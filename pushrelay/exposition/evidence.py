"""The push times of a group as families (the Pushgateway's bookkeeping metrics)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from pushrelay.exposition.floats import format_float
from pushrelay.exposition.stored import to_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import (
    PUSH_FAILURE_TIME,
    PUSH_TIME,
    Group,
    Metric,
    MetricFamily,
    MetricType,
    StoredFamily,
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


def push_evidence(group: Group) -> dict[str, StoredFamily]:
    """Return the families of the push times of `group`, by name; 0 means never."""
    times = {PUSH_FAILURE_TIME: group.failed_at, PUSH_TIME: group.pushed_at}
    long = len(group.key.canonical) > _REMEMBERED_KEY_BYTES
    template_of = _make_template if long else _remembered_template
    return {
        name: _with_value(template_of(group.key, name), at / NANOSECONDS)
        for name, at in times.items()
    }


def _with_value(template: StoredFamily, value: float) -> StoredFamily:
    head = template.series.removesuffix(b"0\n")
    return replace(template, series=b"%s%s\n" % (head, format_float(value).encode()))


def _make_template(key: GroupingKey, name: str) -> StoredFamily:
    """Return the family with the value 0, which is all that changes with a push."""
    labels = tuple(sorted({"instance": "", **dict(key.labels)}.items()))
    metric = Metric(labels, 0.0)
    return to_stored(MetricFamily(name, MetricType.GAUGE, HELP[name], [metric]), 0)


_remembered_template = lru_cache(maxsize=8192)(_make_template)
_REMEMBERED_KEY_BYTES = 512
