from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import group_of, key_of
from flask.testing import FlaskClient
from flask_clients import flask_client

from pushrelay.commit import commit
from pushrelay.config import Limits, Settings
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.protobuf_parser import metrics_of
from pushrelay.exposition.stored import to_payload
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricFamily, MetricType
from pushrelay.web.query_api import CORS_HEADERS, rfc3339

RECORDED = Path(__file__).parents[1] / "compat" / "recorded"
FLAGS = {"web.listen-address": ":9091", "web.enable-admin-api": "false"}
# Half past the epoch's first second, so that fractions show.
PUSHED_AT = 1_500_000_000
IDENTITY = {"instance": "", "job": "a"}


def client_of(*groups: Group) -> FlaskClient:
    relay: Any = SimpleNamespace(
        groups=lambda: list(groups),
        refresh_blocking=lambda: True,
        telemetry=SimpleNamespace(started_at=1.25),
    )
    return flask_client(Settings(flags=FLAGS), relay)


def data_of(*groups: Group) -> Any:
    answer = json.loads(client_of(*groups).get("/api/v1/metrics").data)
    assert answer.keys() == {"status", "data"}
    assert answer["status"] == "success"
    return answer["data"]


def shown_metrics(text: str) -> Any:
    [group] = data_of(group_of(text))
    return group["x"]["metrics"]


def recorded_texts() -> list[str]:
    """Return the recorded cases whose text body was all that made their group."""
    cases = []
    for path in sorted(RECORDED.glob("*/*.json")):
        recorded = json.loads(path.read_text())
        head, body = request_of(path)
        if (
            recorded.get("api_v1_metrics")
            and recorded["status_new"] == 200
            and not recorded.get("requires")
            and body
            and b"protobuf" not in head
            and b"\r\ncontent-encoding:" not in head
            and b"\r\ntransfer-encoding:" not in head
        ):
            cases.append(str(path.relative_to(RECORDED)))
    return cases


def request_of(path: Path) -> tuple[bytes, bytes]:
    head, _, body = path.with_suffix(".http").read_bytes().partition(b"\r\n\r\n")
    return head.lower(), body


@pytest.mark.parametrize("case", recorded_texts())
def test_a_recorded_body_is_shown_as_the_pushgateway_showed_it(case: str) -> None:
    recorded = json.loads((RECORDED / case).read_text())
    key = GroupingKey.of(recorded["grouping"])
    _, body = request_of(RECORDED / case)
    families = parse_text(body, key, Limits(), utf8_names=True)
    # One that the client pushed itself is overridden.
    pushed = [family for family in families if not family.name.startswith("push_")]
    [group] = data_of(Group(key, 1, 1, 0, to_payload(pushed, 1)))
    for name, family in group.items():
        if name not in ("labels", "last_push_successful"):
            family["time_stamp"] = None
    for name in ("push_time_seconds", "push_failure_time_seconds"):
        group[name]["metrics"][0]["value"] = None
    assert group == recorded["api_v1_metrics"]


def test_no_groups_are_an_empty_list() -> None:
    response = client_of().get("/api/v1/metrics")
    assert response.data == b'{"status":"success","data":[]}'


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/api/v1/status"])
def test_every_origin_may_read_the_answers(path: str) -> None:
    response = client_of().get(path)
    assert response.headers["Content-Type"] == "application/json"
    assert dict(CORS_HEADERS).items() <= dict(response.headers).items()


def test_groups_come_in_the_order_of_their_keys() -> None:
    groups = [group_of(key=key_of(job)) for job in "abc"]
    assert [group["labels"]["job"] for group in data_of(*groups)] == ["a", "b", "c"]


def test_groups_come_piece_by_piece() -> None:
    groups = [group_of("x 1", key_of(f"{number:03}")) for number in range(500)]
    response = client_of(*groups).get("/api/v1/metrics")
    parts = list(response.iter_encoded())
    assert len(parts) >= len(groups)
    assert len(json.loads(b"".join(parts))["data"]) == len(groups)


def test_a_group_shows_its_families_as_pushed_and_its_push_times() -> None:
    [group] = data_of(group_of("z 1\ny 2", pushed_at=PUSHED_AT))
    assert list(group) == [
        "z",
        "y",
        "push_failure_time_seconds",
        "push_time_seconds",
        "labels",
        "last_push_successful",
    ]
    assert group["labels"] == {"job": "a"}
    assert group["last_push_successful"] is True
    assert group["z"]["time_stamp"] == "1970-01-01T00:00:01.5Z"
    assert group["push_time_seconds"] == {
        "time_stamp": "1970-01-01T00:00:01.5Z",
        "type": "GAUGE",
        "help": "Last Unix time when changing this group in the Pushgateway succeeded.",
        "metrics": [{"labels": IDENTITY, "value": "1.5"}],
    }
    assert group["push_failure_time_seconds"] == {
        "time_stamp": "1970-01-01T00:00:01.5Z",
        "type": "GAUGE",
        "help": "Last Unix time when changing this group in the Pushgateway failed.",
        "metrics": [{"labels": IDENTITY, "value": "0"}],
    }


