"""The query API: what is stored and how the relay runs, as JSON for scripts and
dashboards. Shape and spelling are the Pushgateway's."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, request

from pushrelay import __version__
from pushrelay.commit import commit
from pushrelay.exposition.evidence import HELP, NANOSECONDS
from pushrelay.exposition.floats import format_go_value
from pushrelay.exposition.native_histogram import NativeBucket, native_buckets_of
from pushrelay.exposition.stored import from_stored
from pushrelay.groups import Group, StoredFamily
from pushrelay.model import (
    PUSH_FAILURE_TIME,
    PUSH_TIME,
    Histogram,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
)
from pushrelay.web.authorisation import covered
from pushrelay.web.flask_bridge import IDENTITY

CORS_HEADERS: tuple[tuple[str, str], ...] = (
    ("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin"),
    ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Date"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
)
"""Headers of every answer that the Pushgateway knows below `/api/v1/`, that to OPTIONS
included."""

READ_CORS_HEADERS = tuple(
    (name, "GET, OPTIONS" if name == "Access-Control-Allow-Methods" else value)
    for name, value in CORS_HEADERS
)
"""Headers of those that it does not know: pages of other origins may look at groups and
cannot delete them."""

blueprint = Blueprint("query_api", __name__, url_prefix="/api/v1")


@blueprint.route("/status", methods=["GET"], provide_automatic_options=False)
def status() -> Response:
    """Show build, flags and start time."""
    started_at = current_app.extensions["pushrelay"].telemetry.started_at
    data = {
        "build_information": _build_information(),
        "flags": dict(current_app.extensions["pushrelay_settings"].flags),
        "start_time": rfc3339(round(started_at * NANOSECONDS)),
    }
    return _json(iter([_dump({"status": "success", "data": data})]))


@blueprint.route("/metrics", methods=["GET"], provide_automatic_options=False)
def metrics() -> Response:
    """Show all groups with all that was pushed to them."""
    relay = current_app.extensions["pushrelay"]
    relay.refresh_blocking()
    groups = covered(request.environ[IDENTITY], relay.groups())
    return _json(_document(groups))


def rfc3339(nanoseconds: int) -> str:
    """Return a Unix time as RFC 3339 has it, in UTC, with the fraction as short as
    Go prints it."""
    seconds, fraction = divmod(nanoseconds, NANOSECONDS)
    whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def _json(parts: Iterator[str]) -> Response:
    return Response(parts, content_type="application/json", headers=list(CORS_HEADERS))


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _document(groups: list[Group]) -> Iterator[str]:
    """Yield the answer group by group: at no time is there all of it. The gateway
    joins small pieces."""
    yield '{"status":"success","data":['
    for position, group in enumerate(groups):
        yield ("," if position else "") + _dump(_group(group))
    yield "]}"


def _group(group: Group) -> dict[str, Any]:
    shown = {name: _family(family) for name, family in group.families.items()}
    # A time that is still 0 was written along with the other one.
    pushed, failed = group.pushed_at, group.failed_at
    shown[PUSH_FAILURE_TIME] = _push_time(
        group, PUSH_FAILURE_TIME, failed, failed or pushed
    )
    shown[PUSH_TIME] = _push_time(group, PUSH_TIME, pushed, pushed or failed)
    # The keys of the group win over families of these names: without them, nobody
    # could tell which group it is.
    return shown | {
        "labels": dict(group.key.labels),
        "last_push_successful": group.last_push_successful,
    }


def _push_time(group: Group, name: str, at: int, written_at: int) -> dict[str, Any]:
    labels = {"instance": "", **dict(group.key.labels)}
    return {
        "time_stamp": rfc3339(written_at),
        "type": MetricType.GAUGE.name,
        "help": HELP[name],
        "metrics": [{"labels": labels, "value": format_go_value(at / NANOSECONDS)}],
    }


def _family(stored: StoredFamily) -> dict[str, Any]:
    family = from_stored(stored)
    help_ = {"help": family.help} if family.help else {}
    return {
        "time_stamp": rfc3339(stored.pushed_at),
        "type": family.type.name,
        **help_,
        "metrics": _metrics(family),
    }


def _metrics(family: MetricFamily) -> list[dict[str, Any]]:
    native: list[list[NativeBucket] | None] = [None] * len(family.metrics)
    if family.message is not None:
        native = native_buckets_of(family.message)
    return [
        _metric(metric, buckets)
        for metric, buckets in zip(family.metrics, native, strict=True)
    ]


def _metric(metric: Metric, native: list[NativeBucket] | None) -> dict[str, Any]:
    labels, value = dict(metric.labels), metric.value
    if isinstance(value, Summary):
        return {
            "labels": labels,
            "count": format_go_value(value.sample_count),
            "sum": format_go_value(value.sample_sum),
            "quantiles": _pairs(value.quantiles),
        }
    if isinstance(value, Histogram):
        return {
            "labels": labels,
            "count": format_go_value(value.sample_count),
            "sum": format_go_value(value.sample_sum),
            "buckets": _pairs(value.buckets) if native is None else _bounds(native),
        }
    return {"labels": labels, "value": format_go_value(0 if value is None else value)}


def _pairs(pairs: list[tuple[float, float]]) -> dict[str, str]:
    return {format_go_value(key): format_go_value(value) for key, value in pairs}


def _bounds(buckets: list[NativeBucket]) -> list[list[int | str]]:
    return [
        [boundary, *map(format_go_value, (lower, upper, count))]
        for boundary, lower, upper, count in buckets
    ]


def _build_information() -> dict[str, str]:
    return {
        "branch": "",
        "buildDate": "",
        "buildUser": "",
        "goVersion": f"python{platform.python_version()}",
        "revision": commit(),
        "version": __version__,
    }
