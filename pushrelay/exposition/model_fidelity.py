"""Tells whether `pushrelay.model` holds all that a pushed protobuf family says.

Where it does not, the message itself is kept. Whether the text format gives back what
the model holds is another question, and asked of every family: see `stored`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.model import MetricType

_VALUES = {"counter", "gauge", "summary", "untyped", "histogram"}
_HELD_OF_A_HISTOGRAM = {"sample_count", "sample_sum", "bucket"}
# What Go and Python mean by NaN. Others say more, for example that a series is stale.
_PLAIN_NANS = {0x7FF8000000000001, 0x7FF8000000000000}


def model_holds(family: pb.MetricFamily) -> bool:
    """Whether nothing is lost when `family` becomes one of the model.

    That there are no timestamps is for others to see to. A missing number counts as
    the zero that it becomes.
    """
    if not family.metric or family.unit:
        return False
    value, holds = _HOLDERS[MetricType(family.type)]
    others = _VALUES - {value}
    return all(
        holds(metric) and not any(map(metric.HasField, others))
        for metric in family.metric
    )


def _holds_number(number: float) -> bool:
    return number == number or _bits(number) in _PLAIN_NANS


def _bits(number: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    return bits


def _holds_gauge(metric: pb.Metric) -> bool:
    return _holds_number(metric.gauge.value)


def _holds_untyped(metric: pb.Metric) -> bool:
    return _holds_number(metric.untyped.value)


def _holds_counter(metric: pb.Metric) -> bool:
    counter = metric.counter
    return (
        _holds_number(counter.value)
        and not counter.HasField("exemplar")
        and not counter.HasField("created_timestamp")
    )


def _holds_summary(metric: pb.Metric) -> bool:
    summary = metric.summary
    return (
        _holds_number(summary.sample_sum)
        and not summary.HasField("created_timestamp")
        and all(map(_holds_quantile, summary.quantile))
    )


def _holds_quantile(quantile: pb.Quantile) -> bool:
    return _holds_number(quantile.quantile) and _holds_number(quantile.value)


def _holds_histogram(metric: pb.Metric) -> bool:
    histogram = metric.histogram
    return (
        all(field.name in _HELD_OF_A_HISTOGRAM for field, _ in histogram.ListFields())
        and _holds_number(histogram.sample_sum)
        and all(map(_holds_bucket, histogram.bucket))
    )


def _holds_bucket(bucket: pb.Bucket) -> bool:
    # The model takes a count of zero for an integer, whichever it was.
    return (
        _holds_number(bucket.upper_bound)
        and not bucket.HasField("cumulative_count_float")
        and not bucket.HasField("exemplar")
    )


_HOLDERS: dict[MetricType, tuple[str, Callable[[pb.Metric], bool]]] = {
    MetricType.COUNTER: ("counter", _holds_counter),
    MetricType.GAUGE: ("gauge", _holds_gauge),
    MetricType.SUMMARY: ("summary", _holds_summary),
    MetricType.UNTYPED: ("untyped", _holds_untyped),
    MetricType.HISTOGRAM: ("histogram", _holds_histogram),
    MetricType.GAUGE_HISTOGRAM: ("histogram", _holds_histogram),
}
