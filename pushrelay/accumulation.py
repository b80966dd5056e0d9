"""Mode accumulate: running totals of processes that start anew are added up.

A group remembers what was pushed last (its running totals), and what a push counts
beyond that is added to what the group holds. The other modes count on it: what they
write to a family that has running totals, they write to these as well. So whoever
changes the mode of a running process counts nothing twice.
"""

from __future__ import annotations

from dataclasses import replace

from pushrelay.aggregation import ADDED, Mode, combine
from pushrelay.contents import Contents
from pushrelay.freshness import IsTimestamp
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY, Payload
from pushrelay.increments import increments_of


def push_onto(
    held: Contents,
    mode: Mode,
    pushed: Payload,
    is_timestamp: IsTimestamp,
    key: GroupingKey | None = None,
) -> Contents:
    """Return the contents of a group that has had `held`, after a push. Arguments and
    exceptions are those of `combine`, and `mode` may be accumulate."""
    running = held.running_totals
    if mode is not Mode.ACCUMULATE:
        payload = combine(mode, held.payload, pushed, is_timestamp, key)
        if running is not None:
            running = _written_to(running, mode, pushed, is_timestamp)
        return Contents(payload, running)
    increments = pushed if running is None else _increments(running, pushed)
    payload = combine(Mode.ADD, held.payload, increments, is_timestamp, key)
    return Contents(payload, _remembered(running or EMPTY, pushed, is_timestamp))


def _increments(running: Payload, pushed: Payload) -> Payload:
    families = []
    for family in pushed.families():
        last = running.get(family.name)
        if last is not None and last.type is family.type:
            family = increments_of(last, family)
        families.append(family)
    return replace(Payload.of(families), likeness=pushed.likeness)


def _remembered(
    running: Payload, pushed: Payload, is_timestamp: IsTimestamp
) -> Payload | None:
    """Return `running` with the running totals of `pushed`."""
    families = pushed.layout.families
    if not all(family.type in ADDED for family in families):
        counted = [family for family in pushed.families() if family.type in ADDED]
        pushed = replace(Payload.of(counted), likeness=pushed.likeness)
    # Of equal series, equal ones count.
    if running.likeness is pushed.likeness is not None:
        return pushed
    return combine(Mode.MERGE, running, pushed, is_timestamp).or_none()


def _written_to(
    running: Payload, mode: Mode, pushed: Payload, is_timestamp: IsTimestamp
) -> Payload | None:
    """Return `running` after a push in another mode than accumulate."""
    written = [
        family
        for family in pushed.families()
        if family.name in running.layout.index and family.type in ADDED
    ]
    if mode is Mode.UPDATE:
        # A family of another type ends running totals too.
        index = pushed.layout.index
        running = Payload.of([f for f in running.families() if f.name not in index])
    return combine(mode, running, Payload.of(written), is_timestamp).or_none()
