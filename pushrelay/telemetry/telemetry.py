"""What the relay counts while it runs.

Recording is cheap and needs no lock beyond what it says: every number is written by
one thread (HTTP by the event loop, commits by the writer).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pushrelay.model import MetricFamily
from pushrelay.telemetry import process
from pushrelay.telemetry.families import OWN_FAMILIES
from pushrelay.telemetry.own_family import LabelValues, Scrape
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

_METHODS = {
    name.upper(): name
    for name in (
        *("get", "head", "post", "put", "delete"),
        *("options", "patch", "connect", "trace"),
    )
}
_OTHER_METHOD = "other"
"""What counts for all others: a client must not be able to add series at will."""

NAMED_JOBS = 100
NAMED_JOB_BYTES = 128
"""So many jobs, with names up to so long, have a series of their own where rejections
are counted. Nobody can add series at will there either."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers that are read at scrape time.

    store_up: whether the database answered in time. clock_skew: seconds that the clock
    of this host is ahead of the database's. limits: of what is stored, by their names.
    used: how much there is of each.
    """

    groups: int
    series: int
    revision: int
    store_up: bool
    clock_skew: float
    limits: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)


class RequestValues:
    """What is told of the requests with one handler, method and code."""

    __slots__ = ("bytes", "seconds")

    def __init__(self) -> None:
        self.seconds: HistogramValue = HistogramValue(SECONDS_BUCKETS)
        self.bytes: HistogramValue = HistogramValue(BYTES_BUCKETS)


class PushValues:
    """What is told of the pushes and deletions with one method."""

    __slots__ = ("bytes", "seconds")

    def __init__(self) -> None:
        self.seconds: SlidingSummary = SlidingSummary()
        self.bytes: SlidingSummary = SlidingSummary()


class Telemetry:
    """All of the relay's counters since it started."""

    def __init__(self) -> None:
        self.started_at: float = time.time()
        self.requests: dict[LabelValues, RequestValues] = {}
        self.compatible_requests: dict[LabelValues, int] = {}
        self.pushes: dict[str, PushValues] = {}
        self.rejections: dict[LabelValues, int] = {}
        self.limits_exceeded: dict[LabelValues, int] = {}
        # Of now, not since the start.
        self.connections: int = 0
        self.requests_in_flight: int = 0
        self.forgotten_groups: int = 0
        self.spooled_runs: int = 0
        # Of the configuration file, if there is one.
        self.is_configured: bool | None = None
        self.configured_at: float | None = None
        # Of the file of tokens, if there is one.
        self.has_tokens_of_file: bool | None = None
        self._named_jobs: set[str] = set()
        self.commit_seconds: HistogramValue = HistogramValue(SECONDS_BUCKETS)
        self.commit_writes: HistogramValue = HistogramValue(BATCH_BUCKETS)

    def request(
        self, handler: str, method: str, code: int, seconds: float, size: int
    ) -> None:
        """Record an answered HTTP request; size: bytes of its target, headers, body."""
        key = (handler, _METHODS.get(method, _OTHER_METHOD), str(code))
        values = self.requests.get(key)
        if values is None:
            values = self.requests[key] = RequestValues()
        values.seconds.observe(seconds)
        values.bytes.observe(size)

    def compatible_request(self, handler: str, method: str, code: int) -> None:
        """Record a request as the Pushgateway counts it."""
        key = (handler, _METHODS.get(method, _OTHER_METHOD), str(code))
        self.compatible_requests[key] = self.compatible_requests.get(key, 0) + 1

    def push(self, method: str, seconds: float, size: int, now: float) -> None:
        """Record a push or deletion as the Pushgateway summarises them."""
        key = _METHODS.get(method, _OTHER_METHOD)
        values = self.pushes.get(key)
        if values is None:
            values = self.pushes[key] = PushValues()
        values.seconds.observe(seconds, now)
        values.bytes.observe(size, now)

    def rejected(self, reason: str, job: str | None = None) -> None:
        """Record that a push was refused; job: of its group, if it is known."""
        key = (reason, job) if job is not None and self._is_named(job) else (reason,)
        self.rejections[key] = self.rejections.get(key, 0) + 1

    def limit_exceeded(self, limit: str) -> None:
        """Record that something was over the limit of this name."""
        key = (limit,)
        self.limits_exceeded[key] = self.limits_exceeded.get(key, 0) + 1

    def _is_named(self, job: str) -> bool:
        """Whether rejections of `job` are told apart from others."""
        named = self._named_jobs
        if len(named) < NAMED_JOBS and len(job.encode()) <= NAMED_JOB_BYTES:
            named.add(job)
        return job in named

    def forgotten(self, groups: int) -> None:
        """Record groups that were removed because they were forgotten or retired."""
        self.forgotten_groups += groups

    def spooled_run(self) -> None:
        """Record that something new was reported of a run, from a spool."""
        self.spooled_runs += 1

    def reloaded(self, at: float) -> None:
        """Record that the configuration file was taken over; `at` in Unix seconds."""
        self.is_configured, self.configured_at = True, at

    def reload_failed(self) -> None:
        """Record that the configuration file could not be taken over."""
        self.is_configured = False

    def token_file_read(self, is_good: bool) -> None:
        """Record that the file of tokens was read, and whether it was taken over."""
        self.has_tokens_of_file = is_good

    def commit(self, seconds: float, writes: int) -> None:
        """Record a batched commit."""
        self.commit_seconds.observe(seconds)
        self.commit_writes.observe(writes)

    def families(self, gauges: Gauges, now: float) -> list[MetricFamily]:
        """Return the families that have samples; now: monotonic clock, seconds."""
        scrape = Scrape(self, gauges, process.usage(), now)
        built = (own.family(scrape) for own in OWN_FAMILIES)
        return [family for family in built if family.metrics]
