"""Metric families as they are pushed; name and label rules.

The words are Prometheus' own; the types follow `io.prometheus.client`
(client_model's metrics.proto).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from pushrelay.quoting import quote_label

Labels = tuple[tuple[str, str], ...]
"""Label pairs, sorted by name (by code point, which is UTF-8's byte order)."""

PUSH_TIME = "push_time_seconds"
PUSH_FAILURE_TIME = "push_failure_time_seconds"
PUSH_EVIDENCE = (PUSH_FAILURE_TIME, PUSH_TIME)
"""Families that the relay itself keeps for each group (Pushgateway's bookkeeping)."""

_LEGACY_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class MetricType(IntEnum):
    """The types, numbered as in the protobuf format."""

    COUNTER = 0
    GAUGE = 1
    SUMMARY = 2
    UNTYPED = 3
    HISTOGRAM = 4
    GAUGE_HISTOGRAM = 5


HISTOGRAMS = (MetricType.HISTOGRAM, MetricType.GAUGE_HISTOGRAM)

BOUND_LABELS = {
    MetricType.SUMMARY: "quantile",
    MetricType.HISTOGRAM: "le",
    MetricType.GAUGE_HISTOGRAM: "le",
}
"""The label by which the text format tells the lines of one metric apart."""


@dataclass(slots=True)
class Summary:
    """A summary's value; `quantiles` are (quantile, value) as pushed."""

    sample_count: int = 0
    sample_sum: float = 0.0
    quantiles: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Histogram:
    """A classic histogram's value; `buckets` are (upper bound, cumulative count) as
    pushed, so `+Inf` may be missing. Counts are floats in a float histogram."""

    sample_count: int | float = 0
    sample_sum: float = 0.0
    buckets: list[tuple[float, int | float]] = field(default_factory=list)


@dataclass(slots=True)
class Metric:
    """One label set of a family with its value.

    `labels` hold the grouping labels already. They are unique by name unless a
    protobuf body repeated one. `value` is a float for counters, gauges and untyped
    metrics, and None where the body gave no value of the family's type.
    """

    labels: Labels
    value: float | Summary | Histogram | None


@dataclass(slots=True)
class MetricFamily:
    """A family as it was pushed, its metrics in pushed order.

    `message` is the encoded `io.prometheus.client.MetricFamily`, kept only where the
    other fields do not hold all of it (native histograms, exemplars, created
    timestamps, no metrics at all); its labels are in place and its metrics in the
    order of `metrics`.
    """

    name: str
    type: MetricType
    help: str = ""
    metrics: list[Metric] = field(default_factory=list)
    timestamped: bool = False
    message: bytes | None = None


def is_legacy_metric_name(name: str) -> bool:
    """Whether `name` is legal without the UTF-8 extension of the data model."""
    if name.isascii() and name.isidentifier():
        return True
    return _LEGACY_METRIC_NAME.fullmatch(name) is not None


def is_legacy_label_name(name: str) -> bool:
    """Whether the label `name` is legal without the UTF-8 extension."""
    return name.isascii() and name.isidentifier()


def exposed_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Return `labels` as a series shows them between its braces."""
    return ",".join([_exposed_pair(name, value) for name, value in labels])


def _exposed_pair(name: str, value: str) -> str:
    shown = name if is_legacy_label_name(name) else quote_label(name)
    return f"{shown}={quote_label(value)}"


def is_utf8(text: str) -> bool:
    """Whether `text` came from valid UTF-8 (no surrogate escapes, PEP 383)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
