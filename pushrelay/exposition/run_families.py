"""The evidence of runs, and what is expected of jobs, as families that scrapes show.

They are kept as what a group holds, so that a page treats both alike. A time of 0 means
never; what is not known, such as the memory that a run took, has no series.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf

from pushrelay.expectations import JobExpectation
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.floats import format_float
from pushrelay.exposition.protobuf_encoder import encode_header
from pushrelay.exposition.run_help import LAST_RUN_HELP, RUN_PREFIX
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Payload, StoredFamily
from pushrelay.model import MetricType, exposed_labels, is_legacy_label_name
from pushrelay.run_evidence import SCHEMA, Durations, RunEvidence
from pushrelay.run_states import OpenRuns, interval_of
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation, Outlook

_NANOSECONDS = 10**9
# As Go's client has it.
_ZERO_THRESHOLD = 2.0**-128

_G, _C = MetricType.GAUGE, MetricType.COUNTER
_HELP = {
    "running": (_G, "Runs that have started and not finished."),
    "running_since_timestamp_seconds": (
        _G,
        "Unix time when the first of the runs began that have not finished.",
    ),
    "abandoned": (_G, "Runs that have not finished within the maximum runtime."),
    **{name: (_G, help_) for name, help_ in LAST_RUN_HELP.items()},
    "consecutive_failures": (_G, "Runs without success since the last success."),
    "runs_total": (_C, "Runs that finished, by how they ended."),
    "duration_seconds": (MetricType.HISTOGRAM, "Durations of runs."),
    "cpu_seconds_total": (_C, "CPU time that runs took."),
    "overlaps_total": (_C, "Pairs of runs that ran at the same time."),
    "early_runs_total": (
        _C,
        "Runs that began sooner after the one before than the minimum interval.",
    ),
    "interval_seconds": (_G, "Time between two expected runs of the job."),
    "next_expected_timestamp_seconds": (
        _G,
        "Unix time of the first expected run that has not come.",
    ),
    "overdue": (_G, "Whether an expected run has not come in time."),
    "missed_slots": (_G, "Expected runs that have not come since the last run."),
    "max_runtime_seconds": (_G, "How long a run may take."),
    "paused_until_timestamp_seconds": (
        _G,
        "Unix time until which no run is expected; only while the job is paused.",
    ),
}
RUN_EVIDENCE_MARK = f"{RUN_PREFIX}running"
"""The family that all evidence of runs has."""

EXPECTATION_MARK = f"{RUN_PREFIX}overdue"
"""The family that all that is said of expectations has."""

RUN_TYPES = {RUN_PREFIX + name: type_ for name, (type_, _) in _HELP.items()}
"""The types of all families that are made here."""


def evidence_payload(
    evidence: RunEvidence, opened: OpenRuns, bounds: tuple[float, ...]
) -> Payload:
    """Return the families of the runs with one key.

    bounds: upper bounds of the durations' buckets that are shown, seconds, in order.
    """
    page, last = _Page(evidence.key), evidence.last_run
    page.add("running", opened.running)
    page.add_time("running_since_timestamp_seconds", opened.since)
    page.add("abandoned", opened.abandoned)
    page.add_time("last_start_timestamp_seconds", evidence.last_start)
    page.add_time("last_finish_timestamp_seconds", evidence.last_finish)
    page.add_time("last_success_timestamp_seconds", evidence.last_success)
    if last is not None:
        page.add_time("last_duration_seconds", last.duration)
        page.add("last_exit_code", last.exit_code)
        page.add("last_max_rss_bytes", last.max_rss_bytes)
    page.add("consecutive_failures", evidence.failures)
    counts = {outcome.value: evidence.runs.get(outcome, 0) for outcome in Outcome}
    page.add_each("runs_total", "outcome", sorted(counts.items()))
    page.add_durations("duration_seconds", evidence.durations, bounds)
    modes = {"system": evidence.cpu_system, "user": evidence.cpu_user}
    seconds = [(m, t / _NANOSECONDS) for m, t in modes.items() if t is not None]
    page.add_each("cpu_seconds_total", "mode", seconds)
    page.add("overlaps_total", evidence.overlaps)
    page.add("early_runs_total", evidence.early_runs)
    return Payload.of(page.families)


def expectation_payload(
    key: GroupingKey,
    expected: JobExpectation,
    expectation: Expectation,
    ahead: Outlook,
    now: int,
) -> Payload:
    """Return the families of what is expected of the job, or instance, `key`."""
    page = _Page(key)
    if ahead.next_expected is not None:
        interval = interval_of(expectation, ahead.next_expected)
        page.add_time("interval_seconds", interval)
        page.add_time("next_expected_timestamp_seconds", ahead.next_expected)
    page.add("overdue", ahead.is_overdue)
    page.add("missed_slots", ahead.missed_slots)
    page.add_time("max_runtime_seconds", expectation.max_runtime)
    if expected.paused_until > now:
        page.add_time("paused_until_timestamp_seconds", expected.paused_until)
    return Payload.of(page.families)


class _Page:
    """Families of one key, one after the other."""

    def __init__(self, key: GroupingKey) -> None:
        self.families: list[StoredFamily] = []
        self._key = key
        self._labels = key.exposed.decode()
        self._names = key.names
        self._has_short_key = len(key.canonical) <= _REMEMBERED_KEY_BYTES

    def add(self, name: str, value: float | None) -> None:
        """Add a family of one series, unless nothing is known."""
        if value is not None:
            line = f"{RUN_PREFIX}{name}{{{self._labels}}} {format_float(value)}\n"
            self._add(name, line, 1)

    def add_time(self, name: str, nanoseconds: int | None) -> None:
        """Add a family of one series with a time in seconds, unless it is unknown."""
        if nanoseconds is not None:
            self.add(name, nanoseconds / _NANOSECONDS)

    def add_each(
        self, name: str, label: str, values: Sequence[tuple[str, float]]
    ) -> None:
        """Add a family with a series for each value of `label`, which are in order."""
        start, end = self._around(label)
        base = RUN_PREFIX + name
        lines = [
            f'{base}{{{start}{label}="{value}"{end}}} {format_float(number)}\n'
            for value, number in values
        ]
        if lines:
            self._add(name, "".join(lines), len(lines), label)

    def add_durations(
        self, name: str, durations: Durations, bounds: tuple[float, ...]
    ) -> None:
        """Add the histogram of durations, both as a classic and a native one."""
        counts = _cumulative(durations, bounds)
        total = durations.total / _NANOSECONDS
        base, labels = RUN_PREFIX + name, self._labels
        lines = [
            f'{base}_bucket{{{labels},le="{_bound(bound)}"}} {format_float(count)}\n'
            for bound, count in counts
        ]
        lines += [
            f"{base}_sum{{{labels}}} {format_float(total)}\n",
            f"{base}_count{{{labels}}} {format_float(durations.count)}\n",
        ]
        message = _message(self._key, name, durations, counts)
        self._add(name, "".join(lines), 1, message=message)

    def _add(
        self,
        name: str,
        lines: str,
        size: int,
        label: str | None = None,
        message: bytes | None = None,
    ) -> None:
        make = _known_shape if self._has_short_key else _shape
        shape = make(name, size, label, self._names)
        self.families.append(StoredFamily(shape, 0, lines.encode(), message))

    def _around(self, label: str) -> tuple[str, str]:
        """Return the labels of the key that come before and after `label`."""
        pairs = _pairs(self._key)
        at = bisect_left(pairs, (label, ""))
        start, end = exposed_labels(pairs[:at]), exposed_labels(pairs[at:])
        return start + "," * bool(start), "," * bool(end) + end


_bound: Callable[[float], str] = lru_cache(maxsize=1024)(format_float)


def _pairs(key: GroupingKey) -> list[tuple[str, str]]:
    return sorted({"instance": "", **dict(key.labels)}.items())


def _cumulative(
    durations: Durations, bounds: tuple[float, ...]
) -> list[tuple[float, int]]:
    """Return the counts up to each of `bounds`, and of all.

    Durations that were counted under other bounds are where these put them at the
    earliest, so that no count falls when bounds change.
    """
    held = sorted(durations.classic.items())
    totals = [0, *accumulate(count for _, count in held)]
    known = [bound for bound, _ in held]
    return [
        *[(float(bound), totals[bisect_right(known, bound)]) for bound in bounds],
        (inf, durations.count),
    ]


def _message(
    key: GroupingKey,
    name: str,
    durations: Durations,
    counts: list[tuple[float, int]],
) -> bytes:
    """Return the family of the histogram as protobuf; only there it is native, too."""
    type_, help_ = _HELP[name]
    header = encode_header(RUN_PREFIX + name, type_, help_, Escaping.ALLOW_UTF8)
    family = pb.MetricFamily()
    metric = family.metric.add()
    for label, value in _pairs(key):
        metric.label.add(name=label.encode(), value=value.encode())
    histogram = metric.histogram
    histogram.sample_count = durations.count
    histogram.sample_sum = durations.total / _NANOSECONDS
    for bound, count in counts:
        histogram.bucket.add(cumulative_count=count, upper_bound=bound)
    histogram.schema = SCHEMA
    histogram.zero_threshold = _ZERO_THRESHOLD
    histogram.zero_count = durations.zeros
    _add_native(histogram, sorted(durations.native.items()))
    return header + family.SerializeToString()


def _add_native(histogram: pb.Histogram, counts: list[tuple[int, int]]) -> None:
    """Add the buckets with these numbers and counts: spans of consecutive ones, and
    each count as the difference to the one before."""
    end, before = 0, 0
    for number, count in counts:
        spans = histogram.positive_span
        if spans and number == end:
            spans[-1].length += 1
        else:
            spans.add(offset=number - end, length=1)
        histogram.positive_delta.append(count - before)
        end, before = number + 1, count
    if not counts:
        # Without a span, it would not be native.
        histogram.positive_span.add(offset=0, length=0)


def _shape(
    name: str, size: int, label: str | None, key_names: tuple[str, ...]
) -> FamilyShape:
    type_, help_ = _HELP[name]
    names = {*key_names, "instance"} | ({label} if label else set())
    return FamilyShape.of(
        RUN_PREFIX + name,
        type_,
        help_,
        size=size,
        utf8_names=not all(map(is_legacy_label_name, key_names)),
        label_names=(tuple(sorted(names)),),
    )


# Whoever reports runs chooses the names, and long ones are hardly ever the same.
_known_shape = lru_cache(maxsize=4096)(_shape)
_REMEMBERED_KEY_BYTES = 512
