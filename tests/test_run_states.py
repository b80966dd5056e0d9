"""What is to be said of runs at some moment: tables of evidence, expectation, now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import key_of
from hypothesis import given
from hypothesis import strategies as st
from run_builders import run_id

from pushrelay.expectations import JobExpectation, Source
from pushrelay.run_evidence import LastRun, OpenRun, RunEvidence
from pushrelay.run_states import (
    OpenRuns,
    State,
    interval_of,
    job_state,
    last_starts,
    open_runs,
    outlook_of,
)
from pushrelay.runs import REMEMBERED, Outcome
from pushrelay.schedule import Expectation, Outlook

HOUR = 3600 * 10**9
HOURLY = Expectation(every=HOUR, grace=0)
EXPECTED = JobExpectation(api=HOURLY, since=1)


def evidence(
    *opened: int,
    success_start: int = 0,
    last_start: int = 0,
    outcome: Outcome | None = None,
    **labels: str,
) -> RunEvidence:
    """Return what runs left of which some are open since `opened`."""
    last_run = None
    if outcome is not None:
        last_run = LastRun(last_start + 1, run_id(1), outcome, None, None, None)
    return RunEvidence(
        key_of("a", **labels),
        last_start=max([last_start, *opened]),
        success_start=success_start,
        last_run=last_run,
        open=tuple([OpenRun(run_id(at), at) for at in opened]),
    )


# --- who runs, and who was abandoned ---


@pytest.mark.parametrize(
    ("held", "max_runtime", "now", "found"),
    [
        (evidence(), 10, 100, OpenRuns()),
        (evidence(5), None, 6, OpenRuns(1, 5, 0, 5 + REMEMBERED)),
        (evidence(5), None, 5 + REMEMBERED - 1, OpenRuns(1, 5, 0, 5 + REMEMBERED)),
        (evidence(5), None, 5 + REMEMBERED, OpenRuns()),
        (evidence(5), 10, 14, OpenRuns(1, 5, 0, 15)),
        (evidence(5), 10, 15, OpenRuns(0, None, 1, 5 + REMEMBERED, 5)),
        (evidence(5), 10, 5 + REMEMBERED - 1, OpenRuns(0, None, 1, 5 + REMEMBERED, 5)),
        (evidence(5), 10, 5 + REMEMBERED, OpenRuns()),
        (evidence(5), 2 * REMEMBERED, 6, OpenRuns(1, 5, 0, 5 + REMEMBERED)),
        (evidence(5, 9), 10, 14, OpenRuns(2, 5, 0, 15)),
        (evidence(5, 9), 10, 15, OpenRuns(1, 9, 1, 19, 5)),
        (evidence(5, 9), 10, 19, OpenRuns(0, None, 2, 5 + REMEMBERED, 5)),
        (evidence(5, success_start=5), 10, 15, OpenRuns(0, None, 1, 5 + REMEMBERED, 5)),
        (evidence(5, success_start=6), 10, 15, OpenRuns()),
        (evidence(5, success_start=6), 10, 14, OpenRuns(1, 5, 0, 15)),
        (evidence(5, 9, success_start=6), 10, 15, OpenRuns(1, 9, 0, 19)),
    ],
)
def test_a_run_is_abandoned_once_it_is_silent_for_longer_than_it_may_take(
    held: RunEvidence, max_runtime: int | None, now: int, found: OpenRuns
) -> None:
    assert open_runs(held, max_runtime, now) == found


LENGTHS = st.integers(1, 5) | st.just(2 * REMEMBERED)


@given(
    st.lists(st.integers(1, 20), max_size=4, unique=True).map(sorted),
    st.none() | LENGTHS,
    st.integers(0, 20),
    st.integers(0, 30) | st.integers(REMEMBERED - 5, REMEMBERED + 30),
    st.integers(0, 2 * REMEMBERED),
)
def test_nothing_changes_before_it_is_due(
    opened: list[int], limit: int | None, success_start: int, now: int, later: int
) -> None:
    held = evidence(*opened, success_start=success_start)
    found = open_runs(held, limit, now)
    moment = now + later if found.due is None else min(found.due - 1, now + later)
    assert open_runs(held, limit, moment) == found
    assert found.due is None or open_runs(held, limit, found.due) != found


# --- what is expected ---


def test_of_a_job_that_nobody_speaks_of_nothing_is_expected() -> None:
    assert outlook_of(JobExpectation(), 5, 10) == Outlook(None, 0, None)


def test_a_job_that_never_ran_is_overdue_after_its_first_slot_and_grace() -> None:
    expected = JobExpectation(rule=replace(HOURLY, grace=5), since=100)
    end = 100 + HOUR + 5
    assert outlook_of(expected, 0, end - 1) == Outlook(100 + HOUR, 0, end)
    assert outlook_of(expected, 0, end) == Outlook(100 + HOUR, 1, end + HOUR)


def test_slots_before_the_expectation_was_known_are_not_missed() -> None:
    expected = replace(EXPECTED, since=10 * HOUR)
    assert outlook_of(expected, HOUR, 10 * HOUR + 1).missed_slots == 0
    assert outlook_of(expected, HOUR, 11 * HOUR).missed_slots == 1


def test_in_a_pause_nothing_is_missed_and_the_first_run_comes_after_it() -> None:
    expected = EXPECTED.paused(10 * HOUR)
    for now in (HOUR, 5 * HOUR, 10 * HOUR - 1):
        assert outlook_of(expected, 1, now) == Outlook(11 * HOUR, 0, 10 * HOUR)


def test_after_a_pause_its_slots_are_not_missed() -> None:
    expected = EXPECTED.paused(10 * HOUR)
    assert outlook_of(expected, 1, 10 * HOUR) == Outlook(11 * HOUR, 0, 11 * HOUR)
    assert outlook_of(expected, 1, 11 * HOUR).missed_slots == 1


def test_after_a_pause_that_was_cut_short_its_slots_are_not_missed() -> None:
    expected = EXPECTED.paused(10 * HOUR).resumed(5 * HOUR)
    assert outlook_of(expected, 1, 5 * HOUR) == Outlook(6 * HOUR, 0, 6 * HOUR)


def test_a_pause_that_never_ends_is_like_any_other() -> None:
    daily = JobExpectation(api=Expectation(schedule="0 3 * * *"), since=1)
    for_ever = 2**63 - 1
    ahead = outlook_of(daily.paused(for_ever), 1, 1000 * HOUR)
    assert ahead.missed_slots == 0
    assert ahead.due == for_ever


@pytest.mark.parametrize(
    ("expectation", "slot", "interval"),
    [
        (HOURLY, 5, HOUR),
        (Expectation(schedule="0 3 * * *"), 3 * HOUR, 24 * HOUR),
        (Expectation(schedule="0 3 * * 1"), 99 * HOUR, 168 * HOUR),
        (Expectation(max_runtime=5), 5, None),
    ],
)
def test_the_interval_is_the_time_to_the_slot_after(
    expectation: Expectation, slot: int, interval: int | None
) -> None:
    assert interval_of(expectation, slot) == interval


# --- whose starts count ---

MOVED = [
    evidence(last_start=5, instance="old"),
    evidence(last_start=9, instance="new"),
    evidence(last_start=7),
]


def test_a_job_has_run_if_any_instance_has() -> None:
    assert last_starts(MOVED, EXPECTED) == {"": 9}
    assert last_starts([], EXPECTED) == {"": 0}
    assert last_starts(MOVED, JobExpectation()) == {"": 9}


EACH = replace(HOURLY, per_instance=True)


def test_each_instance_must_run_if_that_is_expected() -> None:
    expected = JobExpectation(api=EACH)
    assert last_starts(MOVED, expected) == {"old": 5, "new": 9, "": 7}
    assert last_starts([], expected) == {"": 0}


def test_keys_of_one_instance_count_together() -> None:
    held = [
        evidence(last_start=5, instance="i", shard="1"),
        evidence(last_start=9, instance="i", shard="2"),
    ]
    assert last_starts(held, JobExpectation(api=EACH)) == {"i": 9}


def test_instances_that_a_rule_names_are_expected_before_they_ever_ran() -> None:
    expected = JobExpectation(rule=EACH, instances=("new", "never"))
    assert last_starts(MOVED[1:2], expected) == {"new": 9, "never": 0}
    whole = JobExpectation(rule=HOURLY, instances=("new", "never"))
    assert last_starts(MOVED[1:2], whole) == {"": 9}


# --- jobs ---

LIMITED = JobExpectation(api=Expectation(max_runtime=10))
OK, FAILED = Outcome.SUCCESS, Outcome.FAILURE


@pytest.mark.parametrize(
    ("expected", "held", "now", "state"),
    [
        (JobExpectation(), [], 5, State.NEVER_RAN),
        (JobExpectation(), [evidence()], 5, State.NEVER_RAN),
        (JobExpectation(), [evidence(outcome=OK)], 5, State.OK),
        (JobExpectation(), [evidence(outcome=FAILED)], 5, State.FAILED),
        (
            JobExpectation(),
            [evidence(outcome=OK), evidence(outcome=Outcome.TIMEOUT, instance="i")],
            5,
            State.FAILED,
        ),
        (JobExpectation(), [evidence(3, outcome=FAILED)], 5, State.RUNNING),
        (LIMITED, [evidence(3, 14)], 15, State.ABANDONED),
        (LIMITED, [evidence(3, success_start=4, outcome=OK)], 15, State.OK),
        (EXPECTED, [evidence(outcome=OK)], HOUR, State.OK),
        (EXPECTED, [evidence(outcome=FAILED)], HOUR + 1, State.OVERDUE),
        (EXPECTED, [], HOUR + 1, State.OVERDUE),
        (EXPECTED.paused(2 * HOUR), [], 2 * HOUR - 1, State.PAUSED),
        (EXPECTED.paused(2 * HOUR), [], 2 * HOUR, State.NEVER_RAN),
        (EXPECTED.paused(2 * HOUR), [], 3 * HOUR, State.OVERDUE),
    ],
)
def test_a_job_is_in_the_first_state_that_holds(
    expected: JobExpectation, held: list[RunEvidence], now: int, state: State
) -> None:
    assert job_state("a", held, expected, now).state is state


def test_a_job_is_what_all_its_keys_come_to() -> None:
    one = replace(
        evidence(5, 8, last_start=7, outcome=FAILED),
        last_success=2,
        failures=3,
        failing_since=4,
    )
    other = replace(
        evidence(6, last_start=9, outcome=OK, instance="i"),
        last_success=10,
        failures=1,
        failing_since=3,
    )
    state = job_state("a", [one, other], LIMITED, 15)
    assert state.last_start == 9
    assert state.last_run == other.last_run
    assert state.last_success == 10
    assert (state.running, state.running_since, state.abandoned) == (2, 6, 1)
    assert (state.failures, state.failing_since, state.keys) == (3, 3, 2)


def test_of_its_instances_the_one_counts_that_is_late_for_longest() -> None:
    held = [
        evidence(last_start=9 * HOUR, instance="fine"),
        evidence(last_start=3 * HOUR, instance="late"),
        evidence(last_start=4 * HOUR, instance="later"),
    ]
    expected = JobExpectation(api=EACH, since=1)
    ahead = job_state("a", held, expected, 9 * HOUR).outlook
    assert ahead == Outlook(4 * HOUR, 6, 10 * HOUR)


def test_what_was_said_of_a_job_goes_with_its_state() -> None:
    expected = JobExpectation().told(Source.RULE, HOURLY, 1)
    assert job_state("a", [], expected, 5).expected is expected
