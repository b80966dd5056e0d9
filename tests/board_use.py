"""What tests of the jobs board build: evidence of runs, groups, and rows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf

from builders import group_of, key_of
from run_builders import run_id

from pushrelay.board_rows import BoardRow, JobRuns, place_of, row_of
from pushrelay.expectations import JobExpectation
from pushrelay.freshness import Policy, standing_of
from pushrelay.groups import Group
from pushrelay.run_evidence import LastRun, OpenRun, RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.runs import Outcome

HOUR = 3600 * 10**9
_PLAIN = group_of()


def evidence(
    *opened: int,
    job: str = "a",
    outcome: Outcome | None = None,
    last_start: int = 0,
    success_start: int = 0,
    failures: int = 0,
    revision: int = 0,
    **labels: str,
) -> RunEvidence:
    """Return what runs left of which some are open since `opened`, and the last to
    finish began at `last_start`."""
    last_run = None
    if outcome is not None:
        last_run = LastRun(last_start + 1, run_id(1), outcome, None, None, None)
    return RunEvidence(
        key_of(job, **labels),
        revision,
        last_start=max([last_start, *opened]),
        last_success=last_start + 1 if outcome is Outcome.SUCCESS else 0,
        success_start=success_start,
        last_run=last_run,
        failures=failures,
        failing_since=last_start + 1 if failures else None,
        open=tuple([OpenRun(run_id(at), at) for at in opened]),
    )


def group(
    pushed_at: int,
    *,
    job: str = "a",
    failed_at: int = 0,
    policy: Policy | None = None,
    revision: int = 1,
    **labels: str,
) -> Group:
    """Return a group as the store has it, or with a `policy`, as the view has it."""
    found = Group(
        key_of(job, **labels),
        revision,
        pushed_at,
        failed_at,
        replace(_PLAIN.payload, pushed_at=pushed_at),
        pushed_at or failed_at,
    )
    if policy is None:
        return found
    standing = standing_of(policy, found.times, lambda _: False, pushed_at)
    return found.with_standing(standing)


def rows_at(
    job: str,
    evidences: list[RunEvidence],
    expected: JobExpectation,
    groups: Iterable[Group],
    now: int,
    forget_at: Callable[[bytes], float] = lambda _: inf,
) -> list[BoardRow]:
    """Return the rows of `job`, in order, from all that is known of it."""
    runs = None
    if evidences or expected.effective is not None:
        runs = JobRuns(job, evidences, expected, now, forget_at)
    held: dict[str, list[Group]] = {}
    for each in groups:
        held.setdefault(instance_of(each.key), []).append(each)
    run_instances = runs.instances if runs else frozenset[str]()
    rows = [
        row_of(
            job,
            instance,
            runs.state(instance) if runs and instance in run_instances else None,
            held.get(instance, []),
            now,
        )
        for instance in run_instances | held.keys()
    ]
    return sorted([row for row in rows if row is not None], key=place_of)
