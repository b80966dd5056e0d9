from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import native_buckets, native_buckets_of

# What prometheus-metrics pushed, and what Pushgateway 1.11.3 then answered.
RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "native_histograms.json").read_text()
)


def spans(*pairs: tuple[int, int]) -> list[pb.BucketSpan]:
    return [pb.BucketSpan(offset=offset, length=length) for offset, length in pairs]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["case"])
def test_buckets_are_those_of_the_pushgateway(case: dict[str, Any]) -> None:
    [buckets] = native_buckets_of(base64.b64decode(case["message"]))

    shown = [
        [kind, *(f"{number:.17g}" for number in numbers)]
        for kind, *numbers in buckets or ()
    ]
    expected = [
        [kind, *(f"{float(number):.17g}" for number in numbers)]
        for kind, *numbers in case["buckets"]
    ]
    assert shown == expected
    assert (buckets is None) == (case["buckets"] == {})


def test_integer_buckets_come_from_cumulated_deltas() -> None:
    histogram = pb.Histogram(
        schema=0,
        zero_threshold=0.001,
        zero_count=2,
        negative_span=spans((0, 2), (1, 1)),
        negative_delta=[1, 1, -1],
        positive_span=spans((-1, 1), (2, 2)),
        positive_delta=[3, -3, 2],
    )

    assert native_buckets(histogram) == [
        (1, -8.0, -4.0, 1),
        (1, -2.0, -1.0, 2),
        (1, -1.0, -0.5, 1),
        (3, -0.001, 0.001, 2),
        (0, 0.25, 0.5, 3),
        (0, 4.0, 8.0, 2),
    ]


@pytest.mark.parametrize("field", ["sample_count_float", "zero_count_float"])
def test_float_buckets_have_counts_of_their_own(field: str) -> None:
    histogram = pb.Histogram(
        schema=1,
        positive_span=spans((0, 3)),
        positive_delta=[7, 7, 7],
        positive_count=[0.5, 0.0, 1000000.0],
    )
    setattr(histogram, field, 1.5)

    buckets = native_buckets(histogram)[-2:]

    assert buckets == [
        (0, 0.7071067811865475, 1.0, 0.5),
        (0, 1.414213562373095, 2.0, 1000000.0),
    ]
    assert all(isinstance(count, float) for *_, count in buckets)


@pytest.mark.parametrize(
    ("schema", "index", "lower", "upper"),
    [
        (-4, 0, 2.0**-16, 1.0),
        (-4, 1, 1.0, 65536.0),
        (-1, 2, 4.0, 16.0),
        (0, 1024, 2.0**1023, 1.7976931348623157e308),
        (0, 1025, 1.7976931348623157e308, math.inf),
        (-4, 64, 2.0**1008, 1.7976931348623157e308),
        (2, 4096, 0.8408964152537144 * 2.0**1023 * 2, 1.7976931348623157e308),
        (0, -1074, 0.0, 5e-324),
        (2, 1, 1.0, 1.189207115002721),
        (3, -7, 0.5, 0.5452538663326288),
        (3, 0, 0.9170040432046711, 1.0),
        (8, 1, 1.0, 1.0027112750502025),
        (8, -127, 0.7071067811865475, 0.7090239421602076),
        (8, 0, 0.9972960560854698, 1.0),
        (5, 2**31 - 1, math.inf, math.inf),
    ],
)
def test_bounds_are_prometheus_bounds_to_the_last_digit(
    schema: int, index: int, lower: float, upper: float
) -> None:
    histogram = pb.Histogram(
        schema=schema, positive_span=spans((index, 1)), positive_delta=[1]
    )

    assert native_buckets(histogram) == [(0, lower, upper, 1)]


def test_a_bucket_below_the_smallest_number_is_open() -> None:
    histogram = pb.Histogram(
        negative_span=spans((-3000, 1)),
        negative_delta=[1],
        positive_span=spans((-3000, 1)),
        positive_delta=[1],
    )

    assert [kind for kind, *_ in native_buckets(histogram)] == [2, 2]


@pytest.mark.parametrize("schema", [-53, -5, 9, 2**31 - 1])
def test_a_schema_without_exponential_buckets_has_none(schema: int) -> None:
    histogram = pb.Histogram(
        schema=schema, positive_span=spans((0, 1)), positive_delta=[1]
    )

    assert native_buckets(histogram) == []


def test_spans_and_counts_may_disagree() -> None:
    histogram = pb.Histogram(
        positive_span=spans((0, 0), (1, 2**32 - 1), (0, 5)), positive_delta=[1, 1]
    )

    assert native_buckets(histogram) == [(0, 1.0, 2.0, 1), (0, 2.0, 4.0, 2)]


def test_a_negative_count_wraps_as_in_go() -> None:
    histogram = pb.Histogram(positive_span=spans((0, 1)), positive_delta=[-1])

    assert native_buckets(histogram) == [(0, 0.5, 1.0, 2**64 - 1)]


def test_metrics_without_a_native_histogram_have_none() -> None:
    family = pb.MetricFamily(name=b"a", type=pb.HISTOGRAM)
    family.metric.add(gauge=pb.Gauge(value=1))
    family.metric.add().histogram.bucket.add(cumulative_count=1, upper_bound=1)
    family.metric.add().histogram.positive_span.add(length=1)

    assert native_buckets_of(family.SerializeToString()) == [None, None, []]


@given(
    schema=st.integers(-4, 8),
    span=st.lists(
        st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1))
    ),
    deltas=st.lists(st.integers(-(2**63), 2**63 - 1)),
)
def test_no_histogram_is_an_error(
    schema: int, span: list[tuple[int, int]], deltas: list[int]
) -> None:
    histogram = pb.Histogram(
        schema=schema,
        negative_span=spans(*span),
        negative_delta=deltas,
        positive_span=spans(*span),
        positive_delta=deltas,
    )

    for _, lower, upper, count in native_buckets(histogram):
        assert lower <= upper
        assert 0 < count < 2**64
