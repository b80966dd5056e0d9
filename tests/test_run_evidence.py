"""The evidence of runs is the same in whatever order they are reported."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import (
    DEFAULT_BUCKETS,
    MOST_OPEN,
    Durations,
    Neighbour,
    OpenRun,
    RunEvidence,
    native_bucket,
)
from pushrelay.runs import End, Outcome, Run, Usage

KEY = GroupingKey.of({"job": "backup"})
SECOND = 10**9
EVIDENCE = RunEvidence(KEY)


@dataclass
class Known:
    """All runs that have ended, as a plain list; a `History` without `run`."""

    ended: list[Run] = field(default_factory=list)

    def overlapping(self, run: Run) -> int:
        assert run.end is not None
        return sum(
            one.started_at < run.end.finished_at and run.started_at < end_of(one)
            for one in self._ran()
        )

    def neighbours(self, run: Run) -> tuple[Neighbour | None, Neighbour | None]:
        place = place_of(run)
        before = [one for one in self._ran() if place_of(one) < place]
        after = [one for one in self._ran() if place_of(one) > place]
        last = max(before, key=place_of, default=None)
        first = min(after, key=place_of, default=None)
        return _neighbour(last), _neighbour(first)

    def failures_after(self, finished_at: int) -> tuple[int, int | None]:
        later = [
            end_of(one)
            for one in self._ran()
            if end_of(one) > finished_at and outcome_of(one) is not Outcome.SUCCESS
        ]
        return len(later), min(later, default=None)

    def _ran(self) -> list[Run]:
        return [one for one in self.ended if outcome_of(one) is not Outcome.SKIPPED]


def _neighbour(run: Run | None) -> Neighbour | None:
    return None if run is None else Neighbour(run.started_at, run.min_interval)


def place_of(run: Run) -> tuple[int, bytes]:
    return run.started_at, run.id


def end_of(run: Run) -> int:
    assert run.end is not None
    return run.end.finished_at


def outcome_of(run: Run) -> Outcome:
    assert run.end is not None
    return run.end.outcome


def ended(
    number: int,
    start: int,
    finish: int,
    outcome: Outcome = Outcome.SUCCESS,
) -> Run:
    """Return a run from second `start` to second `finish`."""
    end = End(finish * SECOND, outcome, (finish - start) * SECOND)
    return replace(begun(number, start), end=end)


def begun(number: int, start: int) -> Run:
    return Run(bytes([number]) * 16, KEY, start * SECOND)


class Reader:
    """Takes reports as the relay does: what is known already changes nothing."""

    def __init__(self) -> None:
        self.evidence = EVIDENCE
        self.known = Known()
        self.seen: set[bytes] = set()

    def report(self, run: Run) -> None:
        finished = {one.id for one in self.known.ended}
        if run.id in finished or (run.end is None and run.id in self.seen):
            return
        self.seen.add(run.id)
        if run.end is None:
            self.evidence = self.evidence.started(run)
            return
        self.evidence = self.evidence.finished(
            run, run.end, self.known, DEFAULT_BUCKETS
        )
        self.known.ended.append(run)


def after(*runs: Run) -> RunEvidence:
    reader = Reader()
    for run in runs:
        reader.report(run)
    return reader.evidence


def counters(evidence: RunEvidence) -> dict[object, int]:
    """Return all that must never fall."""
    durations = evidence.durations
    return {
        **evidence.runs,
        **{f"le {bound}": count for bound, count in durations.classic.items()},
        **{f"bucket {at}": count for at, count in durations.native.items()},
        "count": durations.count,
        "sum": durations.total,
        "zeros": durations.zeros,
        "user": evidence.cpu_user or 0,
        "system": evidence.cpu_system or 0,
        "overlaps": evidence.overlaps,
        "early": evidence.early_runs,
    }


@st.composite
def _runs(draw: st.DrawFn) -> list[Run]:
    made = []
    for number in range(draw(st.integers(1, 7))):
        start = draw(st.integers(1, 30))
        length = draw(st.integers(0, 10))
        usage = Usage(
            draw(st.none() | st.integers(0, 5)), draw(st.none() | st.integers(0, 5))
        )
        run = ended(number, start, start + length, draw(st.sampled_from(Outcome)))
        assert run.end is not None
        duration = draw(st.sampled_from([None, run.end.duration]))
        interval = draw(st.none() | st.integers(1, 8))
        made.append(
            replace(
                run,
                min_interval=interval and interval * SECOND,
                end=replace(run.end, usage=usage, duration=duration),
            )
        )
    return made


# runs.md: 4, 5, 11
@given(_runs(), st.data())
def test_any_order_of_reports_comes_to_the_same_and_no_counter_ever_falls(
    runs: list[Run], data: st.DataObject
) -> None:
    starts = [replace(run, end=None) for run in runs]
    lost = data.draw(st.sets(st.integers(0, len(runs) - 1)))
    reports = runs + [start for at, start in enumerate(starts) if at not in lost]
    replays = data.draw(st.lists(st.sampled_from(reports), max_size=5))
    reader, before = Reader(), counters(EVIDENCE)
    for report in data.draw(st.permutations(reports + replays)):
        reader.report(report)
        now = counters(reader.evidence)
        for name, count in before.items():
            assert now[name] >= count, name
        before = now
    expected = after(*sorted(runs, key=lambda run: (end_of(run), run.id)))
    assert counters(reader.evidence) == counters(expected)
    names = ("last_start", "last_finish", "last_success", "success_start", "last_run")
    for name in names:
        assert getattr(reader.evidence, name) == getattr(expected, name), name
    assert reader.evidence.failures == expected.failures
    assert reader.evidence.failing_since == expected.failing_since
    assert reader.evidence.open == ()


# runs.md: 8
@given(_runs())
def test_the_evidence_is_what_a_look_at_all_runs_gives(runs: list[Run]) -> None:
    ran = [run for run in runs if outcome_of(run) is not Outcome.SKIPPED]
    pairs = [
        (one, other)
        for at, one in enumerate(ran)
        for other in ran[at + 1 :]
        if one.started_at < end_of(other) and other.started_at < end_of(one)
    ]
    in_order = sorted(ran, key=place_of)
    early = [
        run
        for before, run in pairwise(in_order)
        if run.min_interval and run.started_at - before.started_at < run.min_interval
    ]
    evidence = after(*runs)
    assert evidence.overlaps == len(pairs)
    assert evidence.early_runs == len(early)
    successes = [end_of(run) for run in ran if outcome_of(run) is Outcome.SUCCESS]
    last = max(successes, default=0)
    failures = [
        end_of(run)
        for run in ran
        if outcome_of(run) is not Outcome.SUCCESS and end_of(run) > last
    ]
    assert evidence.failures == len(failures)
    assert evidence.failing_since == min(failures, default=None)


def test_a_start_opens_a_run_and_its_end_closes_it() -> None:
    evidence = after(begun(1, 5))
    assert evidence.open == (OpenRun(bytes([1]) * 16, 5 * SECOND),)
    assert evidence.last_start == 5 * SECOND
    assert evidence.runs == {}
    evidence = after(begun(1, 5), ended(1, 5, 9))
    assert evidence.open == ()
    assert evidence.runs == {Outcome.SUCCESS: 1}


# runs.md: 7
def test_a_skipped_run_is_counted_and_leaves_nothing_else() -> None:
    evidence = after(ended(1, 5, 9), ended(2, 6, 6, Outcome.SKIPPED))
    expected = after(ended(1, 5, 9))
    assert evidence.runs == {Outcome.SUCCESS: 1, Outcome.SKIPPED: 1}
    for name in ("last_start", "last_finish", "last_run", "overlaps", "failures"):
        assert getattr(evidence, name) == getattr(expected, name), name


# runs.md: 7
def test_the_start_of_a_run_that_was_skipped_was_none() -> None:
    waiting = after(ended(1, 5, 9), begun(2, 20))
    assert waiting.last_start == 20 * SECOND
    skipped = ended(2, 20, 21, Outcome.SKIPPED)
    assert after(ended(1, 5, 9), begun(2, 20), skipped).last_start == 5 * SECOND
    others = after(ended(1, 5, 9), begun(3, 15), begun(2, 20), skipped)
    assert others.last_start == 15 * SECOND
    assert after(begun(2, 20), skipped).last_start == 0


def test_an_anonymous_start_takes_the_place_of_those_before_it() -> None:
    evidence = EVIDENCE.started(begun(1, 5), is_anonymous=True)
    evidence = evidence.started(begun(2, 6))
    evidence = evidence.started(begun(3, 7), is_anonymous=True)
    assert [one.id[0] for one in evidence.open] == [2, 3]


# runs.md: 26
def test_only_so_many_open_runs_are_known() -> None:
    evidence = EVIDENCE
    for number in range(MOST_OPEN + 5):
        run = Run(number.to_bytes(16), KEY, number + 1)
        evidence = evidence.started(run)
    assert len(evidence.open) == MOST_OPEN
    assert evidence.open[0].started_at == 6


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0, 1), (1, 1), (1.0000001, 5), (21600, 21600), (21601, float("inf"))],
)
def test_a_duration_is_in_the_first_bucket_that_holds_it(
    seconds: float, bound: float
) -> None:
    durations = Durations().with_one(int(seconds * 1e9), DEFAULT_BUCKETS)
    assert durations.classic == {bound: 1}
    assert (durations.count, durations.total) == (1, int(seconds * 1e9))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.0, None),
        (0.5, -8),
        (0.51, -7),
        (1.0, 0),
        (1.0000001, 1),
        (2.0, 8),
        (2.1, 9),
        (2.2, 10),
        (3600.0, 95),
    ],
)
def test_native_buckets_end_where_prometheus_has_them(
    value: float, number: int | None
) -> None:
    assert native_bucket(value) == number
    if number is not None:
        assert 2 ** ((number - 1) / 8) < value <= 2 ** (number / 8)


def test_the_last_start_of_a_success_is_known_whichever_finished_last() -> None:
    evidence = after(ended(1, 20, 30), ended(2, 5, 40))
    assert evidence.success_start == 20 * SECOND
    assert after(ended(2, 5, 40), ended(1, 20, 30)).success_start == 20 * SECOND
