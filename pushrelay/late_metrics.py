"""Metrics that come late: what is to be done with them where newer ones are.

A run that could not report leaves its metrics in a spool, and its group may have been
pushed to since. Nothing newer is overwritten, but what is added up counts all the same.
"""

from __future__ import annotations

from dataclasses import replace

from pushrelay.aggregation import Mode
from pushrelay.groups import Group, Payload
from pushrelay.model import MetricType
from pushrelay.writes import Push

_ADDED = (MetricType.COUNTER, MetricType.SUMMARY, MetricType.HISTOGRAM)


def still_to_add(push: Push, held: Group) -> Push | None:
    """Return what is to be pushed instead of `push`, which is older than the last push
    to its group `held`; None for nothing. No time of the group falls by it, and its
    policy stays."""
    if push.mode is not Mode.ADD:
        return None
    families = [
        replace(family, pushed_at=max(family.pushed_at, _pushed_at(held, family.name)))
        for family in push.payload.families()
        if family.type in _ADDED
    ]
    if not families:
        return None
    payload = Payload.of(families)
    return replace(
        push,
        at=held.pushed_at,
        payload=payload,
        families=None,
        merged=None,
        stale_after=held.stale_after,
    )


def _pushed_at(held: Group, name: str) -> int:
    family = held.payload.get(name)
    return 0 if family is None else family.pushed_at
