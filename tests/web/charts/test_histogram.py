"""Histograms as drawn."""

from __future__ import annotations

from math import inf, nan, nextafter
from xml.etree.ElementTree import Element

import pytest
from charts import all_of, assert_inside, label_of, parsed, titles_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import native_buckets
from pushrelay.web.charts import Bucket, histogram, single_counts, spelled_out
from pushrelay.web.charts.buckets import columns

CLASSIC = [(0.1, 3.0), (1.0, 10.0), (10.0, 10.0), (inf, 12.0)]
BOUNDS = st.floats(allow_nan=False)
BUCKETS = st.lists(
    st.tuples(BOUNDS, BOUNDS, st.floats()).map(
        lambda b: (min(b[:2]), max(b[:2]), b[2])
    ),
    max_size=30,
)


def axis_of(root: Element) -> list[str | None]:
    return [text.text for text in root.iter("text")][1:]


def heights(root: Element) -> list[float]:
    return [float(bar.get("height", "0")) for bar in all_of(root, "rect")]


def test_cumulative_counts_become_single_ones_whatever_their_order() -> None:
    expected = [(-inf, 0.1, 3), (0.1, 1, 7), (1, 10, 0), (10, inf, 2)]
    assert single_counts(CLASSIC) == expected
    assert single_counts(CLASSIC[::-1]) == expected


def test_counts_that_fall_make_empty_buckets() -> None:
    pairs = [(1.0, 5.0), (2.0, 4.0), (3.0, 6.0)]
    assert [count for _, _, count in single_counts(pairs)] == [5, 0, 1]


def test_a_classic_histogram_has_a_bar_for_each_bucket_that_is_not_empty() -> None:
    root = parsed(histogram(single_counts(CLASSIC), "backup_seconds"))
    assert titles_of(root) == ["up to 0.1: 3", "from 0.1 to 1: 7", "above 10: 2"]
    assert max(heights(root)) == heights(root)[1]
    assert axis_of(root) == ["≤ 0.1", "> 10"]
    assert label_of(root) == (
        "backup_seconds: 12 observations in 4 buckets; the most, 7, from 0.1 to 1"
    )


def test_a_native_histogram_has_its_gaps_and_its_zero() -> None:
    native = pb.Histogram(
        schema=0,
        zero_threshold=0.001,
        zero_count=2,
        negative_span=[pb.BucketSpan(offset=0, length=1)],
        negative_delta=[1],
        positive_span=[
            pb.BucketSpan(offset=1, length=1),
            pb.BucketSpan(offset=2, length=1),
        ],
        positive_delta=[4, -3],
        sample_count=8,
    )
    buckets = native_buckets(native)
    shown = columns(spelled_out(buckets))
    assert [bucket for bucket in shown if bucket[2]] == [
        (-1, -0.5, 1),
        (-0.001, 0.001, 2),
        (1, 2, 4),
        (8, 16, 1),
    ]
    between = [bucket[:2] for bucket in shown if bucket[0] >= 2 and not bucket[2]]
    assert between == [pytest.approx((2, 4)), pytest.approx((4, 8))]
    root = parsed(histogram(spelled_out(buckets), "x"))
    assert len(all_of(root, "rect")) == 4
    assert axis_of(root) == ["-1", "0", "16"]


def test_counts_of_a_float_histogram_are_shown_as_they_are() -> None:
    root = parsed(histogram([(0, 1, 0.5), (1, 2, 1234567.0)], "x"))
    assert titles_of(root) == ["from 0 to 1: 0.5", "from 1 to 2: 1,234,567"]


def test_even_one_observation_among_many_can_be_seen() -> None:
    assert min(heights(parsed(histogram([(0, 1, 1), (1, 2, 1e9)], "x")))) == 2


def test_bounds_between_the_ends_are_named() -> None:
    root = parsed(histogram([(n, n + 1, 1) for n in range(9)], "x"))
    assert axis_of(root) == ["0", "3", "6", "9"]


@pytest.mark.parametrize(
    ("buckets", "axis", "gist"),
    [
        ([], [], "no observations"),
        ([(0.0, 1.0, 0.0)], ["from 0 to 1"], "no observations"),
        ([(0.0, 1.0, nan), (1.0, 2.0, -3.0)], ["0", "2"], "no observations"),
        (
            [(-inf, inf, 1.0)],
            ["all"],
            "1 observation in 1 bucket; the most, 1, all",
        ),
    ],
)
def test_next_to_nothing_is_shown_too(
    buckets: list[Bucket], axis: list[str], gist: str
) -> None:
    root = parsed(histogram(buckets, "x"))
    assert axis_of(root) == axis
    assert label_of(root) == f"x: {gist}"


def test_a_label_cannot_be_markup() -> None:
    label = '"><script>alert(1)</script>'
    assert label_of(parsed(histogram([], label))).startswith(label)


def test_a_gap_beside_a_bucket_that_is_hardly_wide_is_one() -> None:
    first, last = (1.0, 2.0, 1.0), (1e10, nextafter(1e10, inf), 1.0)
    assert columns([first, last]) == [first, (2.0, 1e10, 0.0), last]


def test_very_many_buckets_are_taken_together() -> None:
    buckets = [(float(n), n + 1.0, 1.0) for n in range(1000)]
    root = parsed(histogram(buckets, "x"))
    assert len(all_of(root, "rect")) == 125
    assert "1,000 observations in 1000 buckets" in label_of(root)


@given(BUCKETS)
def test_all_is_inside(buckets: list[Bucket]) -> None:
    root = parsed(histogram(buckets, "x"))
    assert_inside(root)
    assert len(all_of(root, "rect")) <= 200


@given(BUCKETS)
def test_gaps_are_filled_with_nothing(buckets: list[Bucket]) -> None:
    assert len(columns(buckets)) <= 200
    counted = [bucket for bucket in buckets if 0 < bucket[2] < 1e9]
    total = sum(count for _, _, count in counted)
    assert sum(c for _, _, c in columns(counted)) == pytest.approx(total)
