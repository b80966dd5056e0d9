"""The chart of how long runs took."""

from __future__ import annotations

from uuid import UUID

import pytest
from charts import (
    DAY,
    HOUR,
    MARKS,
    MINUTE,
    NOON,
    SECOND,
    TIMES,
    all_of,
    assert_inside,
    corners,
    label_of,
    mark_of,
    parsed,
    titles_of,
)
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome
from pushrelay.web.charts import durations
from pushrelay.web.charts.axis import duration_ticks
from pushrelay.web.charts.durations import nearest_rank
from pushrelay.web.charts.thinning import MOST_MARKS

BEGIN = NOON - 2 * DAY


@pytest.mark.parametrize(
    ("ordered", "percent", "rank"),
    [
        ([7], 50, 7),
        ([7], 95, 7),
        ([1, 2], 50, 1),
        ([1, 2, 3], 50, 2),
        (list(range(1, 21)), 95, 19),
        (list(range(1, 22)), 95, 20),
        (list(range(1, 101)), 95, 95),
        ([1, 2], 0, 1),
    ],
)
def test_percentiles_are_by_nearest_rank(
    ordered: list[int], percent: int, rank: int
) -> None:
    assert nearest_rank(ordered, percent) == rank


@given(st.lists(st.integers(0, 9), min_size=1).map(sorted), st.integers(1, 100))
def test_so_many_are_at_or_below_a_percentile(ordered: list[int], percent: int) -> None:
    rank = nearest_rank(ordered, percent)
    assert 100 * sum(d <= rank for d in ordered) >= percent * len(ordered)
    assert 100 * sum(d < rank for d in ordered) < percent * len(ordered)


def test_lines_are_at_the_median_and_the_95th_percentile_and_say_so() -> None:
    marks = [mark_of(n, BEGIN + n * HOUR, n * MINUTE) for n in range(1, 21)]
    root = parsed(durations(marks, BEGIN, NOON))
    words = [text.text for text in root.iter("text")]
    assert "median 10 min" in words
    assert "95th percentile 19 min" in words
    assert label_of(root) == (
        "durations of 20 runs from 2026-11-24 12:00:00 UTC to 2026-11-26 12:00:00 UTC: "
        "median 10 min, 95th percentile 19 min, longest 20 min"
    )
    line, dots = all_of(root, "path", "median")[0], all_of(root, "path", "dot")
    heights = [next(corners(dot.get("d", "")))[1] for dot in dots]
    assert next(corners(line.get("d", "")))[1] == heights[9]
    assert heights == sorted(heights, reverse=True)


def test_dots_are_at_the_start_of_runs_and_link_to_them() -> None:
    root = parsed(durations([mark_of(7, NOON - DAY, MINUTE)], BEGIN, NOON))
    (link,) = all_of(root, "a")
    assert link.get("href") == f"./run?id={UUID(int=7)}"
    assert link.get("tabindex") == "-1"
    assert titles_of(root) == ["2026-11-25 12:00:00 UTC: success, took 1 min"]
    (dot,) = all_of(root, "path", "dot")
    assert next(corners(dot.get("d", "")))[0] == 500


def test_what_has_no_duration_or_is_of_another_time_is_not_there() -> None:
    marks = [
        mark_of(1, NOON - DAY, None),
        mark_of(2, NOON - DAY, 0, Outcome.SKIPPED),
        mark_of(3, BEGIN - 1, MINUTE),
        mark_of(4, NOON + 1, MINUTE),
    ]
    root = parsed(durations(marks, BEGIN, NOON))
    assert not all_of(root, "a")
    assert "No run has ended." in [text.text for text in root.iter("text")]
    assert label_of(root).startswith("no run has ended from 2026-11-24")
    assert_inside(root)


def test_failed_runs_are_on_top() -> None:
    marks = [
        mark_of(n, NOON - DAY, MINUTE, outcome)
        for n, outcome in enumerate([Outcome.FAILURE, Outcome.SUCCESS])
    ]
    dots = all_of(parsed(durations(marks, BEGIN, NOON)), "path", "dot")
    assert [dot.get("class") for dot in dots] == ["dot success", "dot failure"]


def test_dots_at_one_place_are_one_of_the_last_of_them() -> None:
    marks = [mark_of(n, NOON - DAY + n * SECOND, MINUTE) for n in range(5)]
    root = parsed(durations(marks[::-1], BEGIN, NOON))
    assert titles_of(root) == [
        "2026-11-25 12:00:04 UTC: success, took 1 min; the last of 5 here"
    ]


def test_a_thousand_runs_are_few_enough_dots() -> None:
    marks = [
        mark_of(n, BEGIN + n * 2 * MINUTE, 1 + (n * 7919 % 1000) * SECOND)
        for n in range(1000)
    ]
    chart = durations(marks, BEGIN, NOON)
    assert 100 < len(all_of(parsed(chart), "a")) <= MOST_MARKS
    assert len(chart) < 80_000


@given(st.integers(0, 2**63 - 1))
def test_there_are_two_to_four_ticks_up_to_the_longest(longest: int) -> None:
    ticks = duration_ticks(longest)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 4
    assert ticks[-1] <= max(longest, 10**6) <= ticks[-1] * 2.6


@given(MARKS, TIMES, TIMES)
def test_all_is_inside(marks: list[RunMark], begin: int, end: int) -> None:
    root = parsed(durations(marks, begin, end))
    assert_inside(root)
    assert label_of(root)
