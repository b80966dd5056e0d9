"""Answers are as the OpenAPI document describes them, whatever groups, runs and jobs
are like."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compat.metric_messages import HEADERS, NATIVE
from guarded import guarded
from in_process import InProcessRelay
from openapi_use import OPERATIONS, check
from relay_process import Response
from relay_use import SECOND, Clock, on_loop
from run_http import JSON, new_id

from pushrelay.config import Freshness
from pushrelay.group_list import State as GroupState
from pushrelay.policies import Policies
from pushrelay.rights import Right
from pushrelay.run_states import State as JobState
from pushrelay.store.run_list import STATES

HOUR = 3600
TEXT = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total 3
# TYPE size gauge
size{a="b"} -Inf
free 1
# TYPE t summary
t{quantile="0.5"} 1
t_sum 4
t_count 2
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 4
h_count 2
"""
USAGE = {
    "user_seconds": 1.5,
    "max_rss_bytes": 2**40,
}


def ask(
    relay: InProcessRelay,
    name: str,
    query: str = "",
    body: Any = None,
    headers: dict[str, str] | None = None,
    **places: str,
) -> Any:
    """Return what is answered, which must be as the document says."""
    return check(OPERATIONS[name], send(relay, name, query, body, headers, **places))


def send(
    relay: InProcessRelay,
    name: str,
    query: str,
    body: Any,
    headers: dict[str, str] | None,
    **places: str,
) -> Response:
    operation = OPERATIONS[name]
    target = operation.target(**places) + (f"?{query}" if query else "")
    return relay.request(operation.method, target, body, headers)


def data(relay: InProcessRelay, name: str, query: str = "", **places: str) -> Any:
    return ask(relay, name, query, **places)["data"]


def paged(relay: InProcessRelay, name: str, query: str = "") -> list[Any]:
    """Return the entries of all pages, one a page."""
    member = name.rpartition("/")[2]
    entries, cursor = [], ""
    while cursor is not None:
        page = data(relay, name, f"{query}&limit=1{cursor and '&cursor='}{cursor}")
        entries += page[member]
        cursor = page["next"]
    return entries


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> Iterator[InProcessRelay]:
    """A relay with groups, runs and jobs of all kinds."""
    policies = Policies(Freshness(stale_after=4 * HOUR * SECOND))
    directory = tmp_path_factory.mktemp("relay")
    with InProcessRelay(directory, clock, policies) as relay:
        push_all(relay)
        report_all(relay, clock)
        yield relay


def push_all(relay: InProcessRelay) -> None:
    """Push groups of which each kind of family is in one, and refuse some."""
    assert relay.put("/metrics/job/text/instance/i", TEXT).status == 200
    assert relay.put("/metrics/job/native", NATIVE, HEADERS).status == 200
    assert relay.put("/metrics/job@base64/YS8uLg", "").status == 200
    assert relay.put("/metrics/job/refused", "x 1 1\n").status == 400
    assert relay.put("/metrics/job/text/instance/i", "x 1 1\n").status == 400


def report_all(relay: InProcessRelay, clock: Clock) -> None:
    """Report runs with every outcome and of jobs in every state."""

    def tell(name: str, query: str = "", body: Any = None, **places: str) -> None:
        response = send(relay, name, query, body, JSON, **places)
        assert response.status == 200, response.text
        check(OPERATIONS[name], response)

    def report(job: str, **fields: Any) -> None:
        began = clock.now / SECOND
        document = {"job": job, "state": "started", "started_at": began, **fields}
        if "outcome" in fields:
            document |= {"state": "finished", "finished_at": began + 1.25}
        tell("PUT /runs/{id}", body=json.dumps(document), id=new_id())

    report("ok", outcome="success", usage=USAGE, exit_code=0, labels={"instance": "i"})
    report("ok", outcome="skipped", trace_id="A" * 32, host="db1", attempt=2)
    report("failed", outcome="success", output_tail={"stdout": "x\0", "stderr": None})
    report("failed", outcome="timeout", labels={"instance": "i"})
    report("failed", outcome="failure", exit_code=-1, metrics="rows 1 1\n")
    report("failed", outcome="signal", signal=9, duration_seconds=0, metrics="rows 1\n")
    report("abandoned", expectation={"max_runtime": "10m", "min_interval": "1m"})
    tell("POST /ping", "job=overdue&exit_code=0&every=1h")
    tell("POST /ping", "job=overdue&status=start&every=1h")
    query = "job=warned&status=fail&schedule=0+3+*+*+*&tz=Mars&label.zone=a"
    tell("POST /ping", query)
    for job in ("never", "paused", "a/pause"):
        place = job.replace("/", "%2F")
        body = json.dumps({"on_calendar": "*-*-* 03:00", "tz": "Europe/Berlin"})
        tell("PUT /jobs/{job}/expectation", body=body, job=place)
    tell("POST /jobs/{job}/pause", "until=7d", job="paused")
    clock.go(3 * HOUR)
    report("running")


