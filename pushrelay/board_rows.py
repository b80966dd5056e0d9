"""The rows of the jobs board: what each instance of each job is like at some moment.

A job without the label `instance` has one row. A row follows from the evidence of runs,
from what is expected and from the groups with these labels; nothing here is stored.
Unix nanoseconds throughout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf

from pushrelay.expectations import JobExpectation
from pushrelay.groups import Group
from pushrelay.run_evidence import LastRun, RunEvidence
from pushrelay.run_states import (
    JobState,
    State,
    instance_of,
    last_starts,
    outlook_of,
    state_with,
)
from pushrelay.schedule import Outlook


class RowState(Enum):
    """What a row is like, in the order in which rows need someone's attention.

    overdue: a run was expected and did not come. failed: the last run did, or the last
    push was refused. abandoned: a run has no end and nobody waits for one. stale: no
    family of its groups is fresh. never ran: runs are expected or known, none ended.
    """

    OVERDUE = "overdue"
    FAILED = "failed"
    ABANDONED = "abandoned"
    STALE = "stale"
    NEVER_RAN = "never ran"
    RUNNING = "running"
    OK = "ok"
    PAUSED = "paused"

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look at it."""
        return _RANKS[self] <= _RANKS[RowState.STALE]


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A job's instance at some moment; times are 0 or None for never.

    instance: empty for groups and runs without such a label. last_run: that finished
    last. running, running_since: unfinished runs that may be at work. abandoned: those
    that nobody waits for. failures: in a row, the most of any key; failing_since: when
    the first of them ended. next_expected: the first slot that no run has satisfied;
    missed_slots: how many were missed since. pushed_at: of the groups' last accepted
    push; push_failed_at: of their last refused one, if none was accepted since.
    stale_at: when the last of them goes stale or went; keys: ids of the grouping keys
    that have runs. groups: how many groups. due: when the state may change without a
    report or a push.
    """

    job: str
    instance: str
    state: RowState
    last_run: LastRun | None
    last_start: int
    last_success: int
    running: int
    running_since: int | None
    abandoned: int
    failures: int
    failing_since: int | None
    next_expected: int | None
    missed_slots: int
    paused_until: int | None
    pushed_at: int
    push_failed_at: int
    stale_at: int | None
    keys: tuple[bytes, ...]
    groups: int
    due: int | None


RowPlace = tuple[int, str, str]
"""Where a row stands: the rank of its state, the job, the instance."""

_RANKS = {state: rank for rank, state in enumerate(RowState)}


def rank_of(state: RowState) -> int:
    """Return how many states need someone's attention before `state`."""
    return _RANKS[state]


def place_of(row: BoardRow) -> RowPlace:
    """Return where `row` stands."""
    return _RANKS[row.state], row.job, row.instance


# --- runs ---


class JobRuns:
    """What is known at `now` of the runs of a job, instance by instance.

    evidences: of its keys, without forgotten ones. expected: what was said, with the
    last start of those that are forgotten. forget_at: says when the evidence of a key
    is forgotten, infinity for never.
    instances: those that have runs or are expected to; "" stands for the job as a whole
    where there are no others. common: what the states of all instances depend on beside
    their own evidence; equal at two moments if it did not change between them.
    """

    def __init__(
        self,
        job: str,
        evidences: Sequence[RunEvidence],
        expected: JobExpectation,
        now: int,
        forget_at: Callable[[bytes], float] = lambda _: inf,
    ) -> None:
        self._job, self._expected, self._now = job, expected, now
        self._forget_at = forget_at
        self._held: dict[str, list[RunEvidence]] = defaultdict(list)
        for evidence in evidences:
            self._held[instance_of(evidence.key)].append(evidence)
        self._starts = last_starts(evidences, expected)
        self.instances = frozenset(self._held)
        expectation = expected.effective
        ahead = None
        if expectation is not None and expectation.per_instance:
            self.instances |= self._starts.keys()
        else:
            ahead = outlook_of(expected, self._starts[""], now)
            if expectation is not None and not evidences:
                self.instances = frozenset([""])
        self._ahead = ahead
        # With each report, it is said by a later run.
        self.common = (replace(expected, reported_at=0), ahead)

    def state(self, instance: str) -> JobState:
        """Return the state of one of its instances."""
        expected, ahead = self._expected, self._ahead
        if ahead is None:
            ahead = outlook_of(expected, self._starts[instance], self._now)
        held = sorted(self._held.get(instance, ()), key=_id)
        if held and expected.last_start:
            # Of others, or of none that is still known.
            expected = replace(expected, last_start=0)
        until = min([self._forget_at(each.key.id) for each in held], default=inf)
        return state_with(
            self._job,
            held,
            expected,
            ahead,
            self._now,
            int(until) if until < inf else None,
        )


