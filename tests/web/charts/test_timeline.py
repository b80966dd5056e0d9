"""Runs and missed slots over days."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID
from xml.etree.ElementTree import Element

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
from pushrelay.web.charts import Lane, legend, timeline
from pushrelay.web.charts.looks import LOOKS
from pushrelay.web.charts.thinning import MOST_MARKS

BEGIN = NOON - 2 * DAY


def drawn(
    *marks: RunMark, missed: Sequence[int] = (), begin: int = BEGIN, now: int = NOON
) -> Element:
    return parsed(timeline([Lane("", marks, missed)], begin, NOON, now))


def extents(root: Element, look: str) -> list[tuple[float, float]]:
    """Return left and right of each mark with a look."""
    found = []
    for bar in all_of(root, "path", look):
        xs = [x for x, _ in corners(bar.get("d", ""))]
        found.append((min(xs), max(xs)))
    return found


def tops(root: Element, look: str) -> list[float]:
    return [
        min(y for _, y in corners(bar.get("d", "")))
        for bar in all_of(root, "path", look)
    ]


def test_a_run_is_where_it_was_and_as_long_as_it_took() -> None:
    root = drawn(mark_of(1, NOON - DAY, 12 * HOUR))
    assert extents(root, "success") == [(500, 750)]


def test_a_run_links_to_its_page_but_is_no_tab_stop() -> None:
    (link,) = all_of(drawn(mark_of(7, NOON - DAY)), "a")
    assert link.get("href") == f"./run?id={UUID(int=7)}"
    assert link.get("tabindex") == "-1"


@pytest.mark.parametrize(
    ("mark", "title"),
    [
        (
            mark_of(1, NOON - HOUR, 182 * SECOND, Outcome.FAILURE),
            "2026-11-26 11:00:00 UTC: failure, took 3 min 2 s",
        ),
        (mark_of(1, NOON - HOUR, None), "2026-11-26 11:00:00 UTC: unfinished"),
        (
            mark_of(1, NOON - HOUR, 0, Outcome.SKIPPED),
            "2026-11-26 11:00:00 UTC: skipped",
        ),
    ],
)
def test_a_run_says_when_it_was_and_how_it_went(mark: RunMark, title: str) -> None:
    assert titles_of(drawn(mark)) == [title]


def test_a_run_without_an_end_goes_on_until_now() -> None:
    root = drawn(mark_of(1, NOON - DAY, None), now=NOON - DAY // 2)
    assert extents(root, "running") == [(500, 750)]


def test_a_short_run_can_be_seen_even_at_the_end() -> None:
    root = drawn(mark_of(1, NOON - DAY, 0), mark_of(2, NOON, 0))
    assert extents(root, "success") == [(500, 503), (997, 1000)]


def test_a_run_across_an_edge_is_cut_and_one_outside_is_not_there() -> None:
    root = drawn(
        mark_of(1, BEGIN - DAY, 36 * HOUR),
        mark_of(2, NOON - DAY, 9 * DAY, Outcome.FAILURE),
        mark_of(3, BEGIN - DAY, HOUR),
        mark_of(4, NOON + DAY, HOUR),
    )
    assert extents(root, "success") == [(0, 250)]
    assert extents(root, "failure") == [(500, 1000)]


def test_runs_at_the_same_time_are_below_each_other() -> None:
    root = drawn(*[mark_of(n, NOON - DAY + n * MINUTE, DAY) for n in range(4)])
    assert len(set(tops(root, "success"))) == 4


def test_more_runs_at_the_same_time_than_there_are_tracks_are_all_drawn() -> None:
    root = drawn(*[mark_of(n, NOON - DAY + n * MINUTE, DAY) for n in range(20)])
    assert len(all_of(root, "a")) == 20
    assert len(set(tops(root, "success"))) == 6


def test_runs_one_after_the_other_are_on_one_line() -> None:
    runs = [mark_of(n, NOON - DAY + n * MINUTE, MINUTE) for n in range(60)]
    assert len(set(tops(drawn(*runs), "success"))) == 1


def test_the_same_that_cannot_be_told_apart_is_one_mark_of_the_last_of_them() -> None:
    runs = [mark_of(n, NOON - DAY + 10 * n * SECOND) for n in range(5)]
    failed = mark_of(9, NOON - DAY + 5 * SECOND, SECOND, Outcome.FAILURE)
    root = drawn(failed, *runs[::-1])
    hrefs = [link.get("href") for link in all_of(root, "a")]
    assert hrefs == [f"./run?id={UUID(int=n)}" for n in (4, 9)]
    assert titles_of(root) == [
        "5 runs from 2026-11-25 12:00:00 UTC to 2026-11-25 12:00:40 UTC: success; "
        "this is the last of them",
        "2026-11-25 12:00:05 UTC: failure, took 1 s",
    ]


def test_failed_runs_are_on_top_of_others_and_missed_slots_on_top_of_all() -> None:
    marks = [
        mark_of(n, NOON - DAY, SECOND, outcome) for n, outcome in enumerate(Outcome)
    ]
    marks.append(mark_of(9, NOON - DAY, None))
    root = drawn(*marks, missed=[NOON - DAY])
    looks = [path.get("class", "").removeprefix("dot ") for path in root.iter("path")]
    assert [look for look in looks if look in LOOKS] == list(LOOKS)


def test_missed_slots_are_hollow_and_say_when_they_were() -> None:
    root = drawn(missed=[NOON - DAY, NOON - HOUR, NOON - HOUR + 1, NOON + DAY])
    assert len(all_of(root, "path", "missed")) == 2
    (holes,) = all_of(root, "path", "hole")
    assert holes.get("d") == "".join(
        ring.get("d", "") for ring in all_of(root, "path", "missed")
    )
    assert titles_of(root) == [
        "missed at 2026-11-25 12:00:00 UTC",
        "2 missed from 2026-11-26 11:00:00 UTC to 2026-11-26 11:00:00 UTC",
    ]


def test_each_lane_has_its_name() -> None:
    names = ["db1", "", '<b>"&\x00\ud800', "x" * 90]
    root = parsed(timeline([Lane(name, []) for name in names], BEGIN, NOON, NOON))
    words = [text.text for text in root.iter("text")]
    assert {"db1", "no instance", '<b>"&\ufffd\ufffd', "x" * 43 + "…"} <= set(words)


def test_lanes_beyond_what_is_drawn_are_counted() -> None:
    lanes = [Lane(f"i{n}", [mark_of(n, NOON - DAY)]) for n in range(41)]
    root = parsed(timeline(lanes, BEGIN, NOON, NOON))
    assert len(all_of(root, "a")) == 40
    assert "and 1 more instance" in [text.text for text in root.iter("text")]
    assert label_of(root).startswith("41 runs of 41 instances")
    assert_inside(root)


def test_it_says_what_it_shows() -> None:
    lanes = [
        Lane("a", [mark_of(n, NOON - n * HOUR) for n in range(1, 4)], [NOON - DAY]),
        Lane("b", [mark_of(9, NOON - HOUR, None)]),
    ]
    assert label_of(parsed(timeline(lanes, BEGIN, NOON, NOON))) == (
        "4 runs of 2 instances from 2026-11-24 12:00:00 UTC to 2026-11-26 12:00:00 "
        "UTC: 3 success, 1 unfinished; 1 missed"
    )
    assert label_of(drawn()) == (
        "0 runs from 2026-11-24 12:00:00 UTC to 2026-11-26 12:00:00 UTC"
    )


def test_now_is_a_line_if_it_is_there() -> None:
    root = drawn(now=NOON - DAY)
    assert extents(root, "now") == [(500, 500)]
    assert [text.text for text in all_of(root, "text", "now")] == ["now"]
    assert not all_of(drawn(now=NOON + 1), "path", "now")


def test_the_first_time_of_day_has_its_zone() -> None:
    root = drawn(begin=NOON - DAY, now=0)
    assert [text.text for text in root.iter("text")] == ["18:00 UTC", "Nov 26", "06:00"]


def test_every_other_of_many_ticks_can_be_left_out_on_a_phone() -> None:
    root = drawn(begin=NOON - 7 * DAY, now=0)
    minor = [text.text for text in all_of(root, "text", "minor")]
    assert minor == ["Nov 21", "Nov 23", "Nov 25"]
    assert not all_of(drawn(begin=NOON - DAY, now=0), "text", "minor")


def test_a_thousand_runs_are_few_enough_marks_and_a_failed_one_is_among_them() -> None:
    lanes = [
        Lane(
            f"instance {lane}",
            [mark_of(n, BEGIN + n * 14 * MINUTE) for n in range(lane, 1000, 5)],
            [BEGIN + n * 28 * MINUTE for n in range(100)],
        )
        for lane in range(5)
    ]
    failed = mark_of(1000, NOON - DAY, SECOND, Outcome.FAILURE)
    lanes[2] = Lane("bad", [*lanes[2].marks, failed], lanes[2].missed)
    chart = timeline(lanes, BEGIN, BEGIN + 10 * DAY, NOON)
    root = parsed(chart)
    assert len(all_of(root, "a")) <= MOST_MARKS
    assert len(all_of(root, "path", "missed")) <= MOST_MARKS
    assert f"./run?id={UUID(int=1000)}" in [a.get("href") for a in all_of(root, "a")]
    assert len(chart) < 120_000


@given(
    st.lists(
        st.builds(Lane, st.text(max_size=60), MARKS, st.lists(TIMES, max_size=5)),
        max_size=4,
    ),
    TIMES,
    TIMES,
    TIMES,
)
def test_all_is_inside(lanes: list[Lane], begin: int, end: int, now: int) -> None:
    root = parsed(timeline(lanes, begin, end, now))
    assert_inside(root)
    assert label_of(root)


def test_the_legend_has_what_is_there() -> None:
    marks = [mark_of(1, NOON), mark_of(2, NOON, 1, Outcome.FAILURE)]
    marks.append(mark_of(3, NOON, None))
    words = [item.tail for item in parsed(legend(marks, True)).iter("svg")]
    assert words == [" missed", " failure", " unfinished", " success"]
    assert not list(parsed(legend([])))
