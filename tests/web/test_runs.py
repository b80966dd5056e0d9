"""`PUT /api/v1/runs/{uuid}`, and what is told of runs."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from compat.exposition_page import value
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import (
    JSON,
    data_of,
    finish,
    job_of,
    new_id,
    problem_of,
    report,
    run_of,
    runs_of,
    send,
    start,
)

DAY = 24 * 3600
SOME_ID = "6f0c6a52-4a35-4c0e-9d8e-0d3c7b9a1f21"


# --- reports ---


def test_a_run_is_reported_at_its_start_and_its_end(relay: HTTPClient) -> None:
    id_ = new_id()
    begun = start(host="db1", labels={"instance": "i"}, attempt=2)
    told = {"id": id_, "replayed": False, "warnings": [], "metrics_problems": []}
    assert report(relay, begun, id_) == told
    page = relay.page()
    assert value(page, "pushrelay_job_running", job="nightly", instance="i") == 1
    assert run_of(relay, id_)["state"] == "started"
    end = {
        **begun,
        **{"state": "finished", "outcome": "failure", "exit_code": 3},
        "finished_at": begun["started_at"] + 2.5,
        "output_tail": {"stdout": "é\n", "stderr": None},
    }
    assert report(relay, end, id_) == told
    assert run_of(relay, id_) == {
        **end,
        "id": id_,
        "abandoned": False,
        "duration_seconds": 2.5,
        "signal": None,
        "usage": None,
        "trace_id": None,
        "expectation": None,
    }
    page = relay.page()
    labels = {"job": "nightly", "instance": "i"}
    assert value(page, "pushrelay_job_running", **labels) == 0
    assert value(page, "pushrelay_job_last_exit_code", **labels) == 3
    name = "pushrelay_job_runs_total"
    assert value(page, name, outcome="failure", **labels) == 1


def test_a_replay_changes_nothing(relay: HTTPClient) -> None:
    id_, end = new_id(), finish(metrics="# TYPE rows counter\nrows 5\n")
    assert report(relay, end, id_)["replayed"] is False
    page = relay.page()
    for document in (end, start(), end):
        assert report(relay, document, id_.upper())["replayed"] is True
    shown = [line for line in relay.page().splitlines() if 'job="nightly"' in line]
    assert shown == [line for line in page.splitlines() if 'job="nightly"' in line]


def test_a_start_that_comes_after_its_end_changes_nothing(relay: HTTPClient) -> None:
    id_, end = new_id(), finish()
    report(relay, end, id_)
    begun = {name: end[name] for name in ("job", "started_at")}
    assert report(relay, {**begun, "state": "started"}, id_)["replayed"] is True
    assert job_of(relay)["running"] == 0


def test_new_reports_from_a_spool_are_counted(start_relay: StartRelay) -> None:
    relay, counted = start_relay(), "pushrelay_spooled_runs_delivered_total"
    spooled = {"X-Pushrelay-Spooled": "true"}
    id_, begun, end = new_id(), start(), finish()
    assert value(relay.page(), counted) == 0
    for document in (begun, begun, end, end):
        data_of(send(relay, document, id_, spooled))
    assert value(relay.page(), counted) == 2
    assert send(relay, start(nope=1), headers=spooled).status == 400
    for others in (None, {"X-Pushrelay-Spooled": "false"}):
        data_of(send(relay, finish(), headers=others))
    assert value(relay.page(), counted) == 2


def test_a_compressed_document_is_taken(relay: HTTPClient) -> None:
    body = gzip.compress(json.dumps(finish()).encode())
    data_of(send(relay, body, headers={"Content-Encoding": "gzip"}))
    assert job_of(relay)["last_run"]["outcome"] == "success"


def test_warnings_are_told(relay: HTTPClient) -> None:
    told = report(relay, start(expectation={"schedule": "0 3 * * *", "tz": "Mars"}))
    [warning] = told["warnings"]
    assert warning.startswith('expectation.tz: "Mars" is not a time zone known here')


@pytest.mark.parametrize(
    ("document", "field", "text"),
    [
        (b"", None, "run: is not JSON"),
        (b"[]", None, "run: must be a JSON object"),
        (start(nope=1), None, 'run: there is no field "nope"'),
        ({"state": "started", "started_at": 1}, "job", "job: is missing"),
        (start(labels={"a-b": "x"}), "labels.a-b", "labels.a-b: is no label name"),
        (start(id=new_id()), "id", "leave it out"),
        (
            start(expectation={"every": 5}),
            "expectation.every",
            'expectation.every: must be text such as "1h30m"',
        ),
        (start(expectation={}), "expectation", "expectation: says nothing"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_document_that_cannot_be_understood_is_refused(
    relay: HTTPClient, document: object, field: str | None, text: str
) -> None:
    id_ = new_id()
    response = send(relay, document, id_, JSON)
    assert response.status == 400
    problem = problem_of(response)
    assert problem.get("field") == field
    assert text in problem["detail"]
    assert send(relay, document, id_).text == problem["detail"] + "\n"
    assert relay.get(f"/api/v1/runs/{id_}").status == 404


@pytest.mark.parametrize("id_", ["1", "x" * 36, f"{{{SOME_ID}}}", f"{SOME_ID}/"])
def test_the_id_of_a_run_is_a_uuid(relay: HTTPClient, id_: str) -> None:
    for method in ("PUT", "GET"):
        response = relay.request(method, f"/api/v1/runs/{id_}", "{}", JSON)
        assert response.status == 400
        problem = problem_of(response)
        assert (problem["reason"], problem["field"]) == ("invalid_run", "id")
        assert "in the path is no UUID; give each run a new one" in problem["detail"]


def test_an_id_belongs_to_one_run(relay: HTTPClient) -> None:
    id_, end = new_id(), finish()
    report(relay, end, id_)
    for other in ({**end, "outcome": "failure"}, {**end, "labels": {"a": "b"}}):
        response = send(relay, other, id_, JSON)
        assert response.status == 409
        problem = problem_of(response)
        assert problem["reason"] == "run_conflict"
        assert "give each run" in problem["detail"]
    assert run_of(relay, id_)["outcome"] == "success"


def test_a_report_that_might_count_twice_is_refused(relay: HTTPClient) -> None:
    for document in (finish(ago=31 * DAY), start(ago=31 * DAY)):
        response = send(relay, document, None, JSON)
        assert response.status == 410
        assert problem_of(response)["reason"] == "run_too_old"
    report(relay, finish(ago=31 * DAY, seconds=2 * DAY))


def test_reports_are_limited(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.body-bytes=1000", "--limit.labels=2")
    response = send(relay, finish(host="x" * 1000), None, JSON)
    assert (response.status, problem_of(response)["limit"]) == (413, "body_bytes")
    small = gzip.compress(b" " * 2000)
    response = send(relay, small, None, {"Content-Encoding": "gzip", **JSON})
    assert (response.status, problem_of(response)["limit"]) == (413, "body_bytes")
    response = send(relay, start(labels={"a": "x", "b": "x"}), None, JSON)
    assert (response.status, problem_of(response)["limit"]) == (400, "labels")


def test_refused_reports_are_counted(start_relay: StartRelay) -> None:
    relay, id_ = start_relay(), new_id()
    report(relay, finish(), id_)
    send(relay, {})
    send(relay, finish(outcome="failure"), id_)
    send(relay, start(ago=31 * DAY))
    relay.post("/api/v1/ping")
    name, page = "pushrelay_pushes_rejected_total", relay.page()
    assert value(page, name, reason="invalid_run") == 2
    assert value(page, name, job="nightly", reason="run_conflict") == 1
    assert value(page, name, job="nightly", reason="run_too_old") == 1


def test_refused_reports_are_counted_and_logged_with_their_job(
    start_relay: StartRelay,
) -> None:
    relay = start_relay()
    send(relay, start("no\nlight", attempt=0))
    relay.post("/api/v1/ping", "job=beep&stauts=start\r")
    relay.post("/api/v1/ping", "job=beep&status=start&every=1")
    relay.post("/api/v1/ping", f"job={'x' * 3000}&status=now")
    relay.post("/api/v1/ping?dry_run=1", "{}", {"Content-Type": "application/json"})
    name, page = "pushrelay_pushes_rejected_total", relay.page()
    assert value(page, name, job="no\nlight", reason="invalid_run") == 1
    assert value(page, name, job="beep", reason="invalid_run") == 2
    assert f'{name}{{reason="invalid_run"}} 1\n' in page
    told = [line for line in relay.log.splitlines() if "report of a run" in line]
    assert [" level=warn " in line for line in told] == [True] * 5
    assert 'job="no\\nlight"' in told[0]
    assert "attempt: must be a whole number" in told[0]
    assert told[1].endswith(" job=beep")
    assert told[3].endswith(f" job={'x' * 2000}")
    assert told[4].endswith('x-www-form-urlencoded`"')


# --- lists ---


def test_runs_are_listed_newest_first_without_their_output(relay: HTTPClient) -> None:
    ids = [new_id() for _ in range(4)]
    report(relay, finish("a", output_tail={"stdout": "x", "stderr": ""}), ids[0])
    report(relay, finish("b", "failure", ago=3600), ids[1])
    report(relay, start("a", ago=5), ids[2])
    limited = {"max_runtime": "1h"}
    report(relay, start("d", ago=7200, expectation=limited), ids[3])
    listed = runs_of(relay)
    assert listed["next"] is None
    assert [run["id"] for run in listed["runs"]] == [ids[2], ids[0], ids[1], ids[3]]
    assert [run["abandoned"] for run in listed["runs"]] == [False] * 3 + [True]
    assert run_of(relay, ids[3])["abandoned"] is True
    whole = run_of(relay, ids[0])
    assert whole.pop("output_tail") == {"stdout": "x", "stderr": ""}
    assert listed["runs"][1] == whole
    now = time.time()
    for query, found in {
        "?job=a": [2, 0],
        "?job=c": [],
        "?state=running": [2],
        "?state=abandoned": [3],
        "?job=a&state=abandoned": [],
        "?state=failure": [1],
        "?job=a&state=success": [0],
        "?since=30m": [2, 0],
        "?until=30m": [1, 3],
        f"?since={now - 3700:.3f}&until={now - 3500:.0f}": [1],
        "?since=2020-01-01T00:00:00%2B01:00": [2, 0, 1, 3],
        "?until=2020-01-01T00:00:00.5Z": [],
        f"?id={ids[1]}": [1],
        f"?id={ids[3][:30].upper()}": [3],
        f"?id={ids[2][:9]}&job=a": [2],
        f"?id={ids[2][:9]}&state=running": [2],
        f"?id={ids[2][:9]}&job=d": [],
    }.items():
        runs = runs_of(relay, query)["runs"]
        assert [ids.index(run["id"]) for run in runs] == found, query


def test_pages_follow_each_other(relay: HTTPClient) -> None:
    ids = [new_id() for _ in range(5)]
    begun = start()
    for id_ in ids:
        # At the same moment: then the ids say which comes first.
        report(relay, begun, id_)
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = runs_of(relay, query)
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        query = f"?limit=2&cursor={page['next']}"
    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?state=ok", 'state is "ok"; write running or abandoned or success'),
        ("?since=soon", 'since is "soon"; write Unix seconds, RFC 3339 such as'),
        ("?since=2026-11-25", "or 7d for seven days ago"),
        ("?limit=1001", "write a whole number from 1 to 1000"),
        ("?cursor=x", "the cursor is none that a page gave"),
        ("?cursor=AAAA", "the cursor is none that a page gave"),
        ("?id=abc", 'id is "abc"; write how the UUID of a run begins, 4 digits'),
        ("?id=0190b5a47e12", "4 digits of it or more, as in 0190b5a4-7e"),
        ("?id=0190-", "with their dashes"),
        ("?name=x", 'unknown parameter "name"'),
        ("?job=a&job=b", "job is given more than once"),
    ],
)
def test_a_question_that_cannot_be_understood_is_refused(
    relay: HTTPClient, query: str, text: str
) -> None:
    response = relay.get("/api/v1/runs" + query)
    assert response.status == 400
    assert text in response.text


def test_a_run_that_is_not_known_is_not_found(relay: HTTPClient) -> None:
    id_ = new_id()
    response = relay.get(f"/api/v1/runs/{id_}", JSON)
    assert response.status == 404
    problem = problem_of(response)
    assert problem["reason"] == "not_found"
    assert f"no run {id_} is known" in problem["detail"]


def test_pages_of_other_origins_may_look_at_runs(relay: HTTPClient) -> None:
    report(relay, start(), id_ := new_id())
    for path in ("/runs", f"/runs/{id_}", "/jobs", "/jobs/nightly"):
        response = relay.get("/api/v1" + path)
        assert response.header("Access-Control-Allow-Origin") == "*"
        assert response.header("Access-Control-Allow-Methods") == "GET, OPTIONS"
        options = relay.request("OPTIONS", "/api/v1" + path)
        assert options.header("Access-Control-Allow-Methods") == "GET, OPTIONS"
        assert relay.request("HEAD", "/api/v1" + path).status == 405
    response = send(relay, start())
    assert response.header("Access-Control-Allow-Origin") is None


# --- what stays ---


def test_runs_outlive_a_restart_elsewhere(tmp_path: Path) -> None:
    id_, end = new_id(), finish()
    with RelayProcess(tmp_path) as before:
        report(before, end, id_)
        page = before.page()
    with RelayProcess(tmp_path) as after:
        assert after.port != before.port
        assert report(after, end, id_)["replayed"] is True
        lines = [line for line in page.splitlines() if "pushrelay_job_" in line]
        assert any('{instance="",job="nightly"}' in line for line in lines)
        found = after.page().splitlines()
        assert [line for line in found if "pushrelay_job_" in line] == lines


def test_a_wipe_leaves_nothing_of_runs(relay: HTTPClient) -> None:
    report(relay, finish(metrics="x 1\n", expectation={"every": "1h"}), id_ := new_id())
    relay.wipe()
    assert runs_of(relay)["runs"] == []
    assert relay.get(f"/api/v1/runs/{id_}").status == 404
    assert relay.get("/api/v1/jobs/nightly").status == 404
    shown = [line for line in relay.page().splitlines() if 'job="nightly"' in line]
    assert all(line.startswith("pushrelay_pushes_rejected_total") for line in shown)
