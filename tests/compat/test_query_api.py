"""The JSON that dashboards and scripts read."""

from __future__ import annotations

import datetime
import json
import re
import time
from typing import Any

import pytest
from metric_messages import GAUGE, HEADERS, HISTOGRAM, delimited, family
from relay_process import HTTPClient, by_labels

CORS = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Date",
    "Cache-Control": "no-cache, no-store, must-revalidate",
}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
IDENTITY = {"instance": "", "job": "x"}
FLAGS = {
    "log.format": "logfmt",
    "log.level": "info",
    "push.disable-consistency-check": "false",
    "web.config.file": "",
    "web.enable-admin-api": "true",
    "web.enable-lifecycle": "false",
    "web.external-url": "",
    "web.route-prefix": "",
    "web.systemd-socket": "false",
    "web.telemetry-path": "/metrics",
}

# A body, and the family `a` in the answer, less its time stamp.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "a gauge": (
        "# HELP a Text.\n# TYPE a gauge\na 2.5\n",
        {
            "type": "GAUGE",
            "help": "Text.",
            "metrics": [{"labels": IDENTITY, "value": "2.5"}],
        },
    ),
    "a counter without help": (
        '# TYPE a counter\na{l="v"} 1e6\n',
        {
            "type": "COUNTER",
            "metrics": [{"labels": {**IDENTITY, "l": "v"}, "value": "1e+06"}],
        },
    ),
    "untyped series as they were pushed": (
        'a{l="2"} NaN\na{l="1"} inf\na{l="3"} -inf\n',
        {
            "type": "UNTYPED",
            "metrics": [
                {"labels": {**IDENTITY, "l": "2"}, "value": "NaN"},
                {"labels": {**IDENTITY, "l": "1"}, "value": "+Inf"},
                {"labels": {**IDENTITY, "l": "3"}, "value": "-Inf"},
            ],
        },
    ),
    "a summary": (
        '# TYPE a summary\na{quantile="0.5"} 3\na_sum 4.5\na_count 2\n',
        {
            "type": "SUMMARY",
            "metrics": [
                {
                    "labels": IDENTITY,
                    "count": "2",
                    "sum": "4.5",
                    "quantiles": {"0.5": "3"},
                }
            ],
        },
    ),
    "a summary without quantiles": (
        "# TYPE a summary\na_sum 4.5\na_count 2\n",
        {
            "type": "SUMMARY",
            "metrics": [
                {"labels": IDENTITY, "count": "2", "sum": "4.5", "quantiles": {}}
            ],
        },
    ),
    "a histogram": (
        '# TYPE a histogram\na_bucket{le="1"} 3\na_bucket{le="+Inf"} 5\n'
        "a_sum 9\na_count 5\n",
        {
            "type": "HISTOGRAM",
            "metrics": [
                {
                    "labels": IDENTITY,
                    "count": "5",
                    "sum": "9",
                    "buckets": {"1": "3", "+Inf": "5"},
                }
            ],
        },
    ),
    "a histogram without +Inf": (
        '# TYPE a histogram\na_bucket{le="1e6"} 3\na_sum 9\na_count 5\n',
        {
            "type": "HISTOGRAM",
            "metrics": [
                {
                    "labels": IDENTITY,
                    "count": "5",
                    "sum": "9",
                    "buckets": {"1e+06": "3"},
                }
            ],
        },
    ),
    "a float histogram": (
        '# TYPE a histogram\na_bucket{le="1"} 2.5\na_sum 9\na_count 5\n',
        {
            "type": "HISTOGRAM",
            "metrics": [
                {
                    "labels": IDENTITY,
                    "count": "5",
                    "sum": "9",
                    "buckets": {"1": "2.5"},
                }
            ],
        },
    ),
}

