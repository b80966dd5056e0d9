from __future__ import annotations

import math

import pytest

from pushrelay.model import Histogram, Summary
from pushrelay.telemetry.values import HistogramValue, SlidingSummary


def test_a_histogram_counts_up_to_and_including_a_bound() -> None:
    histogram = HistogramValue((1, 2))
    for value in (0.5, 1, 1.5, 2, 99):
        histogram.observe(value)
    assert histogram.value() == Histogram(5, 104.0, [(1, 2), (2, 4), (math.inf, 5)])


def test_an_empty_histogram_has_all_its_buckets() -> None:
    assert HistogramValue((1,)).value() == Histogram(0, 0.0, [(1, 0), (math.inf, 0)])


def test_a_summary_tells_quantiles_of_what_it_saw() -> None:
    summary = SlidingSummary()
    for value in range(100):
        summary.observe(value, now=0)
    assert summary.value(now=0) == Summary(
        100, 4950.0, [(0.1, 10), (0.5, 50), (0.9, 90)]
    )


def test_the_quantiles_of_a_summary_forget_and_its_count_does_not() -> None:
    summary = SlidingSummary()
    summary.observe(1, now=0)
    assert [value for _, value in summary.value(now=599).quantiles] == [1, 1, 1]
    forgotten = summary.value(now=601)
    assert all(math.isnan(value) for _, value in forgotten.quantiles)
    assert (forgotten.sample_count, forgotten.sample_sum) == (1, 1.0)
    summary.observe(3, now=700)
    assert [value for _, value in summary.value(now=700).quantiles] == [3, 3, 3]


def test_the_quantiles_of_a_summary_slide() -> None:
    summary = SlidingSummary()
    for minute in range(30):
        summary.observe(minute, now=minute * 60)
    lowest = summary.value(now=29 * 60).quantiles[0][1]
    assert 18 <= lowest <= 22


def test_a_summary_is_bounded() -> None:
    summary = SlidingSummary()
    for number in range(20_000):
        summary.observe(number, now=number / 20)
    kept = sum(len(part.values) for part in summary._slices)
    assert kept <= SlidingSummary.SLICES * SlidingSummary.SAMPLE
    assert summary.value(now=1000).sample_count == 20_000


def test_a_full_sample_still_follows_what_is_observed() -> None:
    summary = SlidingSummary()
    for value in [0] * SlidingSummary.SAMPLE + [1] * 20 * SlidingSummary.SAMPLE:
        summary.observe(value, now=0)
    assert dict(summary.value(now=0).quantiles)[0.5] == 1


def test_quantiles_are_of_all_parts_together() -> None:
    summary = SlidingSummary()
    for value in (5, 1, 4):
        summary.observe(value, now=0)
    for value in (3, 2):
        summary.observe(value, now=SlidingSummary.SLICE_SECONDS)
    ordered = [value for _, value in summary.value(now=150).quantiles]
    assert ordered == [1, 3, 5]


@pytest.mark.parametrize(
    ("values", "quantile", "expected"),
    [
        ([], 0.5, None),
        ([0.5], 0.5, 0.5),
        ([1.5], 0.5, 1.5),
        ([0.5, 0.5, 3, 3], 0.5, 1.0),
        ([0.5] * 99 + [3], 0.99, 1.0),
        ([0.5] * 98 + [3] * 2, 0.99, 3.0),
        # Nothing is known of what is beyond.
        ([9], 0.5, 4),
        ([0.5, 9], 0.99, 4),
        ([0.5, 1.5], 0.0, 0.0),
        ([0.5, 1.5], 1.0, 2.0),
    ],
)
def test_a_histogram_tells_about_how_large_most_values_were(
    values: list[float], quantile: float, expected: float | None
) -> None:
    histogram = HistogramValue((1, 2, 4))
    for value in values:
        histogram.observe(value)
    assert histogram.quantile(quantile) == expected
