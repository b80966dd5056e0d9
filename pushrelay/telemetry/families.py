"""The relay's own families, and how a scrape reads them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from pushrelay import __version__
from pushrelay.commit import commit
from pushrelay.model import Histogram, MetricType
from pushrelay.telemetry import process
from pushrelay.telemetry.own_family import LabelValues, OwnFamily, Reading, Scrape
from pushrelay.telemetry.values import SlidingSummary

if TYPE_CHECKING:
    from pushrelay.telemetry.telemetry import PushValues, RequestValues


def _single(value: float | None) -> Reading:
    return {} if value is None else {(): float(value)}


# What follows reads copies, because the event loop may add a label set meanwhile. A
# list of the items is none: making its pairs may start a garbage collection, whose
# callbacks let other threads run.


def _counts(counts: dict[LabelValues, int]) -> Reading:
    return {values: float(count) for values, count in counts.copy().items()}


def _by_limit(numbers: Mapping[str, int]) -> Reading:
    return {(limit,): float(number) for limit, number in numbers.items()}


def _requests(
    scrape: Scrape, read: Callable[[RequestValues], float | Histogram]
) -> Reading:
    requests = scrape.telemetry.requests.copy()
    return {values: read(observed) for values, observed in requests.items()}


def _pushes(scrape: Scrape, read: Callable[[PushValues], SlidingSummary]) -> Reading:
    pushes = scrape.telemetry.pushes.copy().items()
    return {(method,): read(observed).value(scrape.now) for method, observed in pushes}


@cache
def _build_info() -> Reading:
    return {(platform.python_version(), commit(), __version__): 1.0}


@cache
def _compatible_build_info() -> Reading:
    machine, system = process.go_machine(), process.go_system()
    python = f"python{platform.python_version()}"
    return {("", machine, system, python, commit(), "", __version__): 1.0}


_C, _G = MetricType.COUNTER, MetricType.GAUGE
_H, _S = MetricType.HISTOGRAM, MetricType.SUMMARY
_BY_REQUEST = ("handler", "method", "code")

OWN_FAMILIES = (
    OwnFamily(
        "process_cpu_seconds_total",
        _C,
        "Total user and system CPU time spent in seconds.",
        (),
        lambda scrape: _single(scrape.usage.cpu_seconds),
    ),
    OwnFamily(
        "process_max_fds",
        _G,
        "Maximum number of open file descriptors.",
        (),
        lambda _: _single(process.max_files()),
    ),
    OwnFamily(
        "process_open_fds",
        _G,
        "Number of open file descriptors.",
        (),
        lambda scrape: _single(scrape.usage.open_files),
    ),
    OwnFamily(
        "process_resident_memory_bytes",
        _G,
        "Resident memory size in bytes.",
        (),
        lambda scrape: _single(scrape.usage.resident_memory),
    ),
    OwnFamily(
        "process_start_time_seconds",
        _G,
        "Start time of the process since unix epoch in seconds.",
        (),
        lambda scrape: _single(scrape.telemetry.started_at),
    ),
    OwnFamily(
        "process_virtual_memory_bytes",
        _G,
        "Virtual memory size in bytes.",
        (),
        lambda scrape: _single(scrape.usage.virtual_memory),
    ),
    OwnFamily(
        "process_virtual_memory_max_bytes",
        _G,
        "Maximum amount of virtual memory available in bytes.",
        (),
        lambda _: _single(process.max_virtual_memory()),
    ),
    OwnFamily(
        "pushgateway_build_info",
        _G,
        "A metric with a constant '1' value labeled by version, revision, branch, "
        "goversion from which pushgateway was built, and the goos and goarch for the "
        "build.",
        ("branch", "goarch", "goos", "goversion", "revision", "tags", "version"),
        lambda _: _compatible_build_info(),
    ),
    OwnFamily(
        "pushgateway_http_push_duration_seconds",
        _S,
        "HTTP request duration for pushes to the Pushgateway.",
        ("method",),
        lambda scrape: _pushes(scrape, lambda pushes: pushes.seconds),
    ),
    OwnFamily(
        "pushgateway_http_push_size_bytes",
        _S,
        "HTTP request size for pushes to the Pushgateway.",
        ("method",),
        lambda scrape: _pushes(scrape, lambda pushes: pushes.bytes),
    ),
    OwnFamily(
        "pushgateway_http_requests_total",
        _C,
        "Total HTTP requests processed by the Pushgateway, excluding scrapes.",
        _BY_REQUEST,
        lambda scrape: _counts(scrape.telemetry.compatible_requests),
    ),
    OwnFamily(
        "pushrelay_build_info",
        _G,
        "A metric with a constant '1' value labeled by the versions of pushrelay and "
        "of Python.",
        ("python_version", "revision", "version"),
        lambda _: _build_info(),
    ),
    OwnFamily(
        "pushrelay_config_last_reload_success_timestamp_seconds",
        _G,
        "Unix time when the configuration file was taken over last.",
        (),
        lambda scrape: _single(scrape.telemetry.configured_at),
    ),
    OwnFamily(
        "pushrelay_config_last_reload_successful",
        _G,
        "Whether the configuration file was taken over when it was read last.",
        (),
        lambda scrape: _single(scrape.telemetry.is_configured),
    ),
    OwnFamily(
        "pushrelay_groups",
        _G,
        "Groups that are stored.",
        (),
        lambda scrape: _single(scrape.gauges.groups),
    ),
    OwnFamily(
        "pushrelay_groups_forgotten_total",
        _C,
        "Groups that were removed because they were forgotten or retired.",
        (),
        lambda scrape: _single(scrape.telemetry.forgotten_groups),
    ),
    OwnFamily(
        "pushrelay_http_connections",
        _G,
        "Connections of clients that are open.",
        (),
        lambda scrape: _single(scrape.telemetry.connections),
    ),
    OwnFamily(
        "pushrelay_http_request_duration_seconds",
        _H,
        "Time from the end of a request's head to the end of its answer.",
        _BY_REQUEST,
        lambda scrape: _requests(scrape, lambda found: found.seconds.value()),
    ),
    OwnFamily(
        "pushrelay_http_request_size_bytes",
        _H,
        "Size of requests: target, headers and body as they came.",
        _BY_REQUEST,
        lambda scrape: _requests(scrape, lambda found: found.bytes.value()),
    ),
    OwnFamily(
        "pushrelay_http_requests_in_flight",
        _G,
        "HTTP requests that are being served.",
        (),
        lambda scrape: _single(scrape.telemetry.requests_in_flight),
    ),
    OwnFamily(
        "pushrelay_http_requests_total",
        _C,
        "HTTP requests that were answered.",
        _BY_REQUEST,
        lambda scrape: _requests(scrape, lambda found: float(found.seconds.count)),
    ),
    OwnFamily(
        "pushrelay_limit",
        _G,
        "The limits of what is stored.",
        ("limit",),
        lambda scrape: _by_limit(scrape.gauges.limits),
    ),
    OwnFamily(
        "pushrelay_limit_exceeded_total",
        _C,
        "What was refused or given up because it was over a limit, by the name of the "
        "limit.",
        ("limit",),
        lambda scrape: _counts(scrape.telemetry.limits_exceeded),
    ),
    OwnFamily(
        "pushrelay_limit_used",
        _G,
        "How much there is of what is limited so.",
        ("limit",),
        lambda scrape: _by_limit(scrape.gauges.used),
    ),
    OwnFamily(
        "pushrelay_pushes_rejected_total",
        _C,
        "Pushes, deletions and reports of runs that were refused, by reason and, for "
        "some jobs, by job.",
        ("reason", "job"),
        lambda scrape: _counts(scrape.telemetry.rejections),
    ),
    OwnFamily(
        "pushrelay_series",
        _G,
        "Metrics (label sets) that are exposed for groups.",
        (),
        lambda scrape: _single(scrape.gauges.series),
    ),
    OwnFamily(
        "pushrelay_spooled_runs_delivered_total",
        _C,
        "Reports of runs that waited in a spool, and said something new.",
        (),
        lambda scrape: _single(scrape.telemetry.spooled_runs),
    ),
    OwnFamily(
        "pushrelay_store_clock_skew_seconds",
        _G,
        "Seconds that the clock of this host is ahead of the database's, which counts.",
        (),
        lambda scrape: _single(scrape.gauges.clock_skew),
    ),
    OwnFamily(
        "pushrelay_store_commit_duration_seconds",
        _H,
        "Time that a batched commit took, from taking its writes to their end on disk.",
        (),
        lambda scrape: {(): scrape.telemetry.commit_seconds.value()},
    ),
    OwnFamily(
        "pushrelay_store_commit_writes",
        _H,
        "Writes in a batched commit.",
        (),
        lambda scrape: {(): scrape.telemetry.commit_writes.value()},
    ),
    OwnFamily(
        "pushrelay_store_revision",
        _G,
        "Revision of the store that is exposed.",
        (),
        lambda scrape: _single(scrape.gauges.revision),
    ),
    OwnFamily(
        "pushrelay_store_up",
        _G,
        "Whether the database can be read, and took the last write.",
        (),
        lambda scrape: _single(scrape.gauges.store_up),
    ),
    OwnFamily(
        "pushrelay_token_file_last_reload_successful",
        _G,
        "Whether the file of tokens was taken over when it was read last.",
        (),
        lambda scrape: _single(scrape.telemetry.has_tokens_of_file),
    ),
    OwnFamily(
        "pushrelay_web_config_last_reload_successful",
        _G,
        "Whether the web configuration file was taken over when it was read last.",
        (),
        lambda scrape: _single(scrape.telemetry.is_web_configured),
    ),
)

OWN_TYPES = {own.name: own.type for own in OWN_FAMILIES}
"""What a pushed family of one of these names must be."""
