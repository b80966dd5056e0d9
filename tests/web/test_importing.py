"""`POST /api/v1/admin/import`: groups from elsewhere, with their times."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any

import pytest
from compat.exposition_page import value
from compat.metric_messages import (
    CONTENT_TYPE,
    COUNTER,
    GAUGE,
    HEADERS,
    HISTOGRAM,
    delimited,
    family,
    labels,
    read_delimited,
)
from hypothesis import given
from hypothesis import strategies as st
from relay_process import HTTPClient, RelayProcess, StartRelay

from pushrelay.errors import InvalidRequest
from pushrelay.web.importing import _lines

PATH = "/api/v1/admin/import"
NDJSON = {"Content-Type": "application/x-ndjson"}
SECOND = 10**9
THEN = 1_700_000_000 * SECOND


def gauge(name: str = "x", number: float = 1, **label: str) -> Any:
    return family(name, GAUGE, {"label": labels(**label), "gauge": {"value": number}})


def line(*families: Any, job: str = "a", at: int = THEN, **more: Any) -> bytes:
    """Return a line of an import; fields of `more` come in addition, None removes."""
    document = {
        "labels": {"job": job},
        "pushed_at_ns": at,
        "families": base64.b64encode(delimited(*families)).decode(),
        **more,
    }
    kept = {name: field for name, field in document.items() if field is not None}
    return json.dumps(kept).encode() + b"\n"


def send(relay: HTTPClient, body: bytes, query: str = "") -> dict[str, Any]:
    """Return what became of an import that was read."""
    answer = relay.post(PATH + query, body, NDJSON)
    assert answer.status == 200, answer.text
    assert answer.header("content-type") == "application/json"
    found: dict[str, Any] = json.loads(answer.body)
    assert found["status"] == "success"
    data: dict[str, Any] = found["data"]
    return data


def nothing_else(imported: int, dry_run: bool = False) -> dict[str, Any]:
    return {"dry_run": dry_run, "imported": imported, "skipped": [], "refused": []}


def test_groups_come_with_their_times(relay: HTTPClient) -> None:
    body = line(
        gauge("x", 1),
        gauge("y", 2),
        at=THEN + 123_456_789,
        failed_at_ns=THEN + 2 * SECOND,
        families_pushed_at_ns={"y": THEN - SECOND},
    ) + line(job="b", at=THEN)
    assert send(relay, body) == nothing_else(imported=2)
    a, b = relay.group(job="a"), relay.group(job="b")
    assert a is not None
    assert b is not None
    assert a["x"]["time_stamp"] == "2023-11-14T22:13:20.123456789Z"
    assert a["y"]["time_stamp"] == "2023-11-14T22:13:19Z"
    assert a["last_push_successful"] is False
    page = relay.page()
    assert value(page, "y", job="a") == 2
    assert value(page, "push_time_seconds", job="a") == 1700000000.123456789
    assert value(page, "push_failure_time_seconds", job="a") == 1700000002
    assert value(page, "push_time_seconds", job="b") == 1700000000


def test_a_group_of_which_only_failures_are_known_comes_too(relay: HTTPClient) -> None:
    body = line(pushed_at_ns=None, families=None, failed_at_ns=THEN)
    assert send(relay, body) == nothing_else(imported=1)
    assert value(relay.page(), "push_time_seconds", job="a") == 0
    assert value(relay.page(), "push_failure_time_seconds", job="a") == 1700000000


def test_nothing_of_a_family_is_lost(relay: HTTPClient) -> None:
    native = {
        "sample_count": 6,
        "sample_sum": 2.5,
        "schema": 3,
        "zero_threshold": 0.001,
        "positive_span": [{"offset": 0, "length": 2}],
        "positive_delta": [3, 0],
        "created_timestamp": {"seconds": 12},
    }
    exemplar = {"label": labels(trace_id="t"), "value": 1}
    pushed = [
        family("n", HISTOGRAM, {"label": labels(l="v"), "histogram": native}, help="H"),
        family("c", COUNTER, {"counter": {"value": 3, "exemplar": exemplar}}),
    ]
    relay.put("/metrics/job/pushed", delimited(*pushed), HEADERS)
    send(relay, line(*pushed, job="imported"))
    answer = relay.get("/metrics", {"Accept": CONTENT_TYPE})
    for found in read_delimited(answer.body):
        if found.name in ("n", "c"):
            first, second = found.metric
            assert {pair.value for pair in first.label} >= {"imported"}
            for metric in (first, second):
                del metric.label[:]
            assert first == second


def test_the_labels_of_the_group_are_put_in_place(relay: HTTPClient) -> None:
    send(relay, line(gauge("x", 1, job="wrong", l="v"), labels={"job": "a", "k": "w"}))
    assert 'x{instance="",job="a",k="w",l="v"} 1' in relay.page()


def test_importing_again_changes_nothing(relay: HTTPClient) -> None:
    body = line(gauge())
    send(relay, body)
    before = relay.groups()
    again = send(relay, body)
    assert again["imported"] == 0
    [skipped] = again["skipped"]
    assert skipped["labels"] == {"job": "a"}
    assert "not older" in skipped["reason"]
    assert relay.groups() == before


def test_the_newer_group_is_kept(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a", "x 5\n")
    assert send(relay, line(gauge()))["imported"] == 0
    assert value(relay.page(), "x", job="a") == 5
    later = line(gauge("x", 7), at=time.time_ns() + SECOND)
    assert send(relay, later)["imported"] == 1
    assert value(relay.page(), "x", job="a") == 7


@pytest.mark.parametrize(
    "field", ["pushed_at_ns", "failed_at_ns", "families_pushed_at_ns"]
)
def test_a_time_in_the_future_is_refused(relay: HTTPClient, field: str) -> None:
    later = time.time_ns() + 3600 * SECOND
    times = {"x": later} if field == "families_pushed_at_ns" else later
    answer = send(relay, line(gauge("x"), **{field: times}) + line(job="b"))
    (refused,) = answer["refused"]
    assert refused["labels"] == {"job": "a"}
    assert "a time in the future" in refused["reason"]
    assert answer["imported"] == 1


def test_clocks_may_differ_a_little(relay: HTTPClient) -> None:
    soon = time.time_ns() + 200 * SECOND
    assert send(relay, line(gauge("x"), pushed_at_ns=soon)) == nothing_else(imported=1)


def test_a_dry_run_changes_nothing(relay: HTTPClient) -> None:
    found = send(relay, line(gauge()), "?dry_run=1")
    assert found == nothing_else(imported=1, dry_run=True)
    assert relay.groups() == []


def test_a_dry_run_sees_what_contradicts_within_the_import(relay: HTTPClient) -> None:
    counter = family("x", COUNTER, {"counter": {"value": 1}})
    body = line(gauge("x", 1), job="a") + line(counter, job="b")
    tried = send(relay, body, "?dry_run=1")
    assert [left_out["labels"] for left_out in tried["refused"]] == [{"job": "b"}]
    assert relay.groups() == []
    assert send(relay, body) == {**tried, "dry_run": False}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(gauge("pushrelay_x"), job="b"), "begin with pushrelay_"),
        (line(family("x", COUNTER, {"counter": {}}), job="b"), "is not a GAUGE"),
        (line(family("x", GAUGE, {"counter": {}}), job="b"), "is not a GAUGE"),
        (line(gauge(), labels={"job": "b", "a.b": ""}), "improper label name"),
        (line(gauge(), labels={"job": "b", "__x": ""}), "improper label name"),
        (line(gauge(), labels={"job": ""}), "job name is required"),
        (line(gauge(), labels={"l": "v"}), "job name is required"),
        (line(gauge(), labels={"job": "b", "l": "\ud800"}), "not valid UTF-8"),
        (line(gauge(), labels={"job": "b", "l": "v" * 70_000}), "65536"),
        (line(gauge(), labels={"job": "a", "instance": ""}), "instance"),
        (line(b"\xff\xff", job="b"), "proto"),
    ],
)
def test_one_group_that_is_refused_does_not_stop_the_others(
    relay: HTTPClient, bad: bytes, reason: str
) -> None:
    found = send(relay, line(gauge()) + bad + line(gauge("z"), job="c"))
    assert found["imported"] == 2
    [refused] = found["refused"]
    assert refused["labels"] == json.loads(bad)["labels"]
    assert reason in refused["reason"]
    assert relay.grouping_keys() == [{"job": "a"}, {"job": "c"}]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"x", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"labels": "a"}', "labels must be an object"),
        (b"{}", "labels must be an object"),
        (line(labels={"job": 1}), "whose values are strings"),
        (line(pushed_at_ns="now"), "pushed_at_ns"),
        (line(pushed_at_ns=True), "pushed_at_ns"),
        (line(pushed_at_ns=1.5), "pushed_at_ns"),
        (line(pushed_at_ns=-1), "pushed_at_ns"),
        (line(pushed_at_ns=2**63), "pushed_at_ns"),
        (line(failed_at_ns=[]), "failed_at_ns"),
        (line(families_pushed_at_ns={"x": "y"}), "families_pushed_at_ns"),
        (line(families_pushed_at_ns=[]), "families_pushed_at_ns"),
        (line(families="?"), "families is not base64"),
        (line(families=1), "families must be a string"),
        (line(gauge(), pushed_at_ns=None), "pushed_at_ns must say when"),
        (line(pushed_at_ns=None), "neither"),
        (line(pushed_at=1), "not known: 'pushed_at'"),
        (b"\xff", "decode"),
    ],
)
def test_a_line_that_cannot_be_read_stops_all(
    relay: HTTPClient, bad: bytes, problem: str
) -> None:
    body = line(gauge()) + b"\n" + bad + b"\n" + line(gauge(), job="c")
    answer = relay.post(PATH, body, NDJSON)
    assert answer.status == 400
    assert answer.text.startswith("line 3 of the import: ")
    assert problem in answer.text
    assert relay.groups() == []


FIELDS = {
    "labels": {"job": "a"},
    "pushed_at_ns": THEN,
    "failed_at_ns": THEN,
    "families": "",
    "families_pushed_at_ns": {"x": THEN},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["job", "x", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(sorted(FIELDS)), JSON)
def test_any_json_is_a_group_or_refused_with_its_line(name: str, field: Any) -> None:
    text = json.dumps({**FIELDS, name: field}).encode()
    try:
        [read] = _lines(text)
    except InvalidRequest as error:
        told = str(error)
    else:
        assert 0 <= read.pushed_at < 2**63
        assert 0 <= read.failed_at < 2**63
        assert all(0 < at < 2**63 for at in read.families_pushed_at.values())
        assert all(isinstance(value, str) for value in read.labels.values())
        return
    assert told.startswith("line 1 of the import: ")


def test_the_body_may_be_compressed_and_is_limited(start_relay: StartRelay) -> None:
    relay: RelayProcess = start_relay(
        "--web.enable-admin-api", "--limit.body-bytes=1000"
    )
    packed = {**NDJSON, "Content-Encoding": "gzip"}
    assert relay.post(PATH, gzip.compress(line(gauge())), packed).status == 200
    assert len(relay.groups()) == 1
    bomb = gzip.compress(line(gauge(), job="b") + b"\n" * 1000)
    assert relay.post(PATH, bomb, packed).status == 413
    assert len(relay.groups()) == 1


def test_the_groups_of_an_import_are_limited(start_relay: StartRelay) -> None:
    """One by one and together."""
    relay: RelayProcess = start_relay(
        "--web.enable-admin-api", "--limit.groups=3", "--limit.body-bytes=4000"
    )
    three = b"".join(line(gauge(), job=job) for job in "abc")
    answer = relay.post(PATH, three + line(gauge(), job="d"), NDJSON)
    assert answer.status == 413
    assert "has 4 groups, and the limit is 3" in answer.text
    long = b"".join(
        line(*[gauge(f"n{n}") for n in range(30)], job=job + "x" * 300) for job in "ab"
    )
    answer = relay.post(PATH, long, NDJSON)
    assert answer.status == 413
    assert "would together take more than 16000 bytes" in answer.text
    assert relay.groups() == []
    assert send(relay, three) == nothing_else(3)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json"])
def test_what_a_foreign_web_page_may_send_unasked_is_refused(
    relay: HTTPClient, kind: str | None
) -> None:
    answer = relay.post(PATH, line(gauge()), {"Content-Type": kind} if kind else None)
    assert answer.status == 400
    assert "application/x-ndjson" in answer.text
    assert relay.groups() == []


def test_there_is_no_import_without_the_admin_api(start_relay: StartRelay) -> None:
    relay: RelayProcess = start_relay()
    assert relay.post(PATH, line(gauge()), NDJSON).status == 404


def test_imports_are_no_requests_of_a_pushgateway(relay: HTTPClient) -> None:
    send(relay, line(gauge()))
    page = relay.page()
    assert 'pushrelay_http_requests_total{code="200",handler="import"' in page
    assert 'pushgateway_http_requests_total{code="200",handler="import"' not in page


def test_an_import_survives_a_restart(start_relay: StartRelay) -> None:
    relay: RelayProcess = start_relay("--web.enable-admin-api")
    send(relay, line(gauge(), failed_at_ns=THEN + 1))
    before = relay.groups()
    relay.kill()
    relay.start()
    assert relay.groups() == before
