from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_histograms import THRESHOLDS, add, count_of, histogram, histograms, made

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_addition import add_native_histograms
from pushrelay.exposition.native_histogram import (
    NativeBucket,
    is_float,
    is_native,
    native_buckets,
)
from pushrelay.exposition.native_validity import check_native_histogram


def downscaled(one: pb.Histogram, schema: int) -> pb.Histogram:
    """Return `one` in a coarser schema, by the addition of nothing."""
    nothing = made(schema, {}, threshold=one.zero_threshold)
    return add(one, nothing)


TABLE: dict[str, tuple[str, str, list[NativeBucket]]] = {
    "the same buckets": (
        "sample_count: 3 positive_span { length: 2 } positive_delta: [1, 1]",
        "sample_count: 9 positive_span { length: 2 } positive_delta: [4, 1]",
        [(0, 0.5, 1.0, 5), (0, 1.0, 2.0, 7)],
    ),
    "buckets side by side and far apart": (
        "sample_count: 2 positive_span { length: 1 } positive_delta: [1]"
        " negative_span { offset: 9 length: 1 } negative_delta: [1]",
        "sample_count: 2 positive_span { offset: 1 length: 1 }"
        " positive_span { offset: 2 length: 1 } positive_delta: [1, 0]",
        [(1, -512.0, -256.0, 1), (0, 0.5, 1, 1), (0, 1, 2, 1), (0, 8, 16, 1)],
    ),
    "another resolution": (
        "sample_count: 10 schema: 1 positive_span { offset: -1 length: 4 }"
        " positive_delta: [1, 1, 1, 1]",
        "sample_count: 1 schema: 0 positive_span { length: 1 } positive_delta: 1",
        [(0, 0.5, 1.0, 4), (0, 1.0, 2.0, 7)],
    ),
    "a wider zero bucket": (
        "sample_count: 6 zero_threshold: 0.001 zero_count: 1"
        " positive_span { offset: -2 length: 2 } positive_delta: [1, 1]"
        " negative_span { offset: -2 length: 1 } negative_delta: 2",
        "sample_count: 1 zero_threshold: 0.25 zero_count: 1",
        [(3, -0.25, 0.25, 5), (0, 0.25, 0.5, 2)],
    ),
    "a zero bucket that would divide a bucket": (
        "sample_count: 2 positive_span { length: 2 } positive_delta: [1, 0]",
        "sample_count: 1 zero_threshold: 0.75 zero_count: 1",
        [(3, -1.0, 1.0, 2), (0, 1.0, 2.0, 1)],
    ),
    "a zero bucket that would divide a negative bucket": (
        "sample_count: 2 negative_span { length: 2 } negative_delta: [1, 0]",
        "sample_count: 1 zero_threshold: 0.75 zero_count: 1",
        [(1, -2.0, -1.0, 1), (3, -1.0, 1.0, 2)],
    ),
    "a zero bucket that would divide an empty bucket": (
        "sample_count: 1 positive_span { length: 2 } positive_delta: [0, 1]",
        "sample_count: 1 zero_threshold: 0.75 zero_count: 1",
        [(3, -0.75, 0.75, 1), (0, 1.0, 2.0, 1)],
    ),
    "a zero bucket that both sides widen": (
        "sample_count: 1 schema: 1 positive_span { offset: 1 length: 1 }"
        " positive_delta: 1",
        "sample_count: 2 schema: -1 zero_threshold: 1.1 zero_count: 1"
        " positive_span { offset: 1 length: 1 } positive_delta: 1",
        # 1.1 is in (1, 1.41], and 1.41 is in (1, 4].
        [(3, -4.0, 4.0, 3)],
    ),
    "equal zero buckets that divide a bucket": (
        "sample_count: 2 zero_threshold: 0.75 zero_count: 1"
        " positive_span { length: 1 } positive_delta: 1",
        "sample_count: 1 zero_threshold: 0.75 zero_count: 1",
        [(3, -0.75, 0.75, 2), (0, 0.5, 1.0, 1)],
    ),
    "integers and floats": (
        "sample_count: 3 zero_count: 1 positive_span { length: 1 } positive_delta: 2",
        "sample_count_float: 1 zero_count_float: 0.5 positive_span { length: 1 }"
        " positive_count: 0.5",
        [(3, 0.0, 0.0, 1.5), (0, 0.5, 1.0, 2.5)],
    ),
}


@pytest.mark.parametrize(("held", "pushed", "expected"), TABLE.values(), ids=TABLE)
def test_buckets_are_added(
    held: str, pushed: str, expected: list[NativeBucket]
) -> None:
    total = add(histogram(held), histogram(pushed))
    buckets = native_buckets(total)
    assert [bucket[1:] for bucket in buckets] == [bucket[1:] for bucket in expected]