def test_a_group_that_was_only_refused_shows_when() -> None:
    [group] = data_of(group_of("", pushed_at=0, failed_at=PUSHED_AT))
    assert group["last_push_successful"] is False
    shown = [group[f"push_{name}time_seconds"] for name in ("", "failure_")]
    assert [s["metrics"][0]["value"] for s in shown] == ["0", "1.5"]
    assert [s["time_stamp"] for s in shown] == ["1970-01-01T00:00:01.5Z"] * 2


def test_help_is_left_out_if_there_is_none() -> None:
    [group] = data_of(group_of("# HELP x Text.\nx 1\ny 1"))
    assert group["x"]["help"] == "Text."
    assert "help" not in group["y"]


def test_series_come_as_they_were_pushed() -> None:
    shown = shown_metrics('x{l="2"} 1\nx{l="10"} -0\nx 1e6')
    assert shown == [
        {"labels": {**IDENTITY, "l": "2"}, "value": "1"},
        {"labels": {**IDENTITY, "l": "10"}, "value": "-0"},
        {"labels": IDENTITY, "value": "1e+06"},
    ]


def test_a_histogram_shows_the_buckets_it_was_pushed_with() -> None:
    text = '# TYPE x histogram\nx_bucket{le="1e6"} 3\nx_sum 9\nx_count 5'
    assert shown_metrics(text) == [
        {"labels": IDENTITY, "count": "5", "sum": "9", "buckets": {"1e+06": "3"}}
    ]


def test_a_gauge_histogram_is_shown_like_a_histogram() -> None:
    text = '# TYPE x gauge_histogram\nx_bucket{le="1"} 3\nx_sum 9\nx_count 5'
    assert shown_metrics(text) == [
        {"labels": IDENTITY, "count": "5", "sum": "9", "buckets": {"1": "3"}}
    ]


def test_native_histograms_keep_to_their_series() -> None:
    message = pb.MetricFamily(name=b"x", type=pb.HISTOGRAM)
    native, classic = message.metric.add(), message.metric.add()
    for metric, value in ((native, b"2"), (classic, b"1")):
        metric.label.add(name=b"l", value=value)
    native.histogram.MergeFrom(
        pb.Histogram(
            sample_count=3,
            sample_sum=4,
            zero_threshold=0.5,
            zero_count=1,
            positive_span=[pb.BucketSpan(offset=1, length=1)],
            positive_delta=[2],
        )
    )
    classic.histogram.MergeFrom(pb.Histogram(sample_count=7))
    classic.histogram.bucket.add(upper_bound=1, cumulative_count=6)
    # Pushed in another order than that of the exposition.
    [group] = data_of(_group_with(message))
    shown = [(m["labels"], m["count"], m["buckets"]) for m in group["x"]["metrics"]]
    assert shown == [
        ({"l": "2"}, "3", [[3, "-0.5", "0.5", "1"], [0, "1", "2", "2"]]),
        ({"l": "1"}, "7", {"1": "6"}),
    ]


def test_a_family_without_metrics_is_shown() -> None:
    [group] = data_of(_group_with(pb.MetricFamily(name=b"x", type=pb.GAUGE)))
    assert group["x"]["type"] == "GAUGE"
    assert group["x"]["metrics"] == []


@pytest.mark.parametrize("name", ["labels", "last_push_successful"])
def test_a_group_keeps_its_own_keys(name: str) -> None:
    [group] = data_of(group_of(f"{name} 1\nx 1"))
    assert group["labels"] == {"job": "a"}
    assert group["last_push_successful"] is True
    assert "x" in group


def test_the_status_tells_build_flags_and_start() -> None:
    answer = json.loads(client_of().get("/api/v1/status").data)
    build = answer["data"].pop("build_information")
    assert answer == {
        "status": "success",
        "data": {"flags": FLAGS, "start_time": "1970-01-01T00:00:01.25Z"},
    }
    assert sorted(build) == [
        "branch",
        "buildDate",
        "buildUser",
        "goVersion",
        "revision",
        "version",
    ]
    assert all(isinstance(value, str) for value in build.values())
    assert build["revision"] == commit()


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (10 * 10**9, "1970-01-01T00:00:10Z"),
        (1_795_387_446_378_367_030, "2026-11-22T22:44:06.37836703Z"),
    ],
)
def test_times_are_as_exact_as_they_must_be(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


def _group_with(message: pb.MetricFamily) -> Group:
    """Return a group with a pushed protobuf family; labels as in the message."""
    encoded = message.SerializeToString()
    family = MetricFamily(
        name=message.name.decode(),
        type=MetricType(message.type),
        metrics=metrics_of(encoded),
        message=encoded,
    )
    return Group(key_of(), 1, 1, 0, to_payload([family], 1))
