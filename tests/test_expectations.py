"""What is expected of a job: whose word counts, and since when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.expectations import JobExpectation, Source
from pushrelay.schedule import Expectation

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
NOBODY = JobExpectation()
HOURLY = Expectation(every=HOUR)
DAILY = Expectation(every=24 * HOUR)
LIMITS = Expectation(max_runtime=HOUR, min_interval=MINUTE)


def said(**sources: Expectation) -> JobExpectation:
    return JobExpectation(**sources)


def test_where_nobody_says_anything_nothing_is_expected() -> None:
    assert NOBODY.effective is None
    assert NOBODY.slots_from is None


@pytest.mark.parametrize("source", Source)
def test_the_word_of_one_source_alone_counts_as_it_is(source: Source) -> None:
    for expectation in (HOURLY, LIMITS):
        told = NOBODY.told(source, expectation, 7)
        assert told.effective == expectation
        assert told.slots_from is (source if expectation.has_slots else None)


# runs.md: 17
def test_the_api_decides_before_a_report_and_a_report_before_a_rule() -> None:
    third = Expectation(every=HOUR, grace=MINUTE)
    everybody = said(api=HOURLY, report=DAILY, rule=third)
    assert everybody.effective == HOURLY
    assert everybody.slots_from is Source.API
    assert said(report=DAILY, rule=third).effective == DAILY
    assert said(report=DAILY, rule=third).slots_from is Source.REPORT


def test_who_says_no_slots_leaves_them_to_the_next() -> None:
    expected = said(api=LIMITS, report=replace(DAILY, per_instance=True))
    assert expected.slots_from is Source.REPORT
    assert expected.effective == replace(
        DAILY, max_runtime=HOUR, min_interval=MINUTE, per_instance=True
    )


# runs.md: 17
def test_grace_and_zone_go_with_the_slots_and_limits_go_each_on_its_own() -> None:
    expected = said(
        api=Expectation(max_runtime=HOUR),
        report=Expectation(schedule="0 3 * * *", tz="Asia/Tokyo", grace=MINUTE),
        rule=Expectation(every=HOUR, grace=HOUR, max_runtime=1, min_interval=2),
    )
    assert expected.effective == Expectation(
        schedule="0 3 * * *",
        tz="Asia/Tokyo",
        grace=MINUTE,
        max_runtime=HOUR,
        min_interval=2,
    )


# runs.md: 18
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, HOURLY),
        (HOURLY, DAILY),
        (LIMITS, HOURLY),
        (HOURLY, Expectation(schedule="0 * * * *")),
        (Expectation(schedule="0 3 * * *"), Expectation(schedule="0 4 * * *")),
        (
            Expectation(schedule="0 3 * * *"),
            Expectation(schedule="0 3 * * *", tz="Asia/Tokyo"),
        ),
        (Expectation(on_calendar="daily"), Expectation(on_calendar="weekly")),
    ],
)
def test_new_slots_are_expected_from_when_they_were_said(
    before: Expectation | None, after: Expectation
) -> None:
    assert said().told(Source.RULE, before, 5).told(Source.RULE, after, 9).since == 9


@pytest.mark.parametrize(
    "after",
    [
        HOURLY,
        replace(HOURLY, grace=1),
        replace(HOURLY, max_runtime=1, min_interval=1),
        replace(HOURLY, per_instance=True),
    ],
)
def test_slots_that_stay_are_expected_since_as_before(after: Expectation) -> None:
    expected = NOBODY.told(Source.RULE, HOURLY, 5)
    assert expected.told(Source.RULE, after, 9).since == 5


def test_the_same_slots_from_another_source_are_no_new_ones() -> None:
    expected = NOBODY.told(Source.RULE, HOURLY, 5)
    assert expected.told(Source.API, HOURLY, 9).since == 5


def test_slots_that_do_not_count_change_nothing() -> None:
    expected = NOBODY.told(Source.API, HOURLY, 5)
    told = expected.told(Source.RULE, DAILY, 9)
    assert (told.effective, told.since) == (HOURLY, 5)


def test_slots_that_count_again_are_expected_from_then_on() -> None:
    expected = NOBODY.told(Source.RULE, DAILY, 1).told(Source.API, HOURLY, 5)
    back = expected.told(Source.API, None, 9)
    assert (back.effective, back.since) == (DAILY, 9)


# runs.md: 17
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from([HOURLY, DAILY, LIMITS])),
        unique_by=lambda report: report[0],
        min_size=1,
    ),
    st.data(),
)
def test_the_run_that_began_last_decides_in_whatever_order_reports_come(
    reports: list[tuple[int, Expectation]], data: st.DataObject
) -> None:
    expected = NOBODY
    for started_at, expectation in data.draw(st.permutations(reports)):
        expected = expected.reported(expectation, started_at)
    last_start, last = max(reports, key=lambda report: report[0])
    assert expected.report == last
    assert expected.reported_at == last_start


def test_a_late_report_does_not_move_the_slots_into_the_past() -> None:
    expected = NOBODY.reported(HOURLY, 9)
    assert expected.reported(DAILY, 5) == expected
    assert expected.reported(HOURLY, 5) == expected


def test_a_pause_ends_by_itself_or_when_runs_are_expected_again() -> None:
    expected = NOBODY.told(Source.API, HOURLY, 1).paused(50)
    assert expected.paused_until == 50
    assert expected.resumed(20).paused_until == 20
    assert expected.resumed(60) == expected
    assert NOBODY.resumed(60) == NOBODY
