"""The relay's own families: what each is, and how a scrape reads it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushrelay import __version__
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary
from pushrelay.telemetry import process
from pushrelay.telemetry.values import HistogramValue, SlidingSummary

if TYPE_CHECKING:
    from pushrelay.telemetry.telemetry import Gauges, Telemetry

LabelValues = tuple[str, ...]
Reading = Mapping[LabelValues, float | Summary | Histogram]
Read = Callable[["Telemetry", "Gauges", float], Reading]


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """One of the relay's own families.

    read: called with the time of the monotonic clock in seconds.
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    read: Read

    def family(self, telemetry: Telemetry, gauges: Gauges, now: float) -> MetricFamily:
        """Return the family as it is now."""
        reading = self.read(telemetry, gauges, now)
        metrics = [
            Metric(tuple(sorted(zip(self.labels, values, strict=True))), value)
            for values, value in sorted(reading.items())
        ]
        return MetricFamily(self.name, self.type, self.help, metrics)


def _single(value: float) -> Reading:
    return {(): float(value)}


def _counts(counts: dict[LabelValues, int]) -> Reading:
    # A copy, because the event loop may add a label set meanwhile.
    return {values: float(count) for values, count in list(counts.items())}


def _histograms(histograms: dict[LabelValues, HistogramValue]) -> Reading:
    return {values: histogram.value() for values, histogram in list(histograms.items())}


def _summaries(summaries: dict[LabelValues, SlidingSummary], now: float) -> Reading:
    return {values: summary.value(now) for values, summary in list(summaries.items())}


def _of_process(read: Callable[[], float | None]) -> Read:
    def reading(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
        value = read()
        return {} if value is None else _single(value)

    return reading


def _build_info(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    return {(platform.python_version(), __version__): 1.0}


def _compatible_build_info(_t: Telemetry, _g: Gauges, _now: float) -> Reading:
    machine, system = process.go_machine(), process.go_system()
    python = f"python{platform.python_version()}"
    return {("", machine, system, python, "", "", __version__): 1.0}


_C, _G = MetricType.COUNTER, MetricType.GAUGE
_H, _S = MetricType.HISTOGRAM, MetricType.SUMMARY
_BY_REQUEST = ("handler", "method", "code")

OWN_FAMILIES = (
    OwnFamily(
        "process_cpu_seconds_total",
        _C,
        "Total user and system CPU time spent in seconds.",
        (),
        _of_process(process.cpu_seconds),
    ),
    OwnFamily(
        "process_max_fds",
        _G,
        "Maximum number of open file descriptors.",
        (),
        _of_process(process.max_files),
    ),
    OwnFamily(
        "process_open_fds",
        _G,
        "Number of open file descriptors.",
        (),
        _of_process(process.open_files),
    ),
    OwnFamily(
        "process_resident_memory_bytes",
        _G,
        "Resident memory size in bytes.",
        (),
        _of_process(process.resident_memory),
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
        _of_process(process.virtual_memory),
    ),
    OwnFamily(
        "process_virtual_memory_max_bytes",
        _G,
        "Maximum amount of virtual memory available in bytes.",
        (),
        _of_process(process.max_virtual_memory),
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
        "Time from the end of a request's head to the end of its answer.",
        _BY_REQUEST,
        lambda t, _g, _now: _histograms(t.request_seconds),
    ),
    OwnFamily(
        "pushrelay_http_request_size_bytes",
        _H,
        "Size of requests: target, headers and body as they came.",
        _BY_REQUEST,
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
        "Revision of the store that is exposed.",
        (),
        lambda _t, g, _now: _single(g.revision),
    ),
    OwnFamily(
        "pushrelay_store_up",
        _G,
        "Whether the database can be read, and took the last write.",
        (),
        lambda _t, g, _now: _single(g.store_up),
    ),
)

OWN_TYPES = {own.name: own.type for own in OWN_FAMILIES}
"""What a pushed family of one of these names must be."""
