"""Reads the groups of a running Pushgateway, for a relay to import.

Its JSON API tells the groups, their times and which series they have. The series
themselves come from its page in protobuf, which holds all of them: native histograms,
exemplars, created timestamps. What the page lacks is made from the JSON as far as that
goes, for a Pushgateway whose groups contradict each other has no page.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.message import DecodeError

from pushrelay.client import RelayClient
from pushrelay.errors import PushrelayError
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.protobuf_wire import split_delimited, varint
from pushrelay.model import PUSH_EVIDENCE, PUSH_FAILURE_TIME, PUSH_TIME, Labels
from pushrelay.soundness import RESERVED_PREFIX

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

Page = dict[tuple[str, Labels], pb.Metric]
"""Metrics by the name of their family and their labels."""

_ACCEPT = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
    "encoding=delimited; escaping=allow-utf-8"
)
_NANOSECONDS = 10**9
_END_OF_TIME = 2**63
_TIME_STAMP = re.compile(r"([^.]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_FIELDS = {
    "COUNTER": "counter",
    "GAUGE": "gauge",
    "SUMMARY": "summary",
    "UNTYPED": "untyped",
    "HISTOGRAM": "histogram",
    "GAUGE_HISTOGRAM": "histogram",
}
"""Where a metric has its value, by the type of its family."""


class CannotCopy(Exception):
    """Something that the Pushgateway has and does not tell."""


@dataclass(slots=True)
class SourceGroup:
    """A group to import: its document, None if it cannot be told, and what of it is
    left out, as (family, reason)."""

    labels: dict[str, str]
    document: dict[str, Any] | None = None
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_groups(source: RelayClient) -> list[SourceGroup]:
    """Return all groups of a Pushgateway. Raises what `RelayClient` raises."""
    groups = source.data("GET", "/api/v1/metrics")
    page, problem = _read_page(source) if groups else ({}, "")
    try:
        return [_group(shown, page, problem) for shown in groups]
    except _MALFORMED as error:
        raise PushrelayError(
            f"{source.url}/api/v1/metrics answers what no Pushgateway answers "
            f"({type(error).__name__}: {error})"
        ) from error


def _read_page(source: RelayClient) -> tuple[Page, str]:
    """Return the metrics of the page, and what is wrong with it if it cannot be had."""
    try:
        flags = source.data("GET", "/api/v1/status")["flags"]
        path = str(flags.get("web.telemetry-path") or "/metrics")
        answer = source.request("GET", path, headers={"Accept": _ACCEPT})
        if "protobuf" not in answer.headers.get("content-type", ""):
            return {}, f"{source.url}{path} does not answer in protobuf"
        return _metrics_of_page(answer.body), ""
    except (PushrelayError, DecodeError) as error:
        return {}, str(error).partition("\n")[0]


def _metrics_of_page(body: bytes) -> Page:
    page = {}
    for message in split_delimited(body):
        family = pb.MetricFamily.FromString(message)
        name = family.name.decode(errors="replace")
        for metric in family.metric:
            page[name, _labels_of(metric)] = metric
    return page


def _labels_of(metric: pb.Metric) -> Labels:
    return tuple(
        sorted(
            (pair.name.decode(errors="replace"), pair.value.decode(errors="replace"))
            for pair in metric.label
        )
    )


def _group(shown: dict[str, Any], page: Page, problem: str) -> SourceGroup:
    labels = shown["labels"]
    if isinstance(labels.get("metrics"), list):
        return SourceGroup({}, left_out=[("labels", "it hides the group's own labels")])
    group = SourceGroup(labels)
    messages, times = [], {}
    for name, family in shown.items():
        if name in ("labels", *PUSH_EVIDENCE) or not isinstance(family, dict):
            continue
        try:
            message = _family(name, family, page, problem)
        except CannotCopy as error:
            group.left_out.append((name, str(error)))
            continue
        messages.append(varint(len(message)) + message)
        times[name] = _nanoseconds(family["time_stamp"])
    group.document = {
        "labels": labels,
        "pushed_at_ns": _push_time(shown, PUSH_TIME) or max(times.values(), default=0),
        "failed_at_ns": _push_time(shown, PUSH_FAILURE_TIME),
        "families": base64.b64encode(b"".join(messages)).decode(),
        "families_pushed_at_ns": times,
    }
    return group


def _push_time(shown: dict[str, Any], name: str) -> int | None:
    """Return a time of the group in nanoseconds, None for never."""
    try:
        # To the digit what its page shows; the time stamp may differ in the last one.
        seconds = Decimal(shown[name]["metrics"][0]["value"])
        at = round(seconds * _NANOSECONDS)
    except _MALFORMED:
        # Jobs may push a family of this name, and in some cases it is kept.
        return None
    return at if 0 < at < _END_OF_TIME else None


def _nanoseconds(time_stamp: str) -> int:
    """Return the Unix time that RFC 3339 with nanoseconds tells."""
    match = _TIME_STAMP.fullmatch(time_stamp)
    if match is None:
        raise ValueError(f"{time_stamp!r} is no time stamp")
    whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    fraction = (match[2] or "").ljust(9, "0")[:9]
    return int(whole.timestamp()) * _NANOSECONDS + int(fraction)


def _family(name: str, shown: dict[str, Any], page: Page, problem: str) -> bytes:
    """Return the encoded family. Raises CannotCopy."""
    if name.startswith(RESERVED_PREFIX):
        raise CannotCopy(f"names that begin with {RESERVED_PREFIX} are the relay's own")
    field_name = _FIELDS.get(shown["type"])
    if field_name is None:
        raise CannotCopy(f"its type {shown['type']} is not known")
    message = pb.MetricFamily(
        name=name.encode(), help=shown.get("help", "").encode(), type=shown["type"]
    )
    for metric in shown["metrics"]:
        labels = tuple(sorted(metric["labels"].items()))
        found = page.get((name, labels))
        if found is not None and found.HasField(field_name):
            message.metric.append(found)
        elif field_name == "histogram" and not _is_classic(metric):
            reason = problem or f"its page has no {name} with these labels"
            raise CannotCopy(f"JSON does not tell native histograms, and {reason}")
        else:
            message.metric.append(_from_json(metric, field_name))
    return message.SerializeToString()


def _is_classic(shown: dict[str, Any]) -> bool:
    buckets = shown.get("buckets")
    return isinstance(buckets, dict) and bool(buckets)


def _from_json(shown: dict[str, Any], field_name: str) -> pb.Metric:
    metric = pb.Metric()
    for name, value in shown["labels"].items():
        metric.label.add(name=name.encode(), value=value.encode())
    target = getattr(metric, field_name)
    if field_name == "histogram":
        _fill_histogram(target, shown)
    elif field_name == "summary":
        target.sample_count = int(_number(shown["count"]))
        target.sample_sum = float(shown["sum"])
        for quantile, value in shown["quantiles"].items():
            target.quantile.add(quantile=float(quantile), value=float(value))
    else:
        target.value = float(shown["value"])
    return metric


def _fill_histogram(histogram: pb.Histogram, shown: dict[str, Any]) -> None:
    count = _number(shown["count"])
    counts = {float(bound): _number(n) for bound, n in shown["buckets"].items()}
    histogram.sample_sum = float(shown["sum"])
    if all(isinstance(number, int) for number in (count, *counts.values())):
        histogram.sample_count = int(count)
        for bound, number in counts.items():
            histogram.bucket.add(upper_bound=bound, cumulative_count=int(number))
    else:
        histogram.sample_count_float = count
        for bound, number in counts.items():
            histogram.bucket.add(upper_bound=bound, cumulative_count_float=number)


def _number(text: str) -> int | float:
    """Return a count, which may be printed as a float, as an int if it is whole."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number
