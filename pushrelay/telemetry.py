"""The relay's own metrics: plain counters that a scrape turns into families.

Recording is cheap and needs no lock beyond what it says: every number is written by
one thread (HTTP by the event loop, commits by the writer).
"""

from __future__ import annotations

import os
import platform
import random
import resource
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pushrelay import __version__
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

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

LabelValues = tuple[str, ...]


class HistogramValue:
    """Counts observations in buckets of upper bounds `bounds`."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def value(self) -> Histogram:
        buckets: list[tuple[float, int | float]] = []
        total = 0
        for bound, count in zip(
            (*self._bounds, float("inf")), self._counts, strict=True
        ):
            total += count
            buckets.append((bound, total))
        return Histogram(total, self._sum, buckets)


class SlidingSummary:
    """Quantiles of the last ten minutes, from a bounded sample of each two of them."""

    QUANTILES = (0.1, 0.5, 0.9)
    SLICES = 5
    SLICE_SECONDS = 120
    SAMPLE = 500

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._slices: deque[_Slice] = deque(maxlen=self.SLICES)

    def observe(self, value: float, now: float) -> None:
        """Record `value` at `now`, seconds of the monotonic clock."""
        self._count += 1
        self._sum += value
        if not self._slices or now >= self._slices[-1].began_at + self.SLICE_SECONDS:
            self._slices.append(_Slice(now))
        self._slices[-1].add(value, self.SAMPLE)

    def value(self, now: float) -> Summary:
        oldest = now - self.SLICES * self.SLICE_SECONDS
        recent = sorted(
            v for s in self._slices if s.began_at >= oldest for v in s.values
        )
        quantiles = [(q, self._quantile(recent, q)) for q in self.QUANTILES]
        return Summary(self._count, self._sum, quantiles)

    @staticmethod
    def _quantile(ordered: list[float], quantile: float) -> float:
        if not ordered:
            return float("nan")
        return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]


@dataclass(slots=True)
class _Slice:
    """A uniform sample (reservoir) of what was observed since `began_at`."""

    began_at: float
    seen: int = 0
    values: list[float] = field(default_factory=list)

    def add(self, value: float, capacity: int) -> None:
        self.seen += 1
        if len(self.values) < capacity:
            self.values.append(value)
            return
        slot = random.randrange(self.seen)  # noqa: S311  # statistics, no secret
        if slot < capacity:
            self.values[slot] = value


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
        self.started_at = time.time()
        self.requests: dict[LabelValues, int] = {}
        self.request_seconds: dict[LabelValues, HistogramValue] = {}
        self.request_bytes: dict[LabelValues, HistogramValue] = {}
        self.compatible_requests: dict[LabelValues, int] = {}
        self.push_seconds: dict[LabelValues, SlidingSummary] = {}
        self.push_bytes: dict[LabelValues, SlidingSummary] = {}
        self.rejections: dict[LabelValues, int] = {}
        self.commit_seconds = HistogramValue(SECONDS_BUCKETS)
        self.commit_writes = HistogramValue(BATCH_BUCKETS)

    def request(
        self, handler: str, method: str, code: int, seconds: float, size: int
    ) -> None:
        """Record an answered HTTP request; size: bytes of its target, headers, body."""
        key = (handler, method.lower(), str(code))
        self.requests[key] = self.requests.get(key, 0) + 1
        _of(self.request_seconds, key[:2], _seconds_histogram).observe(seconds)
        _of(self.request_bytes, key[:2], _bytes_histogram).observe(size)

    def compatible_request(self, handler: str, method: str, code: int) -> None:
        """Record a request as the Pushgateway counts it."""
        key = (handler, method.lower(), str(code))
        self.compatible_requests[key] = self.compatible_requests.get(key, 0) + 1

    def push(self, method: str, seconds: float, size: int, now: float) -> None:
        """Record a push or deletion as the Pushgateway summarises them."""
        key = (method.lower(),)
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
        built = (_build(own, own.read(self, gauges, now)) for own in OWN_FAMILIES)
        return [family for family in built if family.metrics]


Value = float | Summary | Histogram
Reading = Mapping[LabelValues, Value]


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """One of the relay's own families: what it is, and how it is read."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    read: Callable[[Telemetry, Gauges, float], Reading]


def _build(own: OwnFamily, reading: Reading) -> MetricFamily:
    metrics = [
        Metric(tuple(sorted(zip(own.labels, values, strict=True))), value)
        for values, value in sorted(reading.items())
    ]
    return MetricFamily(own.name, own.type, own.help, metrics)


def _single(value: float) -> Reading:
    return {(): float(value)}


def _counts(counts: dict[LabelValues, int]) -> Reading:
    # A copy, because the event loop may add a label set meanwhile.
    return {values: float(count) for values, count in list(counts.items())}


def _histograms(histograms: dict[LabelValues, HistogramValue]) -> Reading:
    return {values: histogram.value() for values, histogram in list(histograms.items())}


def _summaries(summaries: dict[LabelValues, SlidingSummary], now: float) -> Reading:
    return {values: summary.value(now) for values, summary in list(summaries.items())}


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


