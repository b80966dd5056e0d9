"""What is expected of a job, and what follows from it: tables and properties."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.schedule import (
    MOST_MISSED_SLOTS,
    Expectation,
    Outlook,
    next_slot,
    outlook,
    slots_between,
)

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY


def at(written: str) -> int:
    """Return the nanoseconds of an ISO time; UTC if it does not say otherwise."""
    moment = datetime.fromisoformat(written)
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * SECOND


NIGHTLY = Expectation(schedule="0 3 * * *", grace=30 * MINUTE)
HOURLY = Expectation(every=HOUR, grace=5 * MINUTE)
FIRST = at("2026-01-01T03:00")  # the first slot after SINCE
SINCE = at("2026-01-01T00:00")


def test_a_job_is_overdue_at_the_very_moment_its_grace_time_ends() -> None:
    end = FIRST + 30 * MINUTE
    assert outlook(NIGHTLY, SINCE, None, FIRST) == Outlook(FIRST, 0, end)
    assert outlook(NIGHTLY, SINCE, None, end - 1) == Outlook(FIRST, 0, end)
    assert outlook(NIGHTLY, SINCE, None, end) == Outlook(FIRST, 1, end + DAY)
    assert not outlook(NIGHTLY, SINCE, None, end - 1).is_overdue
    assert outlook(NIGHTLY, SINCE, None, end).is_overdue


def test_without_grace_the_slot_itself_is_too_late() -> None:
    strict = Expectation(schedule="0 3 * * *", grace=0)
    assert not outlook(strict, SINCE, None, FIRST - 1).is_overdue
    assert outlook(strict, SINCE, None, FIRST).is_overdue


# runs.md: 15
def test_the_missed_slot_stays_the_expected_one_while_others_are_missed() -> None:
    late = outlook(NIGHTLY, SINCE, None, FIRST + 3 * DAY)
    assert late == Outlook(FIRST, 3, FIRST + 3 * DAY + 30 * MINUTE)


def test_a_run_ends_it_however_late_it_is() -> None:
    start = FIRST + 3 * DAY + 5 * HOUR
    after = outlook(NIGHTLY, SINCE, start, start)
    assert after == Outlook(FIRST + 4 * DAY, 0, FIRST + 4 * DAY + 30 * MINUTE)


# runs.md: 18
def test_nothing_is_expected_before_the_expectation_is_known() -> None:
    last_start = at("2025-12-01T03:00")
    assert outlook(NIGHTLY, SINCE, last_start, SINCE).next_expected == FIRST
    assert outlook(HOURLY, SINCE, last_start, SINCE).next_expected == SINCE + HOUR


# The line, a start, and the slot that is waited for after it.
# runs.md: 16
@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        # at its time, late, much too late
        ("0 3 * * *", "2026-01-02T03:00:00", "2026-01-03T03:00"),
        ("0 3 * * *", "2026-01-02T03:20:00", "2026-01-03T03:00"),
        ("0 3 * * *", "2026-01-02T23:00:00", "2026-01-03T03:00"),
        # a little early, by whatever clock
        ("0 3 * * *", "2026-01-02T02:59:59", "2026-01-03T03:00"),
        ("0 3 * * *", "2026-01-02T02:55:00", "2026-01-03T03:00"),
        # by hand, before it
        ("0 3 * * *", "2026-01-02T02:54:59", "2026-01-02T03:00"),
        ("0 3 * * *", "2026-01-02T01:00:00", "2026-01-02T03:00"),
        # the nearest of two slots
        ("*/4 * * * *", "2026-01-02T03:01:59", "2026-01-02T03:04"),
        ("*/4 * * * *", "2026-01-02T03:02:00", "2026-01-02T03:08"),
        ("* * * * *", "2026-01-02T03:00:00", "2026-01-02T03:01"),
        ("* * * * *", "2026-01-02T03:00:29", "2026-01-02T03:01"),
        ("* * * * *", "2026-01-02T03:00:31", "2026-01-02T03:02"),
        ("0,3 * * * *", "2026-01-02T03:00:30", "2026-01-02T03:03"),
        ("0,3 * * * *", "2026-01-02T03:02:30", "2026-01-02T04:00"),
        ("0,3 * * * *", "2026-01-02T03:04:00", "2026-01-02T04:00"),
    ],
)
def test_a_start_satisfies_its_slot(line: str, start: str, expected: str) -> None:
    for grace in (0, 12 * HOUR):
        expectation = Expectation(schedule=line, grace=grace)
        seen = outlook(expectation, SINCE, at(start), at(start))
        assert seen == Outlook(at(expected), 0, at(expected) + grace)


def test_an_interval_counts_from_each_start() -> None:
    start = SINCE + 10 * MINUTE + 1
    end = start + HOUR + 5 * MINUTE
    assert outlook(HOURLY, SINCE, start, end - 1) == Outlook(start + HOUR, 0, end)
    assert outlook(HOURLY, SINCE, start, end) == Outlook(start + HOUR, 1, end + HOUR)
    late = outlook(HOURLY, SINCE, start, end + 10 * HOUR + 1)
    assert late == Outlook(start + HOUR, 11, end + 11 * HOUR)
    never = outlook(HOURLY, SINCE, None, SINCE + HOUR)
    assert never == Outlook(SINCE + HOUR, 0, SINCE + HOUR + 5 * MINUTE)


def test_a_clock_that_steps_back_takes_back_what_was_missed() -> None:
    overdue = outlook(NIGHTLY, SINCE, None, FIRST + DAY)
    assert overdue.missed_slots == 1
    assert outlook(NIGHTLY, SINCE, None, FIRST - HOUR).missed_slots == 0
    assert outlook(NIGHTLY, SINCE, None, SINCE - YEAR).next_expected == FIRST


# runs.md: 24
def test_a_start_in_the_future_satisfies_what_comes_before() -> None:
    start = FIRST + 2 * DAY
    seen = outlook(NIGHTLY, SINCE, start, FIRST + 30 * MINUTE)
    assert seen == Outlook(FIRST + 3 * DAY, 0, FIRST + 3 * DAY + 30 * MINUTE)


@pytest.mark.parametrize(
    "expectation",
    [Expectation(schedule="* * * * *"), Expectation(every=SECOND)],
)
def test_counting_stops_and_then_nothing_changes(expectation: Expectation) -> None:
    assert outlook(expectation, 0, None, at("2026-01-01")) == Outlook(
        next_slot(expectation, 0), MOST_MISSED_SLOTS, None
    )


def test_without_slots_nothing_is_expected() -> None:
    expectation = Expectation(max_runtime=HOUR)
    assert outlook(expectation, 0, None, at("2026-01-01")) == Outlook(None, 0, None)
    assert next_slot(expectation, 0) is None
    assert slots_between(expectation, 0, at("2026-01-01"), 9) == 0


def test_the_night_of_the_gap_has_one_slot() -> None:
    berlin = Expectation(schedule="30 2 * * *", tz="Europe/Berlin", grace=HOUR)
    slot = at("2026-03-29T03:00+02:00")
    last_start = at("2026-03-28T02:30+01:00")
    assert outlook(berlin, 0, last_start, slot) == Outlook(slot, 0, slot + HOUR)
    after = outlook(berlin, 0, slot + SECOND, slot + HOUR)
    assert after.next_expected == at("2026-03-30T02:30+02:00")


def test_a_run_in_the_first_of_two_hours_is_enough() -> None:
    berlin = Expectation(schedule="30 2 * * *", tz="Europe/Berlin", grace=0)
    start = at("2026-10-25T02:30+02:00")
    seen = outlook(berlin, 0, start, at("2026-10-25T02:45+01:00"))
    following = at("2026-10-26T02:30+01:00")
    assert seen == Outlook(following, 0, following)


def test_a_calendar_expression_has_slots() -> None:
    weekly = Expectation(on_calendar="Mon 03:00", tz="Europe/Berlin", grace=HOUR)
    assert weekly.has_slots
    slot = at("2026-01-05T03:00+01:00")
    assert outlook(weekly, SINCE, None, SINCE) == Outlook(slot, 0, slot + HOUR)
    late = outlook(weekly, SINCE, None, slot + 7 * DAY + HOUR)
    assert late == Outlook(slot, 2, slot + 14 * DAY + HOUR)
    early = outlook(weekly, SINCE, slot - 5 * MINUTE, slot - 5 * MINUTE)
    assert early.next_expected == slot + 7 * DAY


def test_after_the_last_slot_nothing_changes_any_more() -> None:
    once = Expectation(on_calendar="2026-01-05 03:00", grace=0)
    slot = at("2026-01-05T03:00")
    assert outlook(once, SINCE, None, slot - 1) == Outlook(slot, 0, slot)
    assert outlook(once, SINCE, None, slot + YEAR) == Outlook(slot, 1, None)
    assert outlook(once, SINCE, slot, slot) == Outlook(None, 0, None)


def test_a_zone_that_this_machine_has_lost_is_read_as_utc() -> None:
    expectation = Expectation(schedule="0 3 * * *", tz="Europe/Atlantis")
    assert next_slot(expectation, SINCE) == FIRST
    assert slots_between(expectation, SINCE, FIRST, 9) == 1


LINES = ["0 3 * * *", "*/5 * * * *", "30 2 * * *", "30 * * * 1-5", "0 0 29 2 *"]
CALENDARS = ["*:0/20", "Mon..Fri 02:30", "*-*~01 01:30", "*-03..09-29 03:00"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
lengths = st.none() | st.integers(1, 10 * YEAR // MILLISECOND).map(MILLISECOND.__mul__)
slots = [{"schedule": line} for line in LINES]
slots += [{"on_calendar": text} for text in CALENDARS]
on_clocks = st.builds(
    lambda slots, **others: Expectation(**slots, **others),
    st.sampled_from(slots),
    tz=st.sampled_from(ZONES),
    grace=st.integers(0, 2 * DAY // MILLISECOND).map(MILLISECOND.__mul__),
    max_runtime=lengths,
    min_interval=lengths,
    per_instance=st.booleans(),
)
intervals = st.builds(
    Expectation,
    every=st.integers(1000, 10 * YEAR // MILLISECOND).map(MILLISECOND.__mul__),
    grace=st.integers(0, 10 * YEAR // MILLISECOND).map(MILLISECOND.__mul__),
)
moments = st.integers(at("2026-03-01"), at("2026-11-30"))


@given(on_clocks, moments, moments)
def test_the_next_slot_is_later_and_never_goes_back(
    expectation: Expectation, one: int, other: int
) -> None:
    earlier, later = sorted((one, other))
    first, second = next_slot(expectation, earlier), next_slot(expectation, later)
    assert first is not None
    assert second is not None
    assert earlier < first <= second
    assert first == second or first <= later
    assert slots_between(expectation, earlier, first, 9) == 1
    assert slots_between(expectation, earlier, first - 1, 9) == 0


@given(on_clocks, st.lists(moments, min_size=3, max_size=3).map(sorted))
def test_slots_add_up(expectation: Expectation, times: list[int]) -> None:
    begin, middle, end = times
    most = 10**6
    assert slots_between(expectation, begin, end, most) == slots_between(
        expectation, begin, middle, most
    ) + slots_between(expectation, middle, end, most)


@given(on_clocks | intervals, moments, st.none() | moments, moments, st.integers(0, 99))
def test_an_outlook_changes_when_it_is_due_and_not_before(
    expectation: Expectation,
    since: int,
    last_start: int | None,
    now: int,
    percent: int,
) -> None:
    seen = outlook(expectation, since, last_start, now)
    if seen.due is None:
        assert outlook(expectation, since, last_start, now + 10 * YEAR) == seen
        return
    assert seen.due > now
    for moment in (now + (seen.due - now) * percent // 100, seen.due - 1):
        assert outlook(expectation, since, last_start, moment) == seen
    changed = outlook(expectation, since, last_start, seen.due)
    assert changed.missed_slots == seen.missed_slots + 1


@given(on_clocks | intervals, moments, st.none() | moments, moments)
def test_a_job_is_overdue_exactly_when_its_slot_and_grace_have_passed(
    expectation: Expectation, since: int, last_start: int | None, now: int
) -> None:
    seen = outlook(expectation, since, last_start, now)
    assert seen.next_expected is not None
    assert seen.is_overdue == (seen.next_expected + expectation.grace <= now)
    assert seen.next_expected > max(since, last_start or 0)
