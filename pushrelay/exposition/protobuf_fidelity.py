"""Tells whether the text format can give back a family that was pushed as protobuf."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import copysign, inf

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.model import MetricType

_EXACT_INTEGERS = 2**53
_TEXT_HISTOGRAM_FIELDS = {"sample_count", "sample_sum", "bucket"}
# What Go and Python mean by NaN. Others say more, for example that a series is stale.
_PLAIN_NANS = {0x7FF8000000000001, 0x7FF8000000000000}


def text_keeps(family: pb.MetricFamily) -> bool:
    """Whether nothing is lost when `family` is written as text and read again.

    Judges the values of the family's type. That there are no unknown fields and no
    timestamps, and that the labels are legal, is for others to see to. A missing
    number counts as the zero that it becomes.
    """
    keeps = _KEEPERS[MetricType(family.type)]
    return bool(family.metric) and not family.unit and all(map(keeps, family.metric))


def _keeps_number(number: float) -> bool:
    if not number:
        return copysign(1.0, number) > 0
    return number == number or _bits(number) in _PLAIN_NANS


def _bits(number: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    return bits


def _keeps_gauge(metric: pb.Metric) -> bool:
    return _keeps_number(metric.gauge.value)


def _keeps_untyped(metric: pb.Metric) -> bool:
    return _keeps_number(metric.untyped.value)


def _keeps_counter(metric: pb.Metric) -> bool:
    counter = metric.counter
    return (
        _keeps_number(counter.value)
        and not counter.HasField("exemplar")
        and not counter.HasField("created_timestamp")
    )


def _keeps_summary(metric: pb.Metric) -> bool:
    summary = metric.summary
    return (
        summary.sample_count <= _EXACT_INTEGERS
        and _keeps_number(summary.sample_sum)
        and not summary.HasField("created_timestamp")
        and all(map(_keeps_quantile, summary.quantile))
    )


def _keeps_quantile(quantile: pb.Quantile) -> bool:
    return _keeps_number(quantile.quantile) and _keeps_number(quantile.value)


def _keeps_histogram(metric: pb.Metric) -> bool:
    if not metric.HasField("histogram"):
        return True
    histogram = metric.histogram
    return (
        all(field.name in _TEXT_HISTOGRAM_FIELDS for field, _ in histogram.ListFields())
        and histogram.sample_count <= _EXACT_INTEGERS
        and _keeps_number(histogram.sample_sum)
        and all(map(_keeps_bucket, histogram.bucket))
        # Text always has this bucket.
        and any(bucket.upper_bound == inf for bucket in histogram.bucket)
    )


def _keeps_bucket(bucket: pb.Bucket) -> bool:
    # Of counts that are floats text gives back only those that are no integers.
    return (
        bucket.cumulative_count <= _EXACT_INTEGERS
        and _keeps_number(bucket.upper_bound)
        and not bucket.HasField("cumulative_count_float")
        and not bucket.HasField("exemplar")
    )


_KEEPERS: dict[MetricType, Callable[[pb.Metric], bool]] = {
    MetricType.COUNTER: _keeps_counter,
    MetricType.GAUGE: _keeps_gauge,
    MetricType.SUMMARY: _keeps_summary,
    MetricType.UNTYPED: _keeps_untyped,
    MetricType.HISTOGRAM: _keeps_histogram,
    MetricType.GAUGE_HISTOGRAM: _keeps_histogram,
}