def test_groups_of_all_kinds_are_listed(full: InProcessRelay, clock: Clock) -> None:
    listed = paged(full, "GET /groups")
    assert len(listed) > 4
    assert any(not group["last_push_successful"] for group in listed)
    assert paged(full, "GET /groups", "sort=-pushed") != listed
    clock.go(2 * HOUR)
    assert full.put("/metrics/job/late", "x 1\n").status == 200
    states = {group["state"] for group in paged(full, "GET /groups")}
    assert states == {state.value for state in GroupState}


def test_families_of_all_kinds_are_shown(full: InProcessRelay) -> None:
    groups = data(full, "GET /metrics")
    native = [group["native"] for group in groups if "native" in group]
    assert isinstance(native[0]["metrics"][0]["buckets"], list)
    assert len(groups) == len(paged(full, "GET /groups"))


def test_runs_of_all_kinds_are_listed_and_shown(full: InProcessRelay) -> None:
    found = {state for state in STATES if paged(full, "GET /runs", f"state={state}")}
    assert found == set(STATES)
    for run in paged(full, "GET /runs"):
        shown = data(full, "GET /runs/{id}", id=run["id"])
        assert shown.items() >= run.items()
        assert "output_tail" in shown


def test_jobs_of_all_kinds_are_listed_and_shown(full: InProcessRelay) -> None:
    jobs = paged(full, "GET /jobs")
    assert {job["state"] for job in jobs} == {state.value for state in JobState}
    for job in jobs:
        name = base64.urlsafe_b64encode(job["job"].encode()).decode()
        shown = data(full, "GET /jobs@base64/{job}", job=name)
        assert shown.items() >= job.items()


def test_changes_of_jobs_are_answered(full: InProcessRelay) -> None:
    expected = json.dumps({"schedule": "0 3 * * *", "tz": "Mars"})
    changed = ask(full, "PUT /jobs/{job}/expectation", body=expected, job="changed")
    assert changed["data"]["warnings"]
    for name in ("POST /jobs/{job}/pause", "DELETE /jobs/{job}/pause"):
        query = "until=1h" if name.startswith("POST") else ""
        assert data(full, name, query, job="changed")["expectation_from"] == "api"
    assert data(full, "DELETE /jobs/{job}/expectation", job="changed")["job"]
    for query in ("dry_run=1", ""):
        assert data(full, "DELETE /jobs/{job}", query, job="changed")["known"] is False


def test_deletions_and_pushes_of_many_are_answered(full: InProcessRelay) -> None:
    body = 'many{job="m",instance="1"} 1\nmany{job="m",instance="2"} 1\n'
    pushed = ask(full, "PUT /groups", "by=job,instance", body)
    assert pushed == {"status": "success", "data": {"groups": 2}}
    ask(full, "POST /groups", "by=job,instance&mode=add&dry_run=1", body)
    selector = "match[]=%7Bjob%3D%22m%22%7D"
    for query in (f"{selector}&dry_run=1", selector):
        assert data(full, "DELETE /groups", query)["count"] == 2


