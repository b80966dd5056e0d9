"""Which grouping keys of a job are late, abandoned or failing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from math import inf

from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import (
    JobState,
    OpenRuns,
    instance_of,
    last_starts,
    open_runs,
    outlook_of,
)


@dataclass(frozen=True, slots=True)
class KeyState:
    """A grouping key of a job at some moment.

    evidence: None if it never ran, and should. is_overdue: whether its instance is,
    where each must run.
    """

    key: GroupingKey
    evidence: RunEvidence | None
    opened: OpenRuns
    is_overdue: bool


def worst_keys(state: JobState, most: int) -> list[KeyState]:
    """Return the `most` keys of a job that need someone's look first: those that are
    overdue, then with abandoned runs, then failing, for longest first, then others."""
    return nsmallest(most, _keys(state), key=_order)


def _keys(state: JobState) -> Iterator[KeyState]:
    expected = state.expected
    expectation = expected.effective
    late, limit = set(), None
    if expectation is not None:
        limit = expectation.max_runtime
        if expectation.per_instance:
            late = _late_instances(state)
    for evidence in state.evidences:
        opened = open_runs(evidence, limit, state.at)
        is_late = instance_of(evidence.key) in late
        yield KeyState(evidence.key, evidence, opened, is_late)
    for instance in late - {instance_of(each.key) for each in state.evidences}:
        key = GroupingKey.of({"job": state.job, "instance": instance})
        yield KeyState(key, None, OpenRuns(), is_overdue=True)


def _late_instances(state: JobState) -> set[str]:
    starts = last_starts(state.evidences, state.expected)
    return {
        instance
        for instance, start in starts.items()
        if outlook_of(state.expected, start, state.at).is_overdue
    }


def _order(found: KeyState) -> tuple[bool, bool, float, bool, bytes]:
    evidence, opened = found.evidence, found.opened
    failing_since = evidence.failing_since if evidence else None
    return (
        not found.is_overdue,
        opened.abandoned == 0,
        failing_since or inf,
        opened.running == 0,
        found.key.id,
    )
