"""What clients are told where the relay is full."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from relay_process import HTTPClient, RelayProcess, Response, StartRelay

from pushrelay.web.errors import FULL_RETRY_AFTER_SECONDS

RULES = """
[[jobs]]
match = 'job="runaway"'
[jobs.limits]
job_groups = 1
"""
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Accept": "application/json"}
RUN = f"/api/v1/runs/{uuid.UUID(int=7)}"


@pytest.fixture(scope="module")
def full(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> RelayProcess:
    """A relay with two groups, which are as many as it takes."""
    rules = tmp_path_factory.mktemp("rules") / "rules.toml"
    rules.write_text(RULES)
    relay = start_relay(
        "--limit.stored-groups=2",
        "--limit.run-output-bytes=7",
        "--web.enable-admin-api",
        f"--config.file={rules}",
    )
    for path in ("job/a", "job/runaway/instance/pod-1"):
        assert relay.put(f"/metrics/{path}", "x 1\n").status == 200
    return relay


def started(job: str, **more: Any) -> str:
    return json.dumps(
        {"job": job, "state": "started", "started_at": 1_795_000_000, **more}
    )


def number(relay: HTTPClient, series: str) -> float:
    """Return the value of a series of the relay's own; 0 if there is none."""
    found = re.search(rf"^{re.escape(series)} (.+)$", relay.page(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def assert_full(refused: Response, limit: str) -> None:
    assert refused.status == 429, refused.text
    assert refused.header("retry-after") == str(FULL_RETRY_AFTER_SECONDS)
    problem = json.loads(refused.body)
    assert problem["reason"] == "limit"
    assert problem["limit"] == limit


def test_a_push_beyond_a_limit_says_what_is_full_and_what_to_do(
    full: RelayProcess,
) -> None:
    refused = full.put("/metrics/job/b", "x 1\n")
    assert refused.status == 429
    assert refused.header("retry-after") == str(FULL_RETRY_AFTER_SECONDS)
    assert refused.text.rstrip() == (
        "the relay has 2 groups, and the limit is 2 (--limit.stored-groups), so that "
        "there is no room for 1 more: delete groups or retire jobs that are gone, let "
        "groups be forgotten (forget_after), or raise the limit"
    )
    pod = "/metrics/job/runaway/instance/pod-2"
    assert_full(full.put(pod, "x 1\n", JSON), "stored_groups")


def test_what_is_refused_is_counted_by_limit_and_by_job(full: RelayProcess) -> None:
    exceeded = 'pushrelay_limit_exceeded_total{limit="stored_groups"}'
    rejected = 'pushrelay_pushes_rejected_total{job="counted",reason="limit"}'
    before = number(full, exceeded)
    assert number(full, rejected) == 0
    for _ in range(2):
        assert full.post("/metrics/job/counted", "x 1\n").status == 429
    assert number(full, exceeded) == before + 2
    assert number(full, rejected) == 2
    assert number(full, 'pushrelay_limit{limit="stored_groups"}') == 2
    assert number(full, 'pushrelay_limit_used{limit="stored_groups"}') == 2


def test_a_body_of_many_groups_is_refused_as_a_whole(full: RelayProcess) -> None:
    body = 'x{job="a"} 5\nx{job="b"} 5\n'
    assert_full(full.put("/api/v1/groups?by=job", body, JSON), "stored_groups")
    assert 'x{instance="",job="a"} 1' in full.page()


def test_an_import_names_the_groups_that_there_is_no_room_for(
    full: RelayProcess,
) -> None:
    line = {"labels": {"job": "b"}, "failed_at_ns": 1_700_000_000 * 10**9}
    answer = full.post("/api/v1/admin/import", json.dumps(line) + "\n", NDJSON)
    (refused,) = json.loads(answer.body)["data"]["refused"]
    assert "--limit.stored-groups" in refused["reason"]


def test_a_job_that_runs_away_is_stopped_by_its_rule(full: RelayProcess) -> None:
    assert full.delete("/metrics/job/a").status == 202
    try:
        pod = "/metrics/job/runaway/instance/pod-2"
        refused = full.put(pod, "x 1\n")
        assert refused.status == 429
        assert 'the job "runaway" has 1 groups' in refused.text
        assert "job_groups of its job rule" in refused.text
        run = started("runaway", labels={"instance": "pod-1"})
        assert full.put(RUN, run).status == 200
        other = f"/api/v1/runs/{uuid.UUID(int=8)}"
        again = started("runaway", labels={"instance": "pod-2"})
        assert_full(full.put(other, again, JSON), "job_groups")
    finally:
        assert full.put("/metrics/job/a", "x 1\n").status == 200


def test_reports_of_runs_and_expectations_are_refused_alike(
    full: RelayProcess,
) -> None:
    for job in ("runs-1", "runs-2"):
        # With what the test before this one left, or without.
        full.post(f"/api/v1/ping?job={job}&status=start")
    ping = full.post("/api/v1/ping?job=runs-3&status=start", headers=JSON)
    assert_full(ping, "stored_groups")
    reported = full.put(f"/api/v1/runs/{uuid.uuid4()}", started("runs-3"), JSON)
    assert_full(reported, "stored_groups")
    for job in ("e-1", "e-2"):
        path = f"/api/v1/jobs/{job}/expectation"
        assert full.put(path, '{"every": "1h"}').status == 200
    path = "/api/v1/jobs/e-3/expectation"
    assert_full(full.put(path, '{"every": "1h"}', JSON), "stored_groups")
    assert 'job="runs-3",reason="limit"' in full.page()


def test_of_the_output_of_a_run_the_end_is_kept(full: RelayProcess) -> None:
    full.wipe()
    id_ = uuid.uuid4()
    finished = {
        "state": "finished",
        "finished_at": 1_795_000_001,
        "outcome": "success",
        "output_tail": {"stdout": "first\nlast line", "stderr": "éééé"},
    }
    run = json.loads(started("output")) | finished
    assert full.put(f"/api/v1/runs/{id_}", json.dumps(run)).status == 200
    kept = json.loads(full.get(f"/api/v1/runs/{id_}").body)["data"]["output_tail"]
    assert kept == {"stdout": "st line", "stderr": "ééé"}
    for path in ("job/a", "job/runaway/instance/pod-1"):
        assert full.put(f"/metrics/{path}", "x 1\n").status == 200
