"""The fields of a metric in the protobuf format, one by one as they are encoded."""

from __future__ import annotations

import struct

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.protobuf_wire import varint

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2
_UINT64_MASK = 2**64 - 1

double = struct.Struct("<Bd").pack
"""Encode the field with the given tag and a double."""

_two_doubles = struct.Struct("<BBBdBd").pack
_one_double = struct.Struct("<BBBd").pack


def message(tag: int, payload: bytes) -> bytes:
    """Encode a field that is a message or a string."""
    return message_head(tag, len(payload)) + payload


def message_head(tag: int, length: int) -> bytes:
    """Encode what precedes the `length` bytes of a message or a string."""
    return varint(tag) + varint(length)


def count(number: int | float) -> bytes:
    """Encode the count of a summary, histogram or bucket: the fields of all three have
    the same numbers."""
    if isinstance(number, float):
        return double(COUNT_FLOAT, number)
    return varint(COUNT) + varint(number & _UINT64_MASK)


def single_value(tag: int, number: float) -> bytes:
    """Encode the value of a counter, a gauge or an untyped metric."""
    return _one_double(tag, 9, VALUE, number)


def quantile(rank: float, number: float) -> bytes:
    """Encode a quantile of a summary."""
    return _two_doubles(QUANTILE, 18, QUANTILE_QUANTILE, rank, QUANTILE_VALUE, number)


def _tag(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


NAME = _tag(pb.MetricFamily.NAME_FIELD_NUMBER, _LENGTH_DELIMITED)
HELP = _tag(pb.MetricFamily.HELP_FIELD_NUMBER, _LENGTH_DELIMITED)
TYPE = _tag(pb.MetricFamily.TYPE_FIELD_NUMBER, _VARINT)
METRIC = _tag(pb.MetricFamily.METRIC_FIELD_NUMBER, _LENGTH_DELIMITED)
LABEL = _tag(pb.Metric.LABEL_FIELD_NUMBER, _LENGTH_DELIMITED)
PAIR_NAME = _tag(pb.LabelPair.NAME_FIELD_NUMBER, _LENGTH_DELIMITED)
PAIR_VALUE = _tag(pb.LabelPair.VALUE_FIELD_NUMBER, _LENGTH_DELIMITED)
COUNTER = _tag(pb.Metric.COUNTER_FIELD_NUMBER, _LENGTH_DELIMITED)
GAUGE = _tag(pb.Metric.GAUGE_FIELD_NUMBER, _LENGTH_DELIMITED)
UNTYPED = _tag(pb.Metric.UNTYPED_FIELD_NUMBER, _LENGTH_DELIMITED)
SUMMARY = _tag(pb.Metric.SUMMARY_FIELD_NUMBER, _LENGTH_DELIMITED)
HISTOGRAM = _tag(pb.Metric.HISTOGRAM_FIELD_NUMBER, _LENGTH_DELIMITED)
VALUE = _tag(pb.Gauge.VALUE_FIELD_NUMBER, _FIXED64)
COUNT = _tag(pb.Histogram.SAMPLE_COUNT_FIELD_NUMBER, _VARINT)
COUNT_FLOAT = _tag(pb.Histogram.SAMPLE_COUNT_FLOAT_FIELD_NUMBER, _FIXED64)
SAMPLE_SUM = _tag(pb.Histogram.SAMPLE_SUM_FIELD_NUMBER, _FIXED64)
QUANTILE = _tag(pb.Summary.QUANTILE_FIELD_NUMBER, _LENGTH_DELIMITED)
QUANTILE_QUANTILE = _tag(pb.Quantile.QUANTILE_FIELD_NUMBER, _FIXED64)
QUANTILE_VALUE = _tag(pb.Quantile.VALUE_FIELD_NUMBER, _FIXED64)
BUCKET = _tag(pb.Histogram.BUCKET_FIELD_NUMBER, _LENGTH_DELIMITED)
UPPER_BOUND = _tag(pb.Bucket.UPPER_BOUND_FIELD_NUMBER, _FIXED64)
