"""`/api/v1/jobs`: what jobs are like, and what is expected of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from compat.exposition_page import value
from relay_process import HTTPClient, RelayProcess
from run_http import (
    JSON,
    data_of,
    finish,
    job_of,
    jobs_of,
    new_id,
    problem_of,
    report,
    start,
)

DAY = 24 * 3600


def path_of(job: str, part: str = "") -> str:
    return f"/api/v1/jobs/{quote(job, safe='').replace('.', '%2E')}{part}"


def expect(relay: HTTPClient, job: str, **expectation: Any) -> Any:
    body = json.dumps(expectation)
    return data_of(relay.put(path_of(job, "/expectation"), body))


def summary_of(relay: HTTPClient, job: str) -> Any:
    """Return a job as lists have it, without its keys."""
    shown = job_of(relay, job)
    del shown["keys"]
    return shown


# --- what they are like ---


def test_a_job_is_shown_as_it_is(relay: HTTPClient) -> None:
    id_, end = new_id(), finish(outcome="failure", exit_code=3)
    report(relay, end, id_)
    report(relay, begun := start(labels={"instance": "i"}, ago=5))
    assert summary_of(relay, "nightly") == {
        "job": "nightly",
        "state": "running",
        "last_start": begun["started_at"],
        "last_run": {
            "id": id_,
            "outcome": "failure",
            "finished_at": pytest.approx(end["finished_at"]),
            "duration_seconds": 4,
            "exit_code": 3,
        },
        "last_success": None,
        "running": 1,
        "running_since": begun["started_at"],
        "abandoned": 0,
        "abandoned_since": None,
        "consecutive_failures": 1,
        "failing_since": pytest.approx(end["finished_at"]),
        "next_expected": None,
        "overdue": False,
        "missed_slots": 0,
        "paused_until": None,
        "expectation": None,
        "expectation_from": None,
        "instances": 2,
    }


def test_the_keys_of_a_job_are_shown_with_it(relay: HTTPClient) -> None:
    report(relay, finish(labels={"instance": "fine"}))
    report(relay, begun := start(labels={"instance": "at work"}, ago=5))
    id_, end = new_id(), finish("nightly", "failure", labels={"instance": "failed"})
    report(relay, end, id_)
    failed, at_work, fine = job_of(relay)["keys"]
    assert failed == {
        "labels": {"instance": "failed"},
        "overdue": False,
        "last_start": pytest.approx(end["started_at"]),
        "last_run": {
            "id": id_,
            "outcome": "failure",
            "finished_at": pytest.approx(end["finished_at"]),
            "duration_seconds": 4,
            "exit_code": None,
        },
        "consecutive_failures": 1,
        "failing_since": pytest.approx(end["finished_at"]),
        "running": 0,
        "running_since": None,
        "abandoned": 0,
        "abandoned_since": None,
    }
    assert (at_work["running"], at_work["last_run"]) == (1, None)
    assert at_work["running_since"] == begun["started_at"]
    assert fine["labels"] == {"instance": "fine"}
    [listed] = data_of(relay.get("/api/v1/jobs"))["jobs"]
    assert "keys" not in listed


def test_jobs_are_listed_by_name(relay: HTTPClient) -> None:
    for job in ("c", "a", "é", "b"):
        report(relay, finish(job))
    report(relay, finish("b", "failure", ago=5))
    expect(relay, "d", every="1h")
    relay.put("/metrics/job/pushed", "x 1\n")
    listed = data_of(relay.get("/api/v1/jobs"))
    assert (listed["matching"], listed["next"]) == (5, None)
    assert listed["jobs"] == [summary_of(relay, quote(job)) for job in "abcdé"]
    assert jobs_of(relay, "?state=failed") == ["b"]
    assert jobs_of(relay, "?state=never+ran") == ["d"]
    assert jobs_of(relay, "?state=paused") == []
    seen, query = [], "?limit=2"
    while True:
        page = data_of(relay.get("/api/v1/jobs" + query))
        seen += [job["job"] for job in page["jobs"]]
        assert page["matching"] == 5
        if page["next"] is None:
            break
        query = f"?limit=2&cursor={page['next']}"
    assert seen == list("abcdé")


def test_no_jobs_are_an_empty_list(relay: HTTPClient) -> None:
    data = data_of(relay.get("/api/v1/jobs"))
    assert data == {"matching": 0, "next": None, "jobs": []}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?state=bad", 'state is "bad"; write paused or overdue'),
        ("?limit=0", "write a whole number from 1 to 1000"),
        ("?cursor=~", "the cursor is none"),
        ("?match[]={}", 'unknown parameter "match[]"'),
    ],
)
def test_a_question_that_cannot_be_understood_is_refused(
    relay: HTTPClient, query: str, text: str
) -> None:
    response = relay.get("/api/v1/jobs" + query)
    assert response.status == 400
    assert text in response.text


@pytest.mark.parametrize("job", ["a/b", "a b", "é🦆", "..", "a//b", "x/pause"])
def test_any_name_has_a_path(relay: HTTPClient, job: str) -> None:
    report(relay, finish(job))
    assert data_of(relay.get(path_of(job)))["job"] == job
    assert data_of(relay.post(path_of(job, "/pause?until=1h")))["job"] == job
    assert data_of(relay.delete(path_of(job, "/pause")))["state"] == "ok"
    assert data_of(relay.delete(path_of(job)))["instances"] == 1
    assert jobs_of(relay) == []


def test_a_name_may_be_written_in_base64(relay: HTTPClient) -> None:
    report(relay, finish("a/b"))
    path = "/api/v1/jobs@base64/YS9i"
    assert data_of(relay.get(path))["job"] == "a/b"
    assert data_of(relay.post(path + "/pause?until=1h"))["state"] == "paused"
    for name, text in {
        "a": "illegal base64",
        "=": "name is required",
        "_w": "UTF-8",
    }.items():
        response = relay.delete("/api/v1/jobs@base64/" + name)
        assert response.status == 400
        assert text in response.text


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("GET", ""),
        ("DELETE", "/expectation"),
        ("POST", "/pause?until=1h"),
        ("DELETE", "/pause"),
    ],
)
def test_a_job_that_is_not_known_is_not_found(
    relay: HTTPClient, method: str, part: str
) -> None:
    relay.put("/metrics/job/pushed", "x 1\n")
    for job in ("pushed", "other"):
        response = relay.request(method, path_of(job, part), headers=JSON)
        assert response.status == 404
        problem = problem_of(response)
        assert problem["reason"] == "unknown_job"
        assert f'nothing is known of a job "{job}"' in problem["detail"]


# --- what is expected ---


def test_what_is_expected_is_said_and_taken_back(relay: HTTPClient) -> None:
    told = expect(relay, "a", schedule="0 3 * * *", tz="Mars", max_runtime="2h")
    [warning] = told.pop("warnings")
    assert warning.startswith('expectation.tz: "Mars" is not a time zone')
    assert told == summary_of(relay, "a")
    assert told["state"] == "never ran"
    assert told["expectation_from"] == "api"
    assert told["expectation"] == {
        "schedule": "0 3 * * *",
        "tz": "UTC",
        "grace": "5m",
        "max_runtime": "2h",
    }
    assert told["next_expected"] % DAY == 3 * 3600
    name = "pushrelay_job_next_expected_timestamp_seconds"
    assert value(relay.page(), name, job="a") == told["next_expected"]
    report(relay, start("a", expectation={"every": "1h"}))
    assert job_of(relay, "a")["expectation_from"] == "api"
    left = data_of(relay.delete(path_of("a", "/expectation")))
    assert left["expectation"] == {"every": "1h", "grace": "5m"}
    assert (left["expectation_from"], left["warnings"]) == ("report", [])


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (b"", "expectation", "is not JSON"),
        (b"[]", "expectation", "must be a JSON object"),
        (b"{}", "expectation", "says nothing; write"),
        (b'{"every": "1s", "schedule": "* * * * *"}', "expectation.every", "write one"),
        (b'{"shedule": "* * * * *"}', "expectation", "did you mean schedule?"),
    ],
)
def test_an_expectation_that_cannot_be_understood_is_refused(
    relay: HTTPClient, body: bytes, field: str, text: str
) -> None:
    response = relay.put(path_of("a", "/expectation"), body, JSON)
    assert response.status == 400
    problem = problem_of(response)
    assert problem["field"] == field
    assert text in problem["detail"]
    assert jobs_of(relay) == []


def test_parameters_that_would_mean_something_are_refused(relay: HTTPClient) -> None:
    expect(relay, "a", every="1h")
    for part in ("/expectation", "/pause"):
        response = relay.delete(path_of("a", f"{part}?dry_run=1"))
        assert response.status == 400
        assert 'unknown parameter "dry_run"' in response.text
    assert job_of(relay, "a")["expectation_from"] == "api"


def test_the_name_of_an_expected_job_is_limited(relay: HTTPClient) -> None:
    path = path_of("a" * 70_000, "/expectation")
    response = relay.put(path, '{"every": "1h"}', JSON)
    assert (response.status, problem_of(response)["limit"]) == (
        400,
        "label_value_bytes",
    )


# --- what is logged ---


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path) as relay:
        yield relay


def test_changes_are_logged(logged: RelayProcess) -> None:
    expect(logged, "a", every="1h")
    logged.post(path_of("a", "/pause?until=1h"))
    logged.delete(path_of("a"))
    logged.stop()
    lines = [line for line in logged.log.splitlines() if "web.noting" in line]
    assert all("client=127.0.0.1" in line and "job=a" in line for line in lines)
    told = ['change="{\\"every', 'change="pause until 20', "count=0"]
    assert [part in line for part, line in zip(told, lines, strict=True)] == [True] * 3
