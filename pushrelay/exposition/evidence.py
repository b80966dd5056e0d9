"""What the relay itself says of groups and of jobs, as families.

Push times are the Pushgateway's bookkeeping metrics; what tells of going stale is only
there for groups that have a policy, so that who knows nothing of it sees nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pushrelay.exposition.floats import format_float
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Group, Holder, Job, StoredFamily
from pushrelay.model import (
    PUSH_EVIDENCE,
    PUSH_FAILURE_TIME,
    PUSH_TIME,
    MetricType,
    is_legacy_label_name,
)

NANOSECONDS = 10**9

GROUP_STALE = "pushrelay_group_stale"
GROUP_STALE_TIME = "pushrelay_group_stale_timestamp_seconds"
STALENESS_EVIDENCE = (GROUP_STALE, GROUP_STALE_TIME)
"""What is said of each group that can go stale."""

JOB_GROUPS = "pushrelay_job_groups"
JOB_LAST_PUSH = "pushrelay_job_last_push_timestamp_seconds"
JOB_EVIDENCE = (JOB_GROUPS, JOB_LAST_PUSH)
"""What is said of each job whose groups are forgotten as soon as they are stale."""

HELP = {
    PUSH_TIME: (
        "Last Unix time when changing this group in the Pushgateway succeeded."
    ),
    PUSH_FAILURE_TIME: (
        "Last Unix time when changing this group in the Pushgateway failed."
    ),
    GROUP_STALE: "Whether no family of this group is fresh.",
    GROUP_STALE_TIME: "Unix time when this group goes or went stale.",
    JOB_GROUPS: "Groups of this job that are not forgotten.",
    JOB_LAST_PUSH: (
        "Last Unix time of an accepted push to any group of this job, forgotten ones "
        "included."
    ),
}

_GROUP_VALUES: dict[str, Callable[[Group], float]] = {
    PUSH_TIME: lambda group: group.pushed_at / NANOSECONDS,
    PUSH_FAILURE_TIME: lambda group: group.failed_at / NANOSECONDS,
    GROUP_STALE: lambda group: group.is_stale,
    GROUP_STALE_TIME: lambda group: (
        ((group.standing and group.standing.stale_at) or 0) / NANOSECONDS
    ),
}
_JOB_VALUES: dict[str, Callable[[Job], float]] = {
    JOB_GROUPS: lambda job: job.groups,
    JOB_LAST_PUSH: lambda job: job.pushed_at / NANOSECONDS,
}
_VALUES: dict[str, Callable[[Any], float]] = {**_GROUP_VALUES, **_JOB_VALUES}


def evidence_of(group: Group) -> tuple[str, ...]:
    """Return the names of the evidence that scrapes show of `group`."""
    if group.standing is None or group.standing.stale_at is None:
        return PUSH_EVIDENCE
    return _WITH_STALENESS


_WITH_STALENESS = (*PUSH_EVIDENCE, *STALENESS_EVIDENCE)


def is_evidence(name: str) -> bool:
    """Whether the family `name` is one that the relay keeps for groups or jobs."""
    return name in HELP


def evidence_series(holder: Holder, name: str) -> bytes:
    """Return the line of the evidence `name` of a group or job; a time of 0 means
    never."""
    shown = format_float(float(_VALUES[name](holder)))
    return b"%s{%s} %s\n" % (name.encode(), holder.key.exposed, shown.encode())


def evidence_family(holder: Holder, name: str) -> StoredFamily:
    """Return the family that `evidence_series` is the one line of."""
    shape = evidence_shape(holder.key, name)
    return StoredFamily(shape, holder.pushed_at, evidence_series(holder, name))


def evidence_shape(key: GroupingKey, name: str) -> FamilyShape:
    """Return the shape of the evidence `name` of the group `key`."""
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
_known_shape = lru_cache(maxsize=512)(_shape)
_REMEMBERED_KEY_BYTES = 512