# The fields of a native histogram, and its buckets in the answer.
NATIVE: dict[str, tuple[dict[str, Any], list[list[Any]]]] = {
    "positive buckets": (
        {
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count": 0,
            "positive_span": [{"offset": 0, "length": 2}],
            "positive_delta": [1, 2],
        },
        [[0, "0.5", "1", "1"], [0, "1", "2", "3"]],
    ),
    "spans with gaps": (
        {
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count": 0,
            "positive_span": [{"offset": -1, "length": 1}, {"offset": 2, "length": 1}],
            "positive_delta": [2, -1],
        },
        [[0, "0.25", "0.5", "2"], [0, "2", "4", "1"]],
    ),
    "empty buckets are left out": (
        {
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count": 0,
            "positive_span": [{"offset": 1, "length": 3}],
            "positive_delta": [1, -1, 1],
        },
        [[0, "1", "2", "1"], [0, "4", "8", "1"]],
    ),
    "all sides": (
        {
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count": 2,
            "negative_span": [{"offset": 0, "length": 2}],
            "negative_delta": [1, 3],
            "positive_span": [{"offset": 0, "length": 1}],
            "positive_delta": [5],
        },
        [
            [1, "-2", "-1", "4"],
            [1, "-1", "-0.5", "1"],
            [3, "-0.001", "0.001", "2"],
            [0, "0.5", "1", "5"],
        ],
    ),
    "a coarse schema": (
        {
            "schema": -1,
            "zero_threshold": 0.001,
            "zero_count": 0,
            "positive_span": [{"offset": 1, "length": 1}],
            "positive_delta": [1],
        },
        [[0, "1", "4", "1"]],
    ),
    "a fine schema": (
        {
            "schema": 1,
            "zero_threshold": 0.001,
            "zero_count": 0,
            "positive_span": [{"offset": 2, "length": 1}],
            "positive_delta": [1],
        },
        [[0, "1.414213562373095", "2", "1"]],
    ),
    "float counts": (
        {
            "sample_count_float": 3.5,
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count_float": 0.5,
            "positive_span": [{"offset": 1, "length": 2}],
            "positive_count": [1.5, 2],
        },
        [
            [3, "-0.001", "0.001", "0.5"],
            [0, "1", "2", "1.5"],
            [0, "2", "4", "2"],
        ],
    ),
}


def test_no_groups_are_an_empty_list(relay: HTTPClient) -> None:
    response = relay.get("/api/v1/metrics")
    assert response.status == 200
    assert response.body.rstrip(b"\n") == b'{"status":"success","data":[]}'


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/api/v1/status"])
def test_answers_may_be_read_from_other_origins(relay: HTTPClient, path: str) -> None:
    response = relay.get(path)
    assert response.header("Content-Type") == "application/json"
    assert {name: response.header(name) for name in CORS} == CORS


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/metrics",
        "/api/v1/status",
        "/api/v1/admin/wipe",
        "/api/v1/anything/else",
        "/api/v1/",
    ],
)
def test_preflight_requests_are_answered(relay: HTTPClient, path: str) -> None:
    response = relay.request("OPTIONS", path)
    assert (response.status, response.body) == (200, b"")
    assert {name: response.header(name) for name in CORS} == CORS


@pytest.mark.parametrize(("body", "expected"), FAMILIES.values(), ids=FAMILIES)
def test_families_are_shown(
    relay: HTTPClient, body: str, expected: dict[str, Any]
) -> None:
    assert relay.put("/metrics/job/x", body).status == 200
    assert _family(relay, "a") == expected


@pytest.mark.parametrize(("fields", "buckets"), NATIVE.values(), ids=NATIVE)
def test_native_histograms_are_shown_with_their_bounds(
    relay: HTTPClient, fields: dict[str, Any], buckets: list[list[Any]]
) -> None:
    fields = {"sample_sum": 9, **fields}
    if "sample_count_float" not in fields:
        fields["sample_count"] = 20
    body = delimited(family("a", HISTOGRAM, {"histogram": fields}))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    [metric] = _family(relay, "a")["metrics"]
    count = "20" if "sample_count" in fields else "3.5"
    assert metric == {
        "labels": IDENTITY,
        "count": count,
        "sum": "9",
        "buckets": buckets,
    }


def test_a_family_without_metrics_is_shown(relay: HTTPClient) -> None:
    body = delimited(family("a", GAUGE, help="Text."))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    assert _family(relay, "a") == {"type": "GAUGE", "help": "Text.", "metrics": []}


