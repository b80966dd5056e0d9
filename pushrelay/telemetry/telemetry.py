"""What the relay counts while it runs.

Recording is cheap and needs no lock beyond what it says: every number is written by
one thread (HTTP by the event loop, commits by the writer).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pushrelay.model import MetricFamily
from pushrelay.telemetry.families import OWN_FAMILIES, LabelValues
from pushrelay.telemetry.values import HistogramValue, SlidingSummary

SECONDS_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
)
BYTES_BUCKETS = tuple(float(256 * 4**power) for power in range(9))
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_METHODS = frozenset(
    ("get", "head", "post", "put", "delete", "options", "patch", "connect", "trace")
)
_OTHER_METHOD = "other"
"""What counts for all others: a client must not be able to add series at will."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers that are read at scrape time.

    store_up: whether the database answered in time.
    """

    groups: int
    series: int
    revision: int
    store_up: bool


class Telemetry:
    """All of the relay's counters since it started."""

    def __init__(self) -> None:
        self.started_at: float = time.time()
        self.requests: dict[LabelValues, int] = {}
        self.request_seconds: dict[LabelValues, HistogramValue] = {}
        self.request_bytes: dict[LabelValues, HistogramValue] = {}
        self.compatible_requests: dict[LabelValues, int] = {}
        self.push_seconds: dict[LabelValues, SlidingSummary] = {}
        self.push_bytes: dict[LabelValues, SlidingSummary] = {}
        self.rejections: dict[LabelValues, int] = {}
        self.commit_seconds: HistogramValue = HistogramValue(SECONDS_BUCKETS)
        self.commit_writes: HistogramValue = HistogramValue(BATCH_BUCKETS)

    def request(
        self, handler: str, method: str, code: int, seconds: float, size: int
    ) -> None:
        """Record an answered HTTP request; size: bytes of its target, headers, body."""
        key = (handler, _method(method), str(code))
        self.requests[key] = self.requests.get(key, 0) + 1
        _of(self.request_seconds, key, _seconds_histogram).observe(seconds)
        _of(self.request_bytes, key, _bytes_histogram).observe(size)

    def compatible_request(self, handler: str, method: str, code: int) -> None:
        """Record a request as the Pushgateway counts it."""
        key = (handler, _method(method), str(code))
        self.compatible_requests[key] = self.compatible_requests.get(key, 0) + 1

    def push(self, method: str, seconds: float, size: int, now: float) -> None:
        """Record a push or deletion as the Pushgateway summarises them."""
        key = (_method(method),)
        _of(self.push_seconds, key, SlidingSummary).observe(seconds, now)
        _of(self.push_bytes, key, SlidingSummary).observe(size, now)

    def rejected(self, reason: str) -> None:
        """Record a refused push."""
        self.rejections[(reason,)] = self.rejections.get((reason,), 0) + 1

    def commit(self, seconds: float, writes: int) -> None:
        """Record a batched commit."""
        self.commit_seconds.observe(seconds)
        self.commit_writes.observe(writes)

    def families(self, gauges: Gauges, now: float) -> list[MetricFamily]:
        """Return the families that have samples; now: monotonic clock, seconds."""
        built = (own.family(self, gauges, now) for own in OWN_FAMILIES)
        return [family for family in built if family.metrics]


def _method(method: str) -> str:
    lower = method.lower()
    return lower if lower in _METHODS else _OTHER_METHOD


Histograms = TypeVar("Histograms", HistogramValue, SlidingSummary)


def _of(
    known: dict[LabelValues, Histograms],
    key: LabelValues,
    make: Callable[[], Histograms],
) -> Histograms:
    if key not in known:
        known[key] = make()
    return known[key]


def _seconds_histogram() -> HistogramValue:
    return HistogramValue(SECONDS_BUCKETS)


def _bytes_histogram() -> HistogramValue:
    return HistogramValue(BYTES_BUCKETS)
