"""What each instance of a job is like: tables of runs, expectations, pushes, now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from board_use import HOUR, evidence, group, rows_at
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.board_rows import JobRuns, RowState, place_of, rank_of
from pushrelay.expectations import JobExpectation
from pushrelay.freshness import Policy
from pushrelay.groups import Group
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import job_state
from pushrelay.runs import REMEMBERED, Outcome
from pushrelay.schedule import Expectation

OK, FAILURE = Outcome.SUCCESS, Outcome.FAILURE
HOURLY = Expectation(every=HOUR, grace=0)
EXPECTED = JobExpectation(api=HOURLY, since=1)
EACH = JobExpectation(api=replace(HOURLY, per_instance=True), since=1)
LIMITED = JobExpectation(api=Expectation(max_runtime=10))
NOTHING = JobExpectation()
STALE = Policy(stale_after=10)


def states(
    held: list[RunEvidence],
    groups: list[Group],
    now: int,
    expected: JobExpectation = NOTHING,
) -> dict[str, str]:
    """Return the state of each row, by its instance."""
    rows = rows_at("a", held, expected, groups, now)
    return {row.instance: row.state.value for row in rows}


# --- states ---


@pytest.mark.parametrize(
    ("expected", "held", "groups", "now", "state"),
    [
        # runs alone
        (NOTHING, [evidence(outcome=OK)], [], 5, "ok"),
        (NOTHING, [evidence(outcome=FAILURE)], [], 5, "failed"),
        (NOTHING, [evidence()], [], 5, "never ran"),
        (NOTHING, [evidence(3, outcome=FAILURE)], [], 5, "running"),
        (LIMITED, [evidence(3, 14)], [], 15, "abandoned"),
        (EXPECTED, [evidence(outcome=FAILURE)], [], HOUR + 1, "overdue"),
        (EXPECTED.paused(2 * HOUR), [evidence(outcome=FAILURE)], [], HOUR, "paused"),
        # expected and never seen
        (EXPECTED, [], [], HOUR, "never ran"),
        (EXPECTED, [], [], HOUR + 1, "overdue"),
        # pushes alone
        (NOTHING, [], [group(1)], 5, "ok"),
        (NOTHING, [], [group(1, failed_at=1)], 5, "ok"),
        (NOTHING, [], [group(1, failed_at=2)], 5, "failed"),
        (NOTHING, [], [group(0, failed_at=2)], 5, "failed"),
        (NOTHING, [], [group(1, policy=STALE)], 10, "ok"),
        (NOTHING, [], [group(1, policy=STALE)], 11, "stale"),
        (NOTHING, [], [group(1, failed_at=2, policy=STALE)], 11, "failed"),
        # some groups of one row
        (NOTHING, [], [group(1), group(1, failed_at=2, shard="2")], 5, "failed"),
        (NOTHING, [], [group(1, policy=STALE), group(1, shard="2")], 50, "ok"),
        (
            NOTHING,
            [],
            [group(1, policy=STALE), group(9, shard="2", policy=STALE)],
            18,
            "ok",
        ),
        (
            NOTHING,
            [],
            [group(1, policy=STALE), group(9, shard="2", policy=STALE)],
            19,
            "stale",
        ),
        # runs and pushes
        (NOTHING, [evidence(outcome=OK)], [group(1)], 5, "ok"),
        (NOTHING, [evidence(outcome=OK)], [group(1, failed_at=2)], 5, "failed"),
        (NOTHING, [evidence(outcome=OK)], [group(1, policy=STALE)], 50, "stale"),
        (NOTHING, [evidence(outcome=FAILURE)], [group(1, policy=STALE)], 50, "failed"),
        (NOTHING, [evidence(3)], [group(1, failed_at=2, policy=STALE)], 50, "running"),
        (LIMITED, [evidence(3)], [group(1, failed_at=2)], 15, "abandoned"),
        (EXPECTED, [], [group(1)], HOUR, "never ran"),
        (EXPECTED, [], [group(1, policy=STALE)], HOUR, "stale"),
        (EXPECTED, [], [group(1, failed_at=2)], HOUR, "failed"),
        (EXPECTED, [], [group(1, failed_at=2)], HOUR + 1, "overdue"),
        (EXPECTED.paused(2 * HOUR), [], [group(1, failed_at=2)], HOUR, "paused"),
    ],
)
def test_a_row_is_in_the_first_state_that_holds(
    expected: JobExpectation,
    held: list[RunEvidence],
    groups: list[Group],
    now: int,
    state: str,
) -> None:
    assert states(held, groups, now, expected) == {"": state}


def test_a_failure_that_a_new_run_hides_is_still_counted() -> None:
    failing = replace(evidence(3, outcome=FAILURE), failures=4, failing_since=1)
    [row] = rows_at("a", [failing], NOTHING, [], 5)
    assert (row.state, row.failures, row.failing_since) == (RowState.RUNNING, 4, 1)


# --- instances ---


def test_each_instance_that_runs_or_pushes_has_a_row() -> None:
    held = [evidence(outcome=OK, instance="i"), evidence(outcome=FAILURE)]
    groups = [group(1, instance="i"), group(1, failed_at=2, instance="j")]
    assert states(held, groups, 5) == {"": "failed", "i": "ok", "j": "failed"}


def test_who_only_pushes_does_not_miss_what_the_job_should_run() -> None:
    held = [evidence(outcome=OK, last_start=1, instance="i")]
    groups = [group(1, instance="j")]
    assert states(held, groups, 2 * HOUR, EXPECTED) == {"i": "overdue", "j": "ok"}
    assert states([], groups, 2 * HOUR, EXPECTED) == {"": "overdue", "j": "ok"}
    paused = EXPECTED.paused(3 * HOUR)
    assert states(held, groups, 2 * HOUR, paused) == {"i": "paused", "j": "ok"}


def test_a_run_of_any_instance_is_enough_for_all() -> None:
    held = [
        evidence(outcome=OK, last_start=HOUR, instance="new"),
        evidence(outcome=OK, last_start=1, instance="old"),
    ]
    assert states(held, [], 2 * HOUR - 1, EXPECTED) == {"new": "ok", "old": "ok"}
    assert states(held, [], 2 * HOUR, EXPECTED) == {"new": "overdue", "old": "overdue"}


def test_where_each_instance_must_run_one_may_be_late_alone() -> None:
    held = [
        evidence(outcome=OK, last_start=HOUR, instance="new"),
        evidence(outcome=OK, last_start=1, instance="old"),
    ]
    assert states(held, [], 2 * HOUR - 1, EACH) == {"new": "ok", "old": "overdue"}


def test_instances_that_a_rule_names_have_rows_before_they_ever_ran() -> None:
    named = replace(EACH, instances=("i", "never"))
    held = [evidence(outcome=OK, last_start=5, instance="i")]
    assert states(held, [], 9, named) == {"i": "ok", "never": "never ran"}
    assert states([], [], 9, EACH) == {"": "never ran"}
    whole = replace(EXPECTED, instances=("i", "never"))
    assert states([], [], 9, whole) == {"": "never ran"}


def test_of_a_job_whose_runs_are_forgotten_their_last_start_counts() -> None:
    expected = EXPECTED.having_run(HOUR)
    [row] = rows_at("a", [], expected, [], HOUR + 5)
    assert (row.state, row.last_start) == (RowState.NEVER_RAN, HOUR)
    assert row.next_expected == 2 * HOUR
    [row] = rows_at("a", [evidence(outcome=OK, last_start=7)], expected, [], HOUR + 5)
    assert (row.last_start, row.next_expected) == (7, 2 * HOUR)


def test_of_nothing_there_is_no_row() -> None:
    forgotten = group(1, policy=Policy(forget_after=5))
    assert rows_at("a", [], NOTHING, [], 5) == []
    assert len(rows_at("a", [], NOTHING, [forgotten], 5)) == 1
    assert rows_at("a", [], NOTHING, [forgotten], 6) == []


# --- all that a row tells ---


def test_a_row_tells_what_its_keys_and_groups_come_to() -> None:
    one = evidence(5, outcome=FAILURE, last_start=7, failures=3, instance="i")
    other = evidence(6, outcome=OK, last_start=9, failures=1, instance="i", shard="2")
    groups = [
        group(3, failed_at=4, policy=STALE, instance="i"),
        group(6, policy=STALE, instance="i", shard="2"),
    ]
    [row] = rows_at("a", [one, other], LIMITED, groups, 15)
    assert (row.job, row.instance, row.state) == ("a", "i", RowState.ABANDONED)
    assert row.last_run == other.last_run
    assert (row.last_start, row.last_success) == (9, 10)
    assert (row.running, row.running_since, row.abandoned) == (1, 6, 1)
    assert (row.failures, row.failing_since) == (3, 8)
    assert (row.next_expected, row.missed_slots, row.paused_until) == (None, 0, None)
    assert (row.pushed_at, row.push_failed_at, row.stale_at) == (6, 4, 16)
    assert row.keys == tuple(sorted([one.key.id, other.key.id]))
    assert (row.groups, row.due) == (2, 16)


def test_a_row_tells_when_runs_are_expected_and_were_missed() -> None:
    [row] = rows_at("a", [evidence(last_start=1)], EXPECTED, [], 3 * HOUR + 1)
    assert (row.next_expected, row.missed_slots) == (HOUR + 1, 3)
    [row] = rows_at("a", [], EXPECTED.paused(9 * HOUR), [], 3 * HOUR)
    assert (row.paused_until, row.missed_slots, row.due) == (9 * HOUR, 0, 9 * HOUR)
    [row] = rows_at("a", [], EXPECTED.paused(2 * HOUR), [], 2 * HOUR)
    assert row.paused_until is None


def test_as_long_as_one_group_never_goes_stale_the_row_does_not() -> None:
    groups = [group(1, policy=STALE), group(1, shard="2")]
    [row] = rows_at("a", [], NOTHING, groups, 5)
    assert (row.stale_at, row.due) == (None, None)


def test_states_are_in_the_order_of_attention() -> None:
    ranks = [rank_of(state) for state in RowState]
    assert ranks == sorted(ranks)
    rows = rows_at("a", [evidence(outcome=OK)], NOTHING, [group(1, instance="i")], 5)
    assert [place_of(row) for row in rows] == [(6, "a", ""), (6, "a", "i")]


# --- properties ---

STARTS = st.lists(st.integers(1, 40), max_size=3, unique=True).map(sorted)
EVIDENCES = st.builds(
    lambda opened, outcome, last_start, success_start, failures: evidence(
        *opened,
        outcome=outcome,
        last_start=last_start,
        success_start=success_start,
        failures=failures,
    ),
    STARTS,
    st.none() | st.sampled_from(Outcome),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 3),
)
EXPECTATIONS = st.builds(
    lambda said, since, paused: JobExpectation(
        api=said, since=since, paused_until=paused
    ),
    st.none()
    | st.builds(
        Expectation,
        every=st.none() | st.integers(5, 20),
        grace=st.integers(0, 5),
        max_runtime=st.none() | st.integers(1, 20),
        per_instance=st.booleans(),
    ),
    st.integers(1, 20),
    st.integers(0, 50),
)
POLICIES = st.none() | st.builds(
    Policy, st.none() | st.integers(1, 30), st.none() | st.integers(1, 40)
)
GROUPS = st.builds(
    lambda pushed_at, failed_at, policy, **labels: group(
        pushed_at, failed_at=failed_at, policy=policy, **labels
    ),
    st.integers(0, 40),
    st.integers(0, 40),
    POLICIES,
    instance=st.sampled_from(["", "i"]),
    shard=st.sampled_from(["1", "2"]),
)
MOMENTS = st.integers(1, 90) | st.integers(REMEMBERED, REMEMBERED + 50)


@given(EVIDENCES, EXPECTATIONS, MOMENTS)
def test_the_row_of_a_job_with_one_key_is_what_its_state_says(
    held: RunEvidence, expected: JobExpectation, now: int
) -> None:
    [row] = rows_at("a", [held], expected, [], now)
    state = job_state("a", [held], expected, now)
    assert row.state.value == state.state.value
    for name in (
        *("last_run", "last_start", "last_success", "running", "running_since"),
        *("abandoned", "failures", "failing_since", "due"),
    ):
        assert getattr(row, name) == getattr(state, name), name
    assert row.next_expected == state.outlook.next_expected
    assert row.missed_slots == state.outlook.missed_slots


@given(
    st.lists(EVIDENCES, max_size=1),
    EXPECTATIONS,
    st.lists(GROUPS, max_size=3),
    MOMENTS,
    st.integers(0, 99),
)
def test_rows_change_when_they_are_due_and_not_before(
    held: list[RunEvidence],
    expected: JobExpectation,
    groups: list[Group],
    now: int,
    percent: int,
) -> None:
    rows = rows_at("a", held, expected, groups, now)
    due = min([row.due for row in rows if row.due is not None], default=None)
    end = 2 * REMEMBERED if due is None else due - 1
    for moment in (now + (end - now) * percent // 100, end):
        assert rows_at("a", held, expected, groups, moment) == rows
    assert due is None or due > now
    assert due is None or rows_at("a", held, expected, groups, due) != rows


@given(st.lists(EVIDENCES, max_size=1), EXPECTATIONS, st.integers(1, 90))
def test_forgetting_is_due_too(
    held: list[RunEvidence], expected: JobExpectation, now: int
) -> None:
    runs = JobRuns("a", held, expected, now, lambda _: now + 1)
    dues = [runs.state(instance).due for instance in runs.instances]
    assert all(due == now + 1 for due in dues) or not held
