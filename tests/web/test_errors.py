"""Errors as problem documents (RFC 9457), for clients that ask for JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from relay_process import HTTPClient, RelayProcess, Response, StartRelay

from pushrelay.errors import (
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ParseError,
    PushrelayError,
    RunConflict,
    RunTooOld,
    StoreUnavailable,
    UnknownJob,
)
from pushrelay.web.errors import RequestTimeout, problem_of

JSON = {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (
            ParseError(3, "no"),
            {
                "type": "urn:pushrelay:problem:invalid_body",
                "title": "Invalid body",
                "status": 400,
                "detail": "text format parsing error in line 3: no",
                "reason": "invalid_body",
                "line": 3,
            },
        ),
        (
            LimitExceeded("series", "too many"),
            {
                "type": "urn:pushrelay:problem:limit",
                "title": "Limit",
                "status": 413,
                "detail": "too many",
                "reason": "limit",
                "limit": "series",
            },
        ),
        (
            StoreUnavailable("it is away"),
            {
                "type": "urn:pushrelay:problem:store_unavailable",
                "title": "Store unavailable",
                "status": 503,
                "detail": "it is away",
                "reason": "store_unavailable",
            },
        ),
        (
            Overloaded("requests", "too many at once"),
            {
                "type": "urn:pushrelay:problem:overloaded",
                "title": "Overloaded",
                "status": 503,
                "detail": "too many at once",
                "reason": "overloaded",
                "limit": "requests",
            },
        ),
        (
            # The reason of this one is a sentence of the codec.
            UnicodeDecodeError("utf-8", b"secret", 0, 1, "a secret"),
            {
                "type": "urn:pushrelay:problem:internal",
                "title": "Internal",
                "status": 500,
                "detail": "internal error",
                "reason": "internal",
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_a_document(error: Exception, problem: dict[str, Any]) -> None:
    assert problem_of(error) == problem


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("a"), 400),
        (LimitExceeded("labels", "a"), 400),
        (UnknownJob("a"), 404),
        (RequestTimeout("idle_seconds", "a"), 408),
        (RunConflict("a"), 409),
        (RunTooOld("a"), 410),
        (LimitExceeded("body_bytes", "a"), 413),
        (LimitExceeded("target_bytes", "a"), 414),
        (PushrelayError("a"), 500),
    ],
    ids=lambda value: getattr(value, "limit", type(value).__name__),
)
def test_the_document_has_the_status_of_the_answer(
    error: Exception, status: int
) -> None:
    assert problem_of(error)["status"] == status


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    return start_relay(
        "--limit.target-bytes=200",
        "--limit.body-bytes=100000",
        "--limit.idle-seconds=0.3",
        "--web.enable-admin-api",
    )


def document(response: Response) -> dict[str, Any]:
    """Return the problem document that `response` must be."""
    assert response.header("Content-Type") == "application/problem+json"
    found: dict[str, Any] = json.loads(response.body)
    assert found["status"] == response.status
    assert found["type"] == f"urn:pushrelay:problem:{found['reason']}"
    assert not found["detail"].endswith("\n")
    return found


REFUSALS = {
    # method, target, body, headers, then status, reason, plain text
    "a path that names no group": (
        *("PUT", "/metrics/job/x/odd", "", {}),
        *(400, "invalid_grouping_key"),
        'odd number of components in label string "/odd"\n',
    ),
    "a body that cannot be read": (
        *("PUT", "/metrics/job/x", "x\n", {}),
        *(400, "invalid_body"),
        'text format parsing error in line 1: expected float as value, got ""\n',
    ),
    "an encoding that is not what it says": (
        *("GET", "/-/healthy", "x", {"Content-Encoding": "gzip"}),
        *(400, "invalid_request"),
        "unexpected EOF\n",
    ),
    "a wrong host": (
        *("GET", "/-/healthy", None, {"Host": "a b"}),
        *(400, "invalid_request"),
        "malformed Host header\n",
    ),
    "an unknown path": (
        *("GET", "/nope", None, {}),
        *(404, "not_found"),
        "404 page not found\n",
    ),
    "a wrong method": (
        *("POST", "/metrics", "", {}),
        *(405, "method_not_allowed"),
        "Method Not Allowed\n",
    ),
    "a wrong method for the end": (
        *("GET", "/-/quit", None, {}),
        *(405, "method_not_allowed"),
        "Only POST or PUT requests allowed.",
    ),
    "an end that is not enabled": (
        *("PUT", "/-/quit", "", {}),
        *(403, "forbidden"),
        "Lifecycle API is not enabled.",
    ),
    "a body that is too large": (
        *("PUT", "/metrics/job/x", "x" * 100_001, {}),
        *(413, "limit"),
        "the request's body is larger than the limit of 100000 bytes\n",
    ),
    "a target that is too long": (
        *("PUT", "/metrics/job/" + "x" * 200, "", {}),
        *(414, "limit"),
        "the request target is longer than the limit of 200 bytes\n",
    ),
    "an expectation": (
        *("PUT", "/metrics/job/x", "", {"Expect": "200-ok"}),
        *(417, "expectation_failed"),
        "",
    ),
    "a body that does not come": (
        *("PUT", "/metrics/job/x", None, {"Content-Length": "5"}),
        *(408, "timeout"),
        "the request's body did not come in time: no byte for 0.3 s, or not all of it "
        "within 300 s\n",
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=list(REFUSALS))
def test_every_refusal_is_a_document_for_who_asks_and_else_as_it_was(
    relay: RelayProcess, case: tuple[Any, ...]
) -> None:
    method, target, body, headers, status, reason, plain = case
    usual = relay.request(method, target, body, headers)
    assert (usual.status, usual.text) == (status, plain)
    assert usual.header("Content-Type") != "application/problem+json"
    asked = relay.request(method, target, body, {**headers, **JSON})
    found = document(asked)
    assert (asked.status, found["reason"]) == (status, reason)
    if plain:
        assert found["detail"] == plain.removesuffix("\n")
    kept = {"Allow", "Connection", "Retry-After"}
    assert [h for h in usual.headers if h[0] in kept] == [
        h for h in asked.headers if h[0] in kept
    ]


def test_without_json_before_text_the_answer_is_text(relay: RelayProcess) -> None:
    for accept in ("*/*", "text/plain, application/json", "application/json;q=0"):
        response = relay.put("/metrics/job/x", "x\n", {"Accept": accept})
        assert response.header("Content-Type") == "text/plain; charset=utf-8"


def test_a_head_request_gets_no_document(relay: RelayProcess) -> None:
    response = relay.request("HEAD", "/metrics", headers=JSON)
    assert (response.status, response.body) == (405, b"")
    assert response.header("Content-Type") == "application/problem+json"


def test_a_refused_push_tells_each_problem_with_its_line(relay: RelayProcess) -> None:
    relay.wipe()
    assert relay.put("/metrics/job/a", "# TYPE y gauge\ny 1\n").status == 200
    body = "# TYPE y counter\ny 1\n\nx 1\n"
    found = document(relay.put("/metrics/job/b", body, JSON))
    assert found["detail"] == relay.put("/metrics/job/b", body).text.removesuffix("\n")
    assert found["problems"] == [
        {
            "reason": "type",
            "detail": 'collected metric "y" {instance="", job="b"} is not a GAUGE: it '
            'is pushed as COUNTER, but group {job="a"} holds the family as GAUGE',
            "family": "y",
            "line": 1,
            "group": '{job="b"}',
            "other_group": '{job="a"}',
            "type": "COUNTER",
            "other_type": "GAUGE",
        }
    ]


@pytest.mark.parametrize("padding", [0, 50_000], ids=["small", "large"])
def test_a_repeated_series_is_told_with_both_lines(
    relay: RelayProcess, padding: int
) -> None:
    body = f"# {'x' * padding}\nx 1\ny 1\nx 2\n"
    (problem,) = document(relay.put("/metrics/job/b", body, JSON))["problems"]
    assert (problem["first_line"], problem["line"]) == (2, 4)
    assert problem["series"] == 'x{instance="",job="b"}'


def test_a_refused_protobuf_push_has_problems_without_lines(
    relay: RelayProcess,
) -> None:
    # x{l="\xff"} as an untyped metric
    label = b"\x0a\x06\x0a\x01l\x12\x01\xff"
    metric = label + b"\x2a\x09\x09" + bytes(8)
    message = b"\x0a\x01x\x18\x03\x22" + bytes([len(metric)]) + metric
    headers = {
        "Content-Type": "application/vnd.google.protobuf; encoding=delimited; "
        "proto=io.prometheus.client.MetricFamily",
        **JSON,
    }
    body = bytes([len(message)]) + message
    (problem,) = document(relay.put("/metrics/job/b", body, headers))["problems"]
    assert problem["reason"] == "label"
    assert problem["series"] == 'x{instance="",job="b",l="\\udcff"}'
    assert "line" not in problem


def test_rejections_are_counted_for_the_job_of_the_path(relay: HTTPClient) -> None:
    relay.put("/metrics/job/counted/l/1", "x\n")
    relay.put("/metrics/job@base64/Y291bnRlZA", "x\n")
    relay.put("/metrics/job/counted/odd", "x 1\n")
    relay.delete("/metrics/job/counted/odd")
    page = relay.page()
    name = "pushrelay_pushes_rejected_total"
    assert f'{name}{{job="counted",reason="invalid_body"}} 2\n' in page
    assert f'{name}{{job="counted",reason="invalid_grouping_key"}}' not in page
    assert f'{name}{{reason="invalid_grouping_key"}} ' in page


def test_every_limit_that_is_hit_is_counted(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "x" * 100_001)
    relay.put("/metrics/job/" + "x" * 200)
    relay.request("PUT", "/metrics/job/x", headers={"Content-Length": "5"})
    relay.put("/metrics/job/x", "x{" + "".join(f'l{n}="",' for n in range(999)) + "} 1")
    page = relay.page()
    for limit in ("body_bytes", "target_bytes", "idle_seconds", "labels"):
        assert f'pushrelay_limit_exceeded_total{{limit="{limit}"}} ' in page