def _id(evidence: RunEvidence) -> bytes:
    return evidence.key.id


# --- groups ---


@dataclass(frozen=True, slots=True)
class _Pushes:
    """What was pushed to some groups; as in BoardRow."""

    groups: int
    pushed_at: int
    failed_at: int
    stale_at: int | None
    due: int | None


def _pushes(groups: Iterable[Group], now: int) -> _Pushes:
    """Return what was pushed to those of `groups` that are not forgotten at `now`."""
    count = pushed_at = failed_at = stale_at = 0
    goes_stale = True
    dues = []
    for group in groups:
        standing = group.standing
        forget_at = standing.forget_at if standing else None
        if forget_at is not None:
            if forget_at <= now:
                continue
            dues.append(forget_at)
        count += 1
        pushed_at = max(pushed_at, group.pushed_at)
        if not group.last_push_successful:
            failed_at = max(failed_at, group.failed_at)
        if standing is None or standing.stale_at is None:
            goes_stale = False
        else:
            stale_at = max(stale_at, standing.stale_at)
    if not (count and goes_stale):
        return _Pushes(count, pushed_at, failed_at, None, min(dues, default=None))
    if stale_at > now:
        dues.append(stale_at)
    return _Pushes(count, pushed_at, failed_at, stale_at, min(dues, default=None))


# --- rows ---

_NO_RUNS = state_with("", (), JobExpectation(), Outlook(None, 0, None), 0)
_OF_RUNS = {state: RowState(state.value) for state in State}
_MILD = (State.NEVER_RAN, State.OK)
"""What runs may be while pushes say something worse."""


def row_of(
    job: str,
    instance: str,
    runs: JobState | None,
    groups: Sequence[Group],
    now: int,
) -> BoardRow | None:
    """Return the row of an instance at `now`, or None if there is nothing to show.

    runs: its state, if it has runs or is expected to. groups: all that have its labels;
    those that are forgotten are left out.
    """
    pushes = _pushes(groups, now)
    if runs is None and not pushes.groups:
        return None
    state = _state(runs.state if runs else State.OK, pushes, now)
    runs = runs or _NO_RUNS
    dues = [due for due in (runs.due, pushes.due) if due is not None]
    paused_until = runs.expected.paused_until
    return BoardRow(
        job,
        instance,
        state,
        runs.last_run,
        runs.last_start,
        runs.last_success,
        runs.running,
        runs.running_since,
        runs.abandoned,
        runs.failures,
        runs.failing_since,
        runs.outlook.next_expected,
        runs.outlook.missed_slots,
        paused_until if paused_until > now else None,
        pushes.pushed_at,
        pushes.failed_at,
        pushes.stale_at,
        tuple([each.key.id for each in runs.evidences]),
        pushes.groups,
        min(dues, default=None),
    )


def _state(of_runs: State, pushes: _Pushes, now: int) -> RowState:
    if of_runs in _MILD:
        if pushes.failed_at:
            return RowState.FAILED
        if pushes.stale_at is not None and pushes.stale_at <= now:
            return RowState.STALE
    return _OF_RUNS[of_runs]
