"""What the runs with one grouping key leave behind, for as long as the job is known.

Reports come late, twice and in any order, and all that is here is the same in the end.
For that, a counter counts only what cannot change any more: a run at its end, and what
two runs have to do with each other once both have ended. What may still change is a
gauge. Where a run that comes late needs to know its neighbours, the store is asked;
mostly runs come in order, and what is kept here is enough.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import frexp
from typing import Protocol, TypeVar

from pushrelay.grouping_key import GroupingKey
from pushrelay.runs import End, Outcome, Run

MOST_OPEN = 1000
"""So many unfinished runs of one key are known; of more, the last ones to start."""

DEFAULT_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Upper bounds of the durations' buckets in seconds: a second to six hours."""

SCHEMA = 3
"""Of the native histogram of durations: eight buckets for each doubling."""

_FRACTIONS = tuple(2 ** (step / 2**SCHEMA) / 2 for step in range(2**SCHEMA))
_NANOSECONDS = 10**9

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has not finished, as far as is known."""

    id: bytes
    started_at: int
    is_anonymous: bool = False


@dataclass(frozen=True, slots=True)
class LastRun:
    """The run that finished last; as in `Run`."""

    finished_at: int
    id: bytes
    outcome: Outcome
    duration: int | None
    exit_code: int | None
    max_rss_bytes: int | None

    @staticmethod
    def of(id_: bytes, end: End) -> LastRun:
        """Return what is kept of the run `id_` as the last one to finish."""
        return LastRun(
            end.finished_at,
            id_,
            end.outcome,
            end.duration,
            end.exit_code,
            end.usage.max_rss_bytes,
        )


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations of runs, counted in buckets.

    total: nanoseconds, a whole number so that their order makes no difference.
    classic: counts by upper bound in seconds, each duration in but one bucket.
    native: counts by the number of the bucket in a native histogram of `SCHEMA`.
    """

    count: int = 0
    total: int = 0
    classic: Mapping[float, int] = field(default_factory=dict)
    native: Mapping[int, int] = field(default_factory=dict)
    zeros: int = 0

    def with_one(self, duration: int, bounds: tuple[float, ...]) -> Durations:
        """Return these and one more."""
        seconds = duration / _NANOSECONDS
        at = bisect_left(bounds, seconds)
        bound = bounds[at] if at < len(bounds) else float("inf")
        number = native_bucket(seconds)
        return Durations(
            self.count + 1,
            self.total + duration,
            _counted(self.classic, bound),
            self.native if number is None else _counted(self.native, number),
            self.zeros + (number is None),
        )


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A run that has finished and began just before or after another one."""

    started_at: int
    min_interval: int | None


class History(Protocol):
    """The finished runs with one grouping key, without the one that is asked about and
    without those that were skipped."""

    def overlapping(self, run: Run) -> int:
        """How many ran at a moment at which `run` did."""

    def neighbours(self, run: Run) -> tuple[Neighbour | None, Neighbour | None]:
        """The runs that began just before and just after `run`, by (start, id)."""

    def failures_after(self, finished_at: int) -> tuple[int, int | None]:
        """How many that were no success finished later, and when the first did."""


@dataclass(frozen=True, slots=True, eq=False)
class RunEvidence:
    """All that is kept of the runs with the grouping key `key`; immutable.

    runs: how many finished, by outcome. last_start, last_finish, last_success: moments,
    0 for never; skipped runs only have last_skip, their end. last_ended_start: the last
    start of those that finished, with the run's id. success_start: the last start of
    those that succeeded.
    failures: how many failed since the last success; failing_since: when the first of
    them finished. open: runs that have not finished, by start.
    """

    key: GroupingKey
    revision: int = 0
    runs: Mapping[Outcome, int] = field(default_factory=dict)
    last_start: int = 0
    last_finish: int = 0
    last_success: int = 0
    success_start: int = 0
    last_ended_start: tuple[int, bytes] = (0, b"")
    last_run: LastRun | None = None
    failures: int = 0
    failing_since: int | None = None
    durations: Durations = field(default_factory=Durations)
    cpu_user: int | None = None
    cpu_system: int | None = None
    overlaps: int = 0
    early_runs: int = 0
    open: tuple[OpenRun, ...] = ()
    last_skip: int = 0

    @property
    def last_sign_of_life(self) -> int:
        """The last moment at which a run began, ended or was skipped."""
        return max(self.last_start, self.last_finish, self.last_skip)

    def started(self, run: Run, *, is_anonymous: bool = False) -> RunEvidence:
        """Return the evidence once `run`, which is not known, has started.

        An anonymous start ends all waiting for the ends of those before it.
        """
        others = self.open
        if is_anonymous:
            others = tuple(one for one in others if not one.is_anonymous)
        new = OpenRun(run.id, run.started_at, is_anonymous)
        opened = sorted([*others, new], key=_by_start)[-MOST_OPEN:]
        last_start = max(self.last_start, run.started_at)
        return replace(self, open=tuple(opened), last_start=last_start)

    def finished(
        self, run: Run, end: End, history: History, bounds: tuple[float, ...]
    ) -> RunEvidence:
        """Return the evidence once `run`, which was not known to be at its end, is.

        bounds: upper bounds of the durations' buckets, seconds, in order.
        """
        after = replace(
            self,
            runs=_counted(self.runs, end.outcome),
            open=tuple([one for one in self.open if one.id != run.id]),
        )
        if end.outcome is Outcome.SKIPPED:
            return after._with_skip(end, was_open=after.open != self.open)
        after = after._with_meetings(run, history)
        after = after._with_failures(end, history)
        after = after._with_times(run, end)
        return after._with_usage(end, bounds)

    def _with_skip(self, end: End, *, was_open: bool) -> RunEvidence:
        """Note a run that never ran; if it was taken for one that did, its start was
        none."""
        last_start = self.last_start
        if was_open:
            others = [self.last_ended_start[0], *[one.started_at for one in self.open]]
            last_start = max(others)
        last_skip = max(self.last_skip, end.finished_at)
        return replace(self, last_start=last_start, last_skip=last_skip)

    def _with_meetings(self, run: Run, history: History) -> RunEvidence:
        """Count with which runs `run` overlapped, and which of them came too early."""
        overlaps = 0
        if run.started_at < self.last_finish:
            overlaps = history.overlapping(run)
        place = (run.started_at, run.id)
        before = after = None
        if place <= self.last_ended_start:
            before, after = history.neighbours(run)
        elif self.last_ended_start[1]:
            before = Neighbour(self.last_ended_start[0], None)
        this = Neighbour(run.started_at, run.min_interval)
        early = _is_early(this, before) + _is_early(after, this)
        # The one after was compared with the one before until now.
        early -= _is_early(after, before)
        return replace(
            self,
            overlaps=self.overlaps + overlaps,
            early_runs=self.early_runs + early,
            last_ended_start=max(self.last_ended_start, place),
        )

    def _with_failures(self, end: End, history: History) -> RunEvidence:
        """Count the failures since the last success, either of which may come late."""
        finished_at = end.finished_at
        if finished_at <= self.last_success:
            return self
        if end.outcome is not Outcome.SUCCESS:
            since = min(self.failing_since or finished_at, finished_at)
            return replace(self, failures=self.failures + 1, failing_since=since)
        failures, first = 0, None
        if finished_at < self.last_finish:
            failures, first = history.failures_after(finished_at)
        return replace(self, failures=failures, failing_since=first)

    def _with_times(self, run: Run, end: End) -> RunEvidence:
        success = (self.last_success, self.success_start)
        if end.outcome is Outcome.SUCCESS:
            # One that takes long may finish after others that began later.
            success = (
                max(self.last_success, end.finished_at),
                max(self.success_start, run.started_at),
            )
        held = self.last_run
        is_last = held is None or (held.finished_at, held.id) < (
            end.finished_at,
            run.id,
        )
        return replace(
            self,
            last_start=max(self.last_start, run.started_at),
            last_finish=max(self.last_finish, end.finished_at),
            last_success=success[0],
            success_start=success[1],
            last_run=LastRun.of(run.id, end) if is_last else held,
        )

    def _with_usage(self, end: End, bounds: tuple[float, ...]) -> RunEvidence:
        durations = self.durations
        if end.duration is not None:
            durations = durations.with_one(end.duration, bounds)
        return replace(
            self,
            durations=durations,
            cpu_user=_sum(self.cpu_user, end.usage.user),
            cpu_system=_sum(self.cpu_system, end.usage.system),
        )


def native_bucket(value: float) -> int | None:
    """Return the number of the bucket of a native histogram of `SCHEMA` that `value`,
    not negative, is in; None for the zero bucket. As Go's client finds it."""
    if value <= 0:
        return None
    fraction, exponent = frexp(value)
    return bisect_left(_FRACTIONS, fraction) + (exponent - 1) * len(_FRACTIONS)


def _is_early(run: Neighbour | None, before: Neighbour | None) -> bool:
    if run is None or before is None or run.min_interval is None:
        return False
    return run.started_at - before.started_at < run.min_interval


def _by_start(run: OpenRun) -> tuple[int, bytes]:
    return run.started_at, run.id


def _counted(counts: Mapping[_Key, int], key: _Key) -> dict[_Key, int]:
    return {**counts, key: counts.get(key, 0) + 1}


def _sum(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more
