"""The last runs of a row, as bars."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from charts import (
    MARKS,
    MINUTE,
    NOON,
    SECOND,
    all_of,
    assert_inside,
    corners,
    label_of,
    mark_of,
    parsed,
)
from hypothesis import given

from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome
from pushrelay.web.charts import sparkline


def bars_of(root: Element, look: str) -> list[tuple[float, float, float]]:
    """Return left, top and bottom of each bar."""
    bars = []
    for drawn in all_of(root, "path", look):
        for bar in drawn.get("d", "").split("z")[:-1]:
            points = list(corners(bar))
            ys = [y for _, y in points]
            bars.append((points[0][0], min(ys), max(ys)))
    return bars


def hourly(count: int, outcome: Outcome = Outcome.SUCCESS) -> list[RunMark]:
    return [mark_of(n, NOON + n * MINUTE, n * SECOND, outcome) for n in range(count)]


def test_bars_are_as_high_as_runs_took_long_and_the_newest_is_at_the_right() -> None:
    bars = bars_of(parsed(sparkline(hourly(30))), "success")
    assert [left for left, _, _ in bars] == list(range(0, 120, 4))
    heights = [bottom - top for _, top, bottom in bars]
    assert heights == sorted(heights)
    assert heights[0] == 3
    assert heights[-1] == 20


def test_a_few_runs_are_at_the_right() -> None:
    bars = bars_of(parsed(sparkline(hourly(2))), "success")
    assert [left for left, _, _ in bars] == [112, 116]


def test_only_the_last_30_are_shown_whatever_their_order() -> None:
    marks = hourly(40)
    assert sparkline(marks[::-1]) == sparkline(marks[10:])


@pytest.mark.parametrize("outcome", Outcome)
def test_what_went_wrong_reaches_below_the_line(outcome: Outcome) -> None:
    ((_, _, bottom),) = bars_of(
        parsed(sparkline([mark_of(1, NOON, SECOND, outcome)])), outcome.value
    )
    is_wrong = outcome not in (Outcome.SUCCESS, Outcome.SKIPPED)
    assert bottom == (24 if is_wrong else 20)


@pytest.mark.parametrize(
    ("marks", "label"),
    [
        ([], "no runs"),
        ([mark_of(1, NOON, 1500 * 10**6)], "1 run: 1 success; the last took 1.5 s"),
        (
            [*hourly(28), *hourly(2, Outcome.FAILURE), mark_of(9, 2 * NOON, None)],
            "last 30 runs: 27 success, 2 failure, 1 unfinished; the last is unfinished",
        ),
        (
            [mark_of(1, NOON), mark_of(2, NOON + 1, 0, Outcome.SKIPPED)],
            "last 2 runs: 1 success, 1 skipped; the last was skipped",
        ),
        (
            [mark_of(1, NOON, 182 * SECOND, Outcome.TIMEOUT)] * 2,
            "last 2 runs: 2 timeout; the last took 3 min 2 s",
        ),
    ],
)
def test_it_says_what_it_shows(marks: list[RunMark], label: str) -> None:
    assert label_of(parsed(sparkline(marks))) == label


def test_it_has_no_links_and_is_small() -> None:
    marks = [
        mark_of(n, NOON + n, n * SECOND if n % 6 else None, list(Outcome)[n % 5])
        for n in range(30)
    ]
    chart = sparkline(marks)
    assert not all_of(parsed(chart), "a")
    assert len(chart) < 1500


@given(MARKS)
def test_all_is_inside(marks: list[RunMark]) -> None:
    root = parsed(sparkline(marks))
    assert_inside(root)
    bars = sum(drawn.get("d", "").count("z") for drawn in all_of(root, "path"))
    assert bars == min(len(marks), 30)