def test_imports_are_answered(full: InProcessRelay, clock: Clock) -> None:
    kind = {"Content-Type": "application/x-ndjson"}
    labels = [{"job": "text", "instance": "i"}, {"job": "new"}, {"job": "a", "__x": ""}]
    lines = [json.dumps({"labels": each, "pushed_at_ns": 1}) for each in labels]
    body = "\n".join(lines)
    answered = ask(full, "POST /admin/import", "dry_run=1", body, kind)["data"]
    assert answered["skipped"]
    assert answered["refused"]
    assert answered["imported"] == 1


REFUSED: list[tuple[str, str, Any, dict[str, str]]] = [
    ("GET /groups", "limit=0", None, {}),
    ("GET /groups", "match[]=x", None, {}),
    ("GET /groups", "cursor=x", None, {}),
    ("GET /runs", "since=x", None, {}),
    ("GET /runs/{id}", "", None, {"id": new_id()}),
    ("GET /jobs/{job}", "", None, {"job": "unknown"}),
    ("DELETE /groups", "", None, {}),
    ("PUT /groups", "by=job", "x{", {}),
    ("PUT /groups", "by=job", 'x{job="a"} 1 1\n', {}),
    ("PUT /groups", "by=job", '# TYPE x gauge\nx{job="a"} 1\nx{job="a"} 1\n', {}),
    ("PUT /groups", "by=job", '# TYPE size counter\nsize{job="a"} 1\n', {}),
    ("PUT /groups", "by=job", f'x{{job="a",b="{"x" * 70_000}"}} 1\n', {}),
    ("PUT /runs/{id}", "", "{}", {"id": new_id()}),
    ("PUT /runs/{id}", "", '{"job": "a", "labels": {"le": "1"}}', {"id": new_id()}),
    (
        "PUT /runs/{id}",
        "",
        '{"job": "a", "state": "started", "started_at": 1}',
        {"id": new_id()},
    ),
    ("POST /ping", "job=x&status=start&every=x", None, {}),
    ("PUT /jobs/{job}/expectation", "", '{"every": 1}', {"job": "x"}),
    ("DELETE /jobs/{job}/expectation", "", None, {"job": "unknown"}),
    ("POST /jobs/{job}/pause", "until=1h", None, {"job": "unknown"}),
    ("POST /admin/import", "", "{}", {}),
]


@pytest.mark.parametrize(
    ("name", "query", "body", "places"), REFUSED, ids=range(len(REFUSED))
)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_refusals_are_answered_as_text_and_as_problems(
    full: InProcessRelay,
    name: str,
    query: str,
    body: Any,
    places: dict[str, str],
    accept: str,
) -> None:
    answered = ask(full, name, query, body, {"Accept": accept}, **places)
    if accept == "*/*":
        assert answered.endswith("\n")
    else:
        assert answered["status"] >= 400


def test_an_idempotency_key_with_another_body_is_answered(full: InProcessRelay) -> None:
    headers = {"Idempotency-Key": "k", **JSON}
    for body in ('k{job="k"} 1\n', 'k{job="k"} 1\n'):
        assert ask(full, "PUT /groups", "by=job", body, headers)["data"]
    refused = ask(full, "PUT /groups", "by=job", 'k{job="k"} 2\n', headers)
    assert refused["status"] == 409


def test_all_is_wiped(full: InProcessRelay) -> None:
    assert ask(full, "PUT /admin/wipe") is None
    assert data(full, "GET /metrics") == []
    assert data(full, "GET /status")["flags"] == {}


@on_loop
async def test_who_may_not_is_answered(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        scraper = await relay.token(Right.SCRAPE)
        pusher = await relay.token(Right.PUSH)
        for number, (name, operation) in enumerate(OPERATIONS.items()):
            target = operation.target(id=new_id(), job="eA")
            weak = pusher if name == "GET /sd" else scraper
            for token, status in (("", 401), ("x", 401), (weak, 403)):
                answer = await relay.ask(
                    *(operation.method, target, token),
                    headers=JSON,
                    client=f"192.0.2.{number}",  # who guesses often is held back
                )
                assert answer.status == status
                check(operation, Response(*answer))
                assert (status == 401) == bool(answer.all("www-authenticate"))
