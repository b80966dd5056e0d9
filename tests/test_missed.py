"""Which slots of a past time were missed: tables, and as schedule.outlook has it."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_schedule import DAY, HOUR, MINUTE, SECOND, at, intervals, moments, on_clocks

from pushrelay.missed import missed_slots_in
from pushrelay.schedule import MOST_MISSED_SLOTS, Expectation, outlook

NIGHTLY = Expectation(schedule="0 3 * * *", grace=30 * MINUTE)
HOURLY = Expectation(every=HOUR, grace=0)
SINCE = at("2026-01-01T00:00")
DAYS = [at(f"2026-01-0{day}T03:00") for day in range(1, 8)]
BEGIN, END = SINCE, SINCE + 7 * DAY


@pytest.mark.parametrize(
    ("starts", "missed"),
    [
        ([], DAYS),
        (DAYS, []),
        ([day + 29 * MINUTE for day in DAYS], []),
        ([day + 30 * MINUTE for day in DAYS], []),
        ([day + 30 * MINUTE + 1 for day in DAYS], DAYS),
        ([day - 5 * MINUTE for day in DAYS], []),
        ([day - 6 * MINUTE for day in DAYS], DAYS),
        ([DAYS[0], DAYS[3]], [*DAYS[1:3], *DAYS[4:]]),
        ([DAYS[3], DAYS[0]], [*DAYS[1:3], *DAYS[4:]]),
        ([DAYS[2] + 5 * HOUR], [*DAYS[:3], *DAYS[3:]]),
        ([SINCE - DAY, *DAYS], []),
        ([*DAYS[:-1], END + HOUR], DAYS[-1:]),
    ],
)
def test_a_slot_is_missed_if_no_run_came_by_the_end_of_its_grace_time(
    starts: list[int], missed: list[int]
) -> None:
    assert missed_slots_in(NIGHTLY, SINCE, starts, BEGIN, END) == missed


def test_a_slot_is_not_missed_before_its_grace_time_is_over() -> None:
    end = DAYS[0] + 30 * MINUTE
    assert missed_slots_in(NIGHTLY, SINCE, [], BEGIN, end - 1) == []
    assert missed_slots_in(NIGHTLY, SINCE, [], BEGIN, end) == DAYS[:1]


def test_only_slots_of_the_time_that_is_asked_for_are_told() -> None:
    begin, end = DAYS[1], DAYS[3]
    strict = Expectation(schedule="0 3 * * *", grace=0)
    assert missed_slots_in(strict, SINCE, [], begin, end) == DAYS[1:3]
    assert missed_slots_in(strict, SINCE, [], begin + 1, end + 1) == DAYS[2:4]
    assert missed_slots_in(strict, DAYS[1], [], BEGIN, end) == DAYS[2:3]


def test_an_interval_counts_from_the_start_before() -> None:
    start = SINCE + 10 * MINUTE
    late = start + 3 * HOUR + 7
    assert missed_slots_in(HOURLY, SINCE, [start, late], BEGIN, late + 2 * HOUR) == [
        *[start + HOUR, start + 2 * HOUR, start + 3 * HOUR],
        *[late + HOUR],
    ]
    assert missed_slots_in(HOURLY, SINCE, [], start, start + 2 * HOUR) == [
        SINCE + HOUR,
        SINCE + 2 * HOUR,
    ]


def test_of_too_many_the_last_ones_are_told() -> None:
    assert missed_slots_in(NIGHTLY, SINCE, DAYS[4:5], BEGIN, END, 3) == [
        DAYS[3],
        *DAYS[5:],
    ]
    assert missed_slots_in(NIGHTLY, SINCE, [], BEGIN, END, 0) == []
    third = [SINCE + number * HOUR for number in (165, 166, 167)]
    assert missed_slots_in(HOURLY, SINCE, [], BEGIN, END, 3) == third


def test_without_slots_nothing_is_missed() -> None:
    limited = Expectation(max_runtime=HOUR)
    assert missed_slots_in(limited, SINCE, [], BEGIN, END) == []


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation(schedule="* * * * *", tz="Europe/Berlin"),
        Expectation(schedule="* * * * *", grace=0),
        Expectation(every=SECOND, grace=0),
    ],
)
@pytest.mark.parametrize("step", [90 * DAY, HOUR])
def test_months_of_minutes_take_no_time(expectation: Expectation, step: int) -> None:
    end = SINCE + 90 * DAY
    starts = list(range(SINCE, end, step))
    began = time.thread_time()
    missed = missed_slots_in(expectation, SINCE, starts, BEGIN, end)
    assert time.thread_time() - began < 1
    assert len(missed) == 500
    assert missed[-1] > end - HOUR


def test_runs_of_every_minute_in_months_take_no_time() -> None:
    end = SINCE + 90 * DAY
    starts = list(range(SINCE, end, MINUTE))
    minutely = Expectation(schedule="* * * * *")
    began = time.thread_time()
    assert missed_slots_in(minutely, SINCE, starts, BEGIN, end) == []
    assert time.thread_time() - began < 2


# --- as it was said at the time ---


def told(expectation: Expectation, since: int, starts: list[int], end: int) -> int:
    """Return how many slots were said to be missed, one run after the other."""
    known = sorted(start for start in starts if start < end)
    count = 0
    for last, following in pairwise([None, *known, end + 1]):
        assert following is not None
        missed = outlook(expectation, since, last, following - 1).missed_slots
        # There, counting stops.
        assume(missed < MOST_MISSED_SLOTS)
        count += missed
    return count


lengths = st.integers(0, 10 * DAY // SECOND).map(SECOND.__mul__)
# With some grace, a slot at the very end is not missed yet.
expectations = (on_clocks | intervals).map(
    lambda one: replace(one, grace=max(one.grace, 1))
)


@given(
    expectations,
    moments,
    lengths,
    st.lists(lengths, max_size=5),
    st.integers(-60, 60),
)
def test_as_many_are_missed_as_were_said_to_be(
    expectation: Expectation,
    since: int,
    length: int,
    runs: list[int],
    before: int,
) -> None:
    end = since + length
    starts = [since + at + before * SECOND for at in runs]
    found = missed_slots_in(expectation, since, starts, since, end, 10**6)
    assert len(found) == told(expectation, since, starts, end)
    assert found == sorted(set(found))


@given(expectations, moments, lengths, st.lists(lengths, max_size=5))
def test_the_slot_that_a_job_is_overdue_for_is_missed_and_what_comes_is_not(
    expectation: Expectation, since: int, length: int, runs: list[int]
) -> None:
    end = since + length
    starts = [since + at for at in runs]
    found = missed_slots_in(expectation, since, starts, since, end, 10**6)
    for moment in [start - 1 for start in starts if start < end] + [end]:
        last = max([start for start in starts if start <= moment], default=None)
        said = outlook(expectation, since, last, moment)
        if said.next_expected is not None and said.is_overdue:
            assert said.next_expected in found
        elif said.next_expected is not None and moment == end:
            assert said.next_expected not in found


@given(on_clocks | intervals, moments, lengths, st.lists(lengths, max_size=4), lengths)
def test_a_part_of_a_time_has_the_slots_of_the_whole(
    expectation: Expectation, since: int, length: int, runs: list[int], begin: int
) -> None:
    end, first = since + length, since + begin
    starts = [since + at for at in runs]
    whole = missed_slots_in(expectation, since, starts, since, end, 10**6)
    part = missed_slots_in(expectation, since, starts, first, end, 10**6)
    assert part == [slot for slot in whole if slot >= first]
    most = 3
    assert missed_slots_in(expectation, since, starts, first, end, most) == part[-most:]