def test_groups_show_their_grouping_labels_only(relay: HTTPClient) -> None:
    keys = [{"job": "x"}, {"job": "x", "instance": "i"}, {"job": "y", "l": ""}]
    for path in ("job/x", "job/x/instance/i", "job/y/l/"):
        relay.put(f"/metrics/{path}", "a 1\n")
    assert relay.grouping_keys() == sorted(keys, key=by_labels)


def test_a_group_shows_its_bookkeeping(relay: HTTPClient) -> None:
    before = time.time()
    relay.put("/metrics/job/x", "")
    group = relay.group(job="x")
    assert group is not None
    assert group["last_push_successful"] is True
    pushed, failed = (
        _family(relay, name)
        for name in ("push_time_seconds", "push_failure_time_seconds")
    )
    assert pushed["type"] == failed["type"] == "GAUGE"
    assert pushed["help"].endswith("changing this group in the Pushgateway succeeded.")
    assert failed["help"].endswith("changing this group in the Pushgateway failed.")
    assert failed["metrics"] == [{"labels": IDENTITY, "value": "0"}]
    [metric] = pushed["metrics"]
    assert metric["labels"] == IDENTITY
    assert re.fullmatch(r"\d\.\d+e\+09", metric["value"])
    assert before <= float(metric["value"]) <= time.time()


def test_families_carry_the_time_of_the_push_that_wrote_them(
    relay: HTTPClient,
) -> None:
    before = datetime.datetime.now(datetime.UTC)
    relay.put("/metrics/job/x", "a 1\nb 1\n")
    first = relay.group(job="x")
    relay.post("/metrics/job/x", "b 2\n")
    second = relay.group(job="x")
    assert first is not None
    assert second is not None
    assert RFC_3339.fullmatch(first["a"]["time_stamp"])
    assert first["a"]["time_stamp"] == first["b"]["time_stamp"]
    assert second["a"]["time_stamp"] == first["a"]["time_stamp"]
    assert second["push_time_seconds"]["time_stamp"] == second["b"]["time_stamp"]
    times = [_time(g["b"]["time_stamp"]) for g in (first, second)]
    assert before <= times[0] < times[1] <= datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("name", ["labels", "last_push_successful"])
def test_no_family_name_breaks_the_answer(relay: HTTPClient, name: str) -> None:
    assert relay.put("/metrics/job/x", f"{name} 1\na 1\n").status == 200
    response = relay.get("/api/v1/metrics")
    assert response.status == 200
    [group] = json.loads(response.body)["data"]
    assert group["a"]["type"] == "UNTYPED"


def test_any_text_survives_json(relay: HTTPClient) -> None:
    value = '<&>"\\ü日🚀\0\t'
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    relay.put("/metrics/job/x", f'# HELP a <&>ü\na{{l="{escaped}"}} 1\n')
    shown = _family(relay, "a")
    assert shown["help"] == "<&>ü"
    assert shown["metrics"][0]["labels"]["l"] == value


def test_the_status_tells_build_flags_and_start(relay: HTTPClient) -> None:
    answer = json.loads(relay.get("/api/v1/status").body)
    assert answer.keys() == {"status", "data"}
    assert answer["status"] == "success"
    data = answer["data"]
    assert data.keys() == {"build_information", "flags", "start_time"}
    assert data["build_information"].keys() == {
        "branch",
        "buildDate",
        "buildUser",
        "goVersion",
        "revision",
        "version",
    }
    assert all(isinstance(v, str) for v in data["build_information"].values())
    assert RFC_3339.fullmatch(data["start_time"])
    assert _time(data["start_time"]) < datetime.datetime.now(datetime.UTC)


def test_flags_are_strings(relay: HTTPClient) -> None:
    flags = json.loads(relay.get("/api/v1/status").body)["data"]["flags"]
    assert flags.items() >= FLAGS.items()
    assert flags["web.listen-address"] == relay.address
    assert {"persistence.file", "persistence.interval"} <= flags.keys()
    assert all(isinstance(value, str) for value in flags.values())


def _family(relay: HTTPClient, name: str) -> dict[str, Any]:
    group = relay.group(job="x")
    assert group is not None
    shown = dict(group[name])
    assert RFC_3339.fullmatch(shown.pop("time_stamp"))
    return shown


def _time(text: str) -> datetime.datetime:
    """Read an RFC 3339 time; Python takes microseconds at most."""
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
