"""`/api/v1/jobs`: what jobs are like, what is expected of them, and their end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from compat.exposition_page import value
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import (
    JSON,
    data_of,
    finish,
    job_of,
    jobs_of,
    new_id,
    problem_of,
    report,
    runs_of,
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


# --- pauses ---


def test_a_job_is_paused_and_resumed(relay: HTTPClient) -> None:
    report(relay, finish("a", ago=2 * DAY, expectation={"every": "1h"}))
    assert job_of(relay, "a")["state"] == "overdue"
    now = time.time()
    paused = data_of(relay.post(path_of("a", "/pause?until=2h")))
    assert (paused["state"], paused["overdue"]) == ("paused", False)
    assert paused["paused_until"] == pytest.approx(now + 7200, abs=5)
    assert value(relay.page(), "pushrelay_job_overdue", job="a") == 0
    resumed = data_of(relay.delete(path_of("a", "/pause")))
    # What was missed during the pause is not missed.
    assert (resumed["state"], resumed["paused_until"]) == ("ok", None)
    assert resumed["next_expected"] > now
    again = data_of(relay.delete(path_of("a", "/pause")))
    assert again["next_expected"] == resumed["next_expected"]


def test_the_end_of_a_pause_is_written_in_several_ways(relay: HTTPClient) -> None:
    report(relay, finish("a"))
    path = path_of("a", "/pause")
    until = int(time.time()) + DAY
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    assert data_of(relay.post(f"{path}?until={until}.5"))["paused_until"] == until + 0.5
    assert data_of(relay.post(path, f"until={day}"))["paused_until"] == until
    day = day.replace("Z", "+00:00")
    assert data_of(relay.post(f"{path}?until={day}"))["paused_until"] == until


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "say until when the job is paused, such as until=2h"),
        ("?until=soon", 'until is "soon"; write Unix seconds'),
        ("?until=0", "is in the past; to end a pause, use DELETE"),
        ("?until=2020-01-01T00:00:00Z", "is in the past"),
        ("?until=11y", "can be paused for 10y at most"),
        ("?until=1h&for=x", 'unknown parameter "for"'),
    ],
)
def test_a_pause_that_cannot_be_understood_is_refused(
    relay: HTTPClient, query: str, text: str
) -> None:
    report(relay, finish("a"))
    response = relay.post(path_of("a", f"/pause{query}"))
    assert response.status == 400
    assert text in response.text
    assert job_of(relay, "a")["state"] == "ok"


# --- their end ---


def test_a_job_that_a_rule_names_is_retired_until_the_rules_are_read_again(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[jobs]]\nmatch = 'job=\"a\"'\nevery = '1h'\n")
    relay = start_relay(f"--config.file={rules}")
    data = data_of(relay.delete(path_of("a")))
    assert (data["known"], data["named_by_rule"]) == (True, True)


def test_a_job_whose_pushes_are_remembered_is_known(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rule = "match = 'job=\"a\"'\nstale_after = '1ms'\non_stale = 'forget'\n"
    rules.write_text(f"[[jobs]]\n{rule}")
    relay = start_relay(f"--config.file={rules}")
    relay.put("/metrics/job/a", "x 1\n")
    time.sleep(0.1)
    data = data_of(relay.delete(path_of("a")))
    assert (data["count"], data["known"]) == (0, True)
    assert data_of(relay.delete(path_of("a")))["known"] is False


def test_a_job_of_which_there_are_only_runs_is_retired(relay: HTTPClient) -> None:
    report(relay, finish("a"))
    report(relay, finish("a", labels={"instance": "i"}))
    expect(relay, "b", every="1h")
    report(relay, finish("c"))
    meant = {"count": 0, "groups": []}
    told = {"job": "a", "known": True, "instances": 2, "expected": False, **meant}
    told["named_by_rule"] = False
    for dry_run in (True, False):
        data = data_of(relay.delete(path_of("a", f"?dry_run={int(dry_run)}")))
        assert data == {"dry_run": dry_run, **told}
        assert jobs_of(relay) == (["a", "b", "c"] if dry_run else ["b", "c"])
    data = data_of(relay.delete(path_of("b")))
    assert (data["instances"], data["expected"]) == (0, True)
    assert data_of(relay.delete(path_of("b")))["known"] is False
    assert jobs_of(relay) == ["c"]
    assert [run["job"] for run in runs_of(relay)["runs"]] == ["c"]
    # What was refused of a job is still counted.
    lines = [line for line in relay.page().splitlines() if "_rejected_" not in line]
    assert not [job for job in "ab" if f'job="{job}"' in "\n".join(lines)]


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
