"""Where moments are on an axis, and what it says."""

from __future__ import annotations

import pytest
from charts import DAY, HOUR, NOON, SECOND
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.web.charts.axis import TimeScale
from pushrelay.web.charts.words import tally


def test_a_tally_begins_with_what_is_most_frequent() -> None:
    assert tally(["a", "b", "b"]) == "2 b, 1 a"


@pytest.mark.parametrize(
    ("span", "names"),
    [
        (7 * DAY, [f"Nov {day}" for day in range(20, 27)]),
        (DAY, ["12:00", "18:00", "Nov 26", "06:00", "12:00"]),
        (HOUR, ["11:00", "11:10", "11:20", "11:30", "11:40", "11:50", "12:00"]),
        (20 * SECOND, ["11:59:40", "11:59:45", "11:59:50", "11:59:55", "12:00:00"]),
        # Mondays.
        (40 * DAY, ["Oct 19", "Oct 26", "Nov 2", "Nov 9", "Nov 16", "Nov 23"]),
    ],
)
def test_ticks_are_at_whole_hours_or_days(span: int, names: list[str]) -> None:
    assert [name for _, name in TimeScale(NOON - span, NOON).ticks()] == names


def test_ticks_over_years_have_the_year() -> None:
    names = [name for _, name in TimeScale(NOON - 700 * DAY, NOON).ticks()]
    assert names[-1].endswith("2026")


@given(st.integers(0, 2**62), st.integers(SECOND, 2**62))
def test_there_are_some_ticks_but_not_too_many(begin: int, span: int) -> None:
    ticks = list(TimeScale(begin, begin + span).ticks())
    assert 1 <= len(ticks) <= 8
    places = [place for place, _ in ticks]
    assert places == sorted(set(places))
    assert places[0] >= 0
    assert places[-1] <= 1000


@given(st.integers(), st.integers(0, 2**62), st.integers(0, 2**62))
def test_any_moment_has_a_place(at: int, begin: int, end: int) -> None:
    assert 0 <= TimeScale(begin, end).place(at) <= 1000