FLOATS = "sample_count_float: 1e308 positive_span { length: 1 } positive_count: "
NOT_ADDABLE: dict[str, tuple[pb.Histogram, pb.Histogram, str]] = {
    "custom bounds": (
        pb.Histogram(schema=-53, positive_span=[pb.BucketSpan(length=0)]),
        made(0, {}),
        "the held native histogram has the schema -53, which has no exponential "
        "buckets",
    ),
    "a threshold that is no number": (
        made(0, {}),
        made(0, {}, threshold=nan),
        "the pushed native histogram has the zero threshold NaN",
    ),
    "a zero bucket of everything": (
        made(0, {}, threshold=inf),
        made(0, {}),
        "the held native histogram has the zero threshold +Inf",
    ),
    "a count that is no number": (
        histogram(f"{FLOATS} nan"),
        made(0, {}),
        "the held native histogram has a count that is not finite",
    ),
    "a bucket beyond 63 bits": (
        made(0, {1: 2**62}),
        made(0, {1: 2**62}),
        "a bucket of both native histograms together has more than 2^63-1 observations",
    ),
    "too many for a float": (
        histogram(f"{FLOATS} 1e308"),
        histogram(f"{FLOATS} 1e308"),
        "both native histograms together have more observations than a float holds",
    ),
    "gaps beyond 31 bits": (
        made(0, {-(2**31): 1}),
        made(0, {5: 1}),
        "the buckets of the two native histograms lie too far apart",
    ),
    "more than Prometheus can number": (
        made(0, {3: 1, 2**31 - 9: 1}),
        made(0, {-20: 1}),
        "its positive spans reach too far",
    ),
}


@pytest.mark.parametrize(
    ("held", "pushed", "reason"), NOT_ADDABLE.values(), ids=NOT_ADDABLE
)
def test_what_cannot_be_added(
    held: pb.Histogram, pushed: pb.Histogram, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        add(held, pushed)
    assert str(caught.value) == reason


def test_two_that_were_never_observed_stay_native() -> None:
    total = add(made(3, {}), made(3, {}))
    assert is_native(total)
    assert native_buckets(total) == []


@given(histograms(), histograms())
def test_the_sum_is_one_that_prometheus_takes(
    one: pb.Histogram, other: pb.Histogram
) -> None:
    total = add(one, other)
    check_native_histogram(total)
    assert is_native(total)
    assert total.schema == min(one.schema, other.schema)
    assert total.zero_threshold >= max(one.zero_threshold, other.zero_threshold)
    assert is_float(total) or not (is_float(one) or is_float(other))


@given(histograms(), histograms())
def test_no_observation_is_lost(one: pb.Histogram, other: pb.Histogram) -> None:
    total = add(one, other)
    assert count_of(total) == count_of(one) + count_of(other)
    seen = [
        sum(count for *_, count in native_buckets(each)) for each in (one, other, total)
    ]
    assert seen[2] == seen[0] + seen[1]


@given(histograms(), histograms())
def test_the_order_does_not_matter(one: pb.Histogram, other: pb.Histogram) -> None:
    assert add(one, other) == add(other, one)


def test_a_count_is_not_below_what_the_buckets_have_together() -> None:
    """Prometheus would refuse the page for a count that is rounded down."""
    floats = [0.1, 0.7, 0.2, 1e-9]
    one = pb.Histogram(sample_count_float=1.0, positive_count=floats[:2])
    one.positive_span.add(offset=0, length=2)
    other = pb.Histogram(sample_count_float=0.2 + 1e-9, positive_count=floats[2:])
    other.positive_span.add(offset=2, length=2)
    total = add_native_histograms(one, other, 0.5)
    check_native_histogram(total)
    assert total.sample_count_float == 0.1 + 0.7 + 0.2 + 1e-9


@given(histograms())
def test_the_sum_with_nothing_is_the_same(one: pb.Histogram) -> None:
    nothing = made(one.schema, {}, threshold=one.zero_threshold)
    total = add(one, nothing)
    assert native_buckets(total) == native_buckets(one)
    assert count_of(total) == count_of(one)
    assert is_float(total) is is_float(one)


@given(st.data(), st.sampled_from(THRESHOLDS), st.integers(-4, 8))
def test_adding_and_downscaling_can_change_places(
    data: st.DataObject, threshold: float, schema: int
) -> None:
    """Of unlike zero buckets, one that is widened first ends at a finer bound."""
    alike = histograms(schema, [threshold])
    one, other = data.draw(alike), data.draw(alike)
    added_first = downscaled(add(one, other), schema)
    assert added_first == add(downscaled(one, schema), downscaled(other, schema))


@given(histograms(), histograms())
def test_a_bucket_has_what_lay_within_its_bounds(
    one: pb.Histogram, other: pb.Histogram
) -> None:
    total = add(one, other)
    threshold = total.zero_threshold
    before = native_buckets(one) + native_buckets(other)
    in_zero = [b for b in before if -threshold <= b[1] and b[2] <= threshold]
    beyond = [bucket for bucket in before if bucket not in in_zero]
    for kind, lower, upper, count in native_buckets(total):
        lay_there = in_zero if kind == 3 else beyond
        assert count == sum(
            n for _, low, high, n in lay_there if lower <= low and high <= upper
        )


@given(histograms(), histograms())
def test_a_zero_bucket_is_not_wider_than_it_must_be(
    one: pb.Histogram, other: pb.Histogram
) -> None:
    widest = max(one.zero_threshold, other.zero_threshold)
    threshold = add(one, other).zero_threshold
    ends = {
        max(abs(low), abs(high))
        for _, low, high, _ in native_buckets(one) + native_buckets(other)
        if min(abs(low), abs(high)) < threshold
    }
    assert threshold == widest or threshold in ends