def _build_info(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    return {(platform.python_version(), __version__): 1.0}


def _go_machine() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _compatible_build_info(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    machine, system = _go_machine(), platform.system().lower()
    python = f"python{platform.python_version()}"
    return {("", machine, system, python, "", "", __version__): 1.0}


def _proc_stat() -> list[str]:
    """The fields of /proc/self/stat that follow the command's name."""
    try:
        return Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _virtual_memory(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    stat = _proc_stat()
    return _single(int(stat[20])) if stat else {}


def _resident_memory(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    stat = _proc_stat()
    return _single(int(stat[21]) * resource.getpagesize()) if stat else {}


def _open_files(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    try:
        return _single(len(os.listdir("/proc/self/fd")))
    except OSError:
        return {}


def _max_files(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    return _single(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _max_virtual_memory(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    # Unlimited is shown as Go's client shows it.
    return _single(2**64 - 1 if limit == resource.RLIM_INFINITY else limit)


def _cpu_seconds(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    return _single(time.process_time())


_C, _G = MetricType.COUNTER, MetricType.GAUGE
_H, _S = MetricType.HISTOGRAM, MetricType.SUMMARY
_BY_REQUEST = ("handler", "method", "code")
_BY_HANDLER = ("handler", "method")

OWN_FAMILIES = (
    OwnFamily(
        "process_cpu_seconds_total",
        _C,
        "Total user and system CPU time spent in seconds.",
        (),
        _cpu_seconds,
    ),
    OwnFamily(
        "process_max_fds",
        _G,
        "Maximum number of open file descriptors.",
        (),
        _max_files,
    ),
    OwnFamily(
        "process_open_fds", _G, "Number of open file descriptors.", (), _open_files
    ),
    OwnFamily(
        "process_resident_memory_bytes",
        _G,
        "Resident memory size in bytes.",
        (),
        _resident_memory,
    ),
    OwnFamily(
        "process_start_time_seconds",
        _G,
        "Start time of the process since unix epoch in seconds.",
        (),
        lambda t, _g, _now: _single(t.started_at),
    ),
    OwnFamily(
        "process_virtual_memory_bytes",
        _G,
        "Virtual memory size in bytes.",
        (),
        _virtual_memory,
    ),
    OwnFamily(
        "process_virtual_memory_max_bytes",
        _G,
        "Maximum amount of virtual memory available in bytes.",
        (),
        _max_virtual_memory,
    ),
    OwnFamily(
        "pushgateway_build_info",
        _G,
        "A metric with a constant '1' value labeled by version, revision, branch, "
        "goversion from which pushgateway was built, and the goos and goarch for the "
        "build.",
        ("branch", "goarch", "goos", "goversion", "revision", "tags", "version"),
        _compatible_build_info,
    ),
    OwnFamily(
        "pushgateway_http_push_duration_seconds",
        _S,
        "HTTP request duration for pushes to the Pushgateway.",
        ("method",),
        lambda t, _g, now: _summaries(t.push_seconds, now),
    ),
    OwnFamily(
        "pushgateway_http_push_size_bytes",
        _S,
        "HTTP request size for pushes to the Pushgateway.",
        ("method",),
        lambda t, _g, now: _summaries(t.push_bytes, now),
    ),
    OwnFamily(
        "pushgateway_http_requests_total",
        _C,
        "Total HTTP requests processed by the Pushgateway, excluding scrapes.",
        _BY_REQUEST,
        lambda t, _g, _now: _counts(t.compatible_requests),
    ),
    OwnFamily(
        "pushrelay_build_info",
        _G,
        "A metric with a constant '1' value labeled by the versions of pushrelay and "
        "of Python.",
        ("python_version", "version"),
        _build_info,
    ),
    OwnFamily(
        "pushrelay_groups",
        _G,
        "Groups that are stored.",
        (),
        lambda _t, g, _now: _single(g.groups),
    ),
    OwnFamily(
        "pushrelay_http_request_duration_seconds",
        _H,
        "Time from the first byte of a request's head to the end of its answer.",
        _BY_HANDLER,
        lambda t, _g, _now: _histograms(t.request_seconds),
    ),
    OwnFamily(
        "pushrelay_http_request_size_bytes",
        _H,
        "Size of requests: target, headers and body as they came.",
        _BY_HANDLER,
        lambda t, _g, _now: _histograms(t.request_bytes),
    ),
    OwnFamily(
        "pushrelay_http_requests_total",
        _C,
        "HTTP requests that were answered.",
        _BY_REQUEST,
        lambda t, _g, _now: _counts(t.requests),
    ),
    OwnFamily(
        "pushrelay_pushes_rejected_total",
        _C,
        "Pushes and deletions that were refused, by reason.",
        ("reason",),
        lambda t, _g, _now: _counts(t.rejections),
    ),
    OwnFamily(
        "pushrelay_series",
        _G,
        "Metrics (label sets) that are exposed for groups.",
        (),
        lambda _t, g, _now: _single(g.series),
    ),
    OwnFamily(
        "pushrelay_store_commit_duration_seconds",
        _H,
        "Time that a batched commit took, from taking its writes to their end on disk.",
        (),
        lambda t, _g, _now: {(): t.commit_seconds.value()},
    ),
    OwnFamily(
        "pushrelay_store_commit_writes",
        _H,
        "Writes in a batched commit.",
        (),
        lambda t, _g, _now: {(): t.commit_writes.value()},
    ),
    OwnFamily(
        "pushrelay_store_revision",
        _G,
        "Revision of the store that this page shows.",
        (),
        lambda _t, g, _now: _single(g.revision),
    ),
    OwnFamily(
        "pushrelay_store_up",
        _G,
        "Whether the database answered when this page was asked for.",
        (),
        lambda _t, g, _now: _single(g.store_up),
    ),
)

OWN_TYPES = {own.name: own.type for own in OWN_FAMILIES}
"""What a pushed family of one of these names must be."""
