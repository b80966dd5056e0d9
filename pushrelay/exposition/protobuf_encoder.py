"""Writes metric families in the protobuf format, for scrapes and for keeping.

An encoded family is its header followed by its metrics, and metrics may be appended
piece by piece. So a family of many groups on a page is, in a row: the length of all
of it, the header, and what `encode_metrics` made for each group.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from google.protobuf import text_format

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import (
    Escaping,
    escape_label_name,
    escape_metric_name,
)
from pushrelay.exposition.protobuf_wire import split_delimited, varint
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2
_DOUBLE = struct.Struct("<Bd").pack
_SINGLE_VALUE = struct.Struct("<BBBd").pack
_UINT64_MASK = 2**64 - 1


def delimit(length: int) -> bytes:
    """Return what precedes a message of `length` bytes in a stream of messages."""
    return varint(length)


def encode_header(
    name: str,
    type: MetricType,
    help: str,
    escaping: Escaping,
) -> bytes:
    """Encode a family without its metrics, its name as `escaping` wants it."""
    encoded = _message(_NAME, escape_metric_name(name, escaping).encode())
    if help:
        encoded += _message(_HELP, help.encode())
    return encoded + varint(_TYPE) + varint(type)


def encode_metrics(family: MetricFamily, escaping: Escaping) -> bytes:
    """Encode the metrics of `family`, to follow its header; label names as `escaping`
    wants them.

    Made from the family's message if it has one, so that nothing is lost. Then the
    unit of the family is among the metrics.
    """
    if family.message is not None:
        return _metrics_of_message(family.message, escaping)
    pairs = _LabelPairs(escaping)
    encode_value = _VALUE_ENCODERS[family.type]
    return b"".join([_metric(metric, pairs, encode_value) for metric in family.metrics])


def encode_family(family: MetricFamily) -> bytes:
    """Encode `family` as one message, without its length and with its own names."""
    if family.message is not None:
        return family.message
    header = encode_header(family.name, family.type, family.help, Escaping.ALLOW_UTF8)
    return header + encode_metrics(family, Escaping.ALLOW_UTF8)


def to_text(delimited_family: bytes, compact: bool) -> str:
    """Show an encoded family in protobuf's text format, as scrapers that ask for
    `encoding=text` or `compact-text` want it: over several lines and followed by an
    empty one, or in one line."""
    messages = map(pb.MetricFamily.FromString, split_delimited(delimited_family))
    return "".join(
        text_format.MessageToString(message, as_one_line=compact) + "\n"
        for message in messages
    )


def _metrics_of_message(message: bytes, escaping: Escaping) -> bytes:
    family = pb.MetricFamily.FromString(message)
    for header_field in ("name", "help", "type"):
        family.ClearField(header_field)
    for metric in family.metric:
        for pair in metric.label:
            name = str(pair.name, "utf-8", "surrogateescape")
            escaped = escape_label_name(name, escaping)
            if escaped is not name:
                pair.name = _bytes(escaped)
    return family.SerializeToString()


class _LabelPairs(dict[tuple[str, str], bytes]):
    """Encoded label pairs: most of them stand on all series of a family."""

    def __init__(self, escaping: Escaping) -> None:
        super().__init__()
        self._escaping = escaping

    def __missing__(self, pair: tuple[str, str]) -> bytes:
        name = _bytes(escape_label_name(pair[0], self._escaping))
        encoded = _message(
            _LABEL, _message(_PAIR_NAME, name) + _message(_PAIR_VALUE, _bytes(pair[1]))
        )
        self[pair] = encoded
        return encoded


def _metric(
    metric: Metric, pairs: _LabelPairs, encode_value: Callable[[Any], bytes]
) -> bytes:
    labels = b"".join([pairs[pair] for pair in metric.labels])
    if metric.value is None:
        return _message(_METRIC, labels)
    return _message(_METRIC, labels + encode_value(metric.value))


def _counter(value: float) -> bytes:
    return _SINGLE_VALUE(_COUNTER, 9, _VALUE, value)


def _gauge(value: float) -> bytes:
    return _SINGLE_VALUE(_GAUGE, 9, _VALUE, value)


def _untyped(value: float) -> bytes:
    return _SINGLE_VALUE(_UNTYPED, 9, _VALUE, value)


def _summary(summary: Summary) -> bytes:
    parts = [_count(summary.sample_count), _DOUBLE(_SAMPLE_SUM, summary.sample_sum)]
    for quantile, value in summary.quantiles:
        pair = _DOUBLE(_QUANTILE_QUANTILE, quantile) + _DOUBLE(_QUANTILE_VALUE, value)
        parts.append(_message(_QUANTILE, pair))
    return _message(_SUMMARY, b"".join(parts))


def _histogram(histogram: Histogram) -> bytes:
    parts = [_count(histogram.sample_count), _DOUBLE(_SAMPLE_SUM, histogram.sample_sum)]
    for upper_bound, count in histogram.buckets:
        bucket = _count(count) + _DOUBLE(_UPPER_BOUND, upper_bound)
        parts.append(_message(_BUCKET, bucket))
    return _message(_HISTOGRAM, b"".join(parts))


def _count(count: int | float) -> bytes:
    """Encode the count of a summary, histogram or bucket: the fields of all three have
    the same numbers."""
    if isinstance(count, float):
        return _DOUBLE(_COUNT_FLOAT, count)
    return varint(_COUNT) + varint(count & _UINT64_MASK)


def _message(tag: int, payload: bytes) -> bytes:
    return varint(tag) + varint(len(payload)) + payload


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _tag(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


_NAME = _tag(pb.MetricFamily.NAME_FIELD_NUMBER, _LENGTH_DELIMITED)
_HELP = _tag(pb.MetricFamily.HELP_FIELD_NUMBER, _LENGTH_DELIMITED)
_TYPE = _tag(pb.MetricFamily.TYPE_FIELD_NUMBER, _VARINT)
_METRIC = _tag(pb.MetricFamily.METRIC_FIELD_NUMBER, _LENGTH_DELIMITED)
_LABEL = _tag(pb.Metric.LABEL_FIELD_NUMBER, _LENGTH_DELIMITED)
_PAIR_NAME = _tag(pb.LabelPair.NAME_FIELD_NUMBER, _LENGTH_DELIMITED)
_PAIR_VALUE = _tag(pb.LabelPair.VALUE_FIELD_NUMBER, _LENGTH_DELIMITED)
_COUNTER = _tag(pb.Metric.COUNTER_FIELD_NUMBER, _LENGTH_DELIMITED)
_GAUGE = _tag(pb.Metric.GAUGE_FIELD_NUMBER, _LENGTH_DELIMITED)
_UNTYPED = _tag(pb.Metric.UNTYPED_FIELD_NUMBER, _LENGTH_DELIMITED)
_SUMMARY = _tag(pb.Metric.SUMMARY_FIELD_NUMBER, _LENGTH_DELIMITED)
_HISTOGRAM = _tag(pb.Metric.HISTOGRAM_FIELD_NUMBER, _LENGTH_DELIMITED)
_VALUE = _tag(pb.Gauge.VALUE_FIELD_NUMBER, _FIXED64)
_COUNT = _tag(pb.Histogram.SAMPLE_COUNT_FIELD_NUMBER, _VARINT)
_COUNT_FLOAT = _tag(pb.Histogram.SAMPLE_COUNT_FLOAT_FIELD_NUMBER, _FIXED64)
_SAMPLE_SUM = _tag(pb.Histogram.SAMPLE_SUM_FIELD_NUMBER, _FIXED64)
_QUANTILE = _tag(pb.Summary.QUANTILE_FIELD_NUMBER, _LENGTH_DELIMITED)
_QUANTILE_QUANTILE = _tag(pb.Quantile.QUANTILE_FIELD_NUMBER, _FIXED64)
_QUANTILE_VALUE = _tag(pb.Quantile.VALUE_FIELD_NUMBER, _FIXED64)
_BUCKET = _tag(pb.Histogram.BUCKET_FIELD_NUMBER, _LENGTH_DELIMITED)
_UPPER_BOUND = _tag(pb.Bucket.UPPER_BOUND_FIELD_NUMBER, _FIXED64)

_VALUE_ENCODERS: dict[MetricType, Callable[[Any], bytes]] = {
    MetricType.COUNTER: _counter,
    MetricType.GAUGE: _gauge,
    MetricType.SUMMARY: _summary,
    MetricType.UNTYPED: _untyped,
    MetricType.HISTOGRAM: _histogram,
    MetricType.GAUGE_HISTOGRAM: _histogram,
}
