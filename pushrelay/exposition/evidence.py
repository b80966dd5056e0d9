"""The push times of a group as families (the Pushgateway's bookkeeping metrics)."""

from __future__ import annotations

from pushrelay.exposition.stored import to_stored
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
    return {name: _family(group, name, at) for name, at in times.items()}


def _family(group: Group, name: str, at: int) -> StoredFamily:
    labels = tuple(sorted({"instance": "", **dict(group.key.labels)}.items()))
    metric = Metric(labels, at / NANOSECONDS)
    family = MetricFamily(name, MetricType.GAUGE, HELP[name], [metric])
    return to_stored(family, group.pushed_at)
