"""What is to be said of runs at some moment: who runs, who was abandoned, who is late.

All of it follows from the evidence, from what is expected, and from `now`; nothing here
is stored. Unix nanoseconds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from pushrelay.errors import UnknownJob
from pushrelay.expectations import JobExpectation
from pushrelay.grouping_key import GroupingKey
from pushrelay.quoting import quote
from pushrelay.run_evidence import LastRun, OpenRun, RunEvidence
from pushrelay.runs import REMEMBERED, Outcome
from pushrelay.schedule import Expectation, Outlook, next_slot, outlook


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """What the unfinished runs of one key come to.

    running: how many may still be at work; since: when the first of them began.
    abandoned: how many have been silent for longer than a run may take. A run that
    began later and succeeded ends the worry about them. due: when any of this changes
    without a report; None: never. abandoned_since: when the first of these began.
    """

    running: int = 0
    since: int | None = None
    abandoned: int = 0
    due: int | None = None
    abandoned_since: int | None = None


_NOTHING_OPEN = OpenRuns()


def open_runs(evidence: RunEvidence, max_runtime: int | None, now: int) -> OpenRuns:
    """Return what is to be said of the unfinished runs at `now`."""
    if not evidence.open:
        return _NOTHING_OPEN
    running = running_runs(evidence, max_runtime, now)
    abandoned = [
        run
        for run in evidence.open
        if run.started_at + _limit(max_runtime) <= now < run.started_at + REMEMBERED
        and run.started_at >= evidence.success_start
    ]
    dues = [run.started_at + _limit(max_runtime) for run in running]
    dues += [run.started_at + REMEMBERED for run in abandoned]
    return OpenRuns(
        len(running),
        running[0].started_at if running else None,
        len(abandoned),
        min(dues, default=None),
        abandoned[0].started_at if abandoned else None,
    )


def running_runs(
    evidence: RunEvidence, max_runtime: int | None, now: int
) -> list[OpenRun]:
    """Return the unfinished runs that may still be at work at `now`, by start."""
    limit = _limit(max_runtime)
    return [run for run in evidence.open if now < run.started_at + limit]


def _limit(max_runtime: int | None) -> int:
    return REMEMBERED if max_runtime is None else min(max_runtime, REMEMBERED)


def outlook_of(expected: JobExpectation, last_start: int, now: int) -> Outlook:
    """Return what is to be said at `now` of a job, or an instance, that started last at
    `last_start`, 0 for never. While it is paused, it is neither overdue nor does it
    miss anything."""
    expectation = expected.effective
    if expectation is None:
        return Outlook(None, 0, None)
    since = max(expected.since, expected.paused_until)
    found = outlook(expectation, since, last_start or None, now)
    if expected.paused_until <= now:
        return found
    return replace(found, missed_slots=0, due=expected.paused_until)


def interval_of(expectation: Expectation, slot: int) -> int | None:
    """Return the time from the expected run at `slot` to the next, nanoseconds."""
    following = next_slot(expectation, slot)
    return None if following is None else following - slot


class State(Enum):
    """What a job is like, in the order in which one hides those after it."""

    PAUSED = "paused"
    OVERDUE = "overdue"
    ABANDONED = "abandoned"
    RUNNING = "running"
    FAILED = "failed"
    NEVER_RAN = "never ran"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class JobState:
    """A job at some moment.

    last_start: 0 for never. last_run: the run that finished last; None: none did.
    failing_since: the first failure since the last success, of the key that has failed
    for longest; failures: the most in a row of any key. evidences: of all its keys.
    at: the moment. due: when any of this changes without a report; None: never.
    """

    job: str
    state: State
    expected: JobExpectation
    outlook: Outlook
    last_start: int
    last_run: LastRun | None
    last_success: int
    running: int
    running_since: int | None
    abandoned: int
    abandoned_since: int | None
    failures: int
    failing_since: int | None
    evidences: tuple[RunEvidence, ...] = field(compare=False)
    at: int
    due: int | None

    @property
    def keys(self) -> int:
        """How many keys have runs."""
        return len(self.evidences)


def job_state(
    job: str, evidences: Iterable[RunEvidence], expected: JobExpectation, now: int
) -> JobState:
    """Return the state of `job` at `now`; evidences: of all its keys."""
    held = list(evidences)
    starts = last_starts(held, expected).values()
    ahead = _worst([outlook_of(expected, start, now) for start in starts])
    return state_with(job, held, expected, ahead, now)


def state_with(
    job: str,
    held: Sequence[RunEvidence],
    expected: JobExpectation,
    ahead: Outlook,
    now: int,
    until: int | None = None,
) -> JobState:
    """Return the state at `now` of those keys of `job` that left the evidence `held`.

    ahead: what is to be said of what is expected of them. until: when one of them is
    forgotten; None: never.
    """
    last_start = last_start_of(held, expected)
    expectation = expected.effective
    limit = expectation.max_runtime if expectation else None
    opened = [open_runs(each, limit, now) for each in held]
    dues = [until, ahead.due, *[each.due for each in opened]]
    if expected.paused_until > now:
        dues.append(expected.paused_until)
    finished = [each.last_run for each in held if each.last_run is not None]
    running = sum([each.running for each in opened])
    abandoned = sum([each.abandoned for each in opened])
    failures = max([each.failures for each in held], default=0)
    return JobState(
        job,
        _state(expected, ahead, held, running, abandoned, now),
        expected,
        ahead,
        last_start,
        max(finished, key=lambda run: (run.finished_at, run.id), default=None),
        max([each.last_success for each in held], default=0),
        running,
        _first(each.since for each in opened),
        abandoned,
        _first(each.abandoned_since for each in opened),
        failures,
        _first(each.failing_since for each in held),
        tuple(held),
        now,
        _first(dues),
    )


def unknown_job(job: str) -> UnknownJob:
    """Return the error for a `job` that has no state."""
    return UnknownJob(
        f"nothing is known of a job {quote(job)}; it is once it has reported a run, or "
        "once someone has said when it should run"
    )


def last_start_of(evidences: Iterable[RunEvidence], expected: JobExpectation) -> int:
    """Return the last start of any run, 0 for never."""
    return max([expected.last_start, *[one.last_start for one in evidences]])


def last_starts(
    evidences: Iterable[RunEvidence], expected: JobExpectation
) -> dict[str, int]:
    """Return the last starts, 0 for never, that count for what is expected of a job: of
    any run under "", or by the value of the label `instance`."""
    starts: dict[str, int] = {}
    for evidence in evidences:
        instance = instance_of(evidence.key)
        starts[instance] = max(starts.get(instance, 0), evidence.last_start)
    expectation = expected.effective
    if expectation is not None and expectation.per_instance:
        starts = {**dict.fromkeys(expected.instances, 0), **starts}
        if starts:
            return starts
    return {"": max([expected.last_start, *starts.values()])}


def instance_of(key: GroupingKey) -> str:
    """Return the value of the label `instance`, empty where there is none."""
    return key.value_of("instance")


def _first(moments: Iterable[int | None]) -> int | None:
    return min([moment for moment in moments if moment is not None], default=None)


def _worst(outlooks: list[Outlook]) -> Outlook:
    """Return the outlook that is overdue for longest, or expected next."""

    def order(one: Outlook) -> tuple[bool, float]:
        return not one.is_overdue, one.next_expected or float("inf")

    return min(outlooks, key=order)


def _state(
    expected: JobExpectation,
    ahead: Outlook,
    held: Sequence[RunEvidence],
    running: int,
    abandoned: int,
    now: int,
) -> State:
    facts = (
        (State.PAUSED, expected.paused_until > now),
        (State.OVERDUE, ahead.is_overdue),
        (State.ABANDONED, abandoned > 0),
        (State.RUNNING, running > 0),
        (State.FAILED, any(_has_failed(each) for each in held)),
        (State.NEVER_RAN, not any(each.last_run for each in held)),
    )
    return next((state for state, holds in facts if holds), State.OK)


def _has_failed(evidence: RunEvidence) -> bool:
    last = evidence.last_run
    return last is not None and last.outcome is not Outcome.SUCCESS
