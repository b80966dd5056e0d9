"""Writes metric families in the protobuf format, for scrapes and for keeping.

An encoded family is its header followed by its metrics, and metrics may be appended
piece by piece. So a family of many groups on a page is, in a row: the length of all
of it, the header, and what `encode_metrics` made for each group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import text_format

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition import protobuf_fields as fields
from pushrelay.exposition.escaping import (
    Escaping,
    escape_label_name,
    escape_metric_name,
)
from pushrelay.exposition.protobuf_wire import split_delimited, varint
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary


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
    encoded = fields.message(fields.NAME, escape_metric_name(name, escaping).encode())
    if help:
        encoded += fields.message(fields.HELP, help.encode())
    return encoded + varint(fields.TYPE) + varint(type)


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
        encoded = fields.message(
            fields.LABEL,
            fields.message(fields.PAIR_NAME, name)
            + fields.message(fields.PAIR_VALUE, _bytes(pair[1])),
        )
        self[pair] = encoded
        return encoded


def _metric(
    metric: Metric, pairs: _LabelPairs, encode_value: Callable[[Any], bytes]
) -> bytes:
    labels = b"".join([pairs[pair] for pair in metric.labels])
    if metric.value is None:
        return fields.message(fields.METRIC, labels)
    return fields.message(fields.METRIC, labels + encode_value(metric.value))


def _counter(value: float) -> bytes:
    return fields.single_value(fields.COUNTER, value)


def _gauge(value: float) -> bytes:
    return fields.single_value(fields.GAUGE, value)


def _untyped(value: float) -> bytes:
    return fields.single_value(fields.UNTYPED, value)


def _summary(summary: Summary) -> bytes:
    parts = _totals(summary)
    parts += [fields.quantile(rank, value) for rank, value in summary.quantiles]
    return fields.message(fields.SUMMARY, b"".join(parts))


def _histogram(histogram: Histogram) -> bytes:
    parts = _totals(histogram)
    for upper_bound, count in histogram.buckets:
        bucket = fields.count(count) + fields.double(fields.UPPER_BOUND, upper_bound)
        parts.append(fields.message(fields.BUCKET, bucket))
    return fields.message(fields.HISTOGRAM, b"".join(parts))


def _totals(value: Summary | Histogram) -> list[bytes]:
    total = fields.double(fields.SAMPLE_SUM, value.sample_sum)
    return [fields.count(value.sample_count), total]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


_VALUE_ENCODERS: dict[MetricType, Callable[[Any], bytes]] = {
    MetricType.COUNTER: _counter,
    MetricType.GAUGE: _gauge,
    MetricType.SUMMARY: _summary,
    MetricType.UNTYPED: _untyped,
    MetricType.HISTOGRAM: _histogram,
    MetricType.GAUGE_HISTOGRAM: _histogram,
}
