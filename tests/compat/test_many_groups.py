"""Lists, deletions and scrapes of some groups, over a socket.

The Pushgateway has nothing of this.
"""

from __future__ import annotations

import gzip
import json
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest
from builders import commit, group_of, key_of
from exposition_page import read_page
from metric_messages import CONTENT_TYPE, read_delimited
from relay_process import RelayProcess, Response, StartRelay

from pushrelay.store.engine import open_database

HOUR = 3600 * 10**9
ALLOWED = "DELETE, GET, OPTIONS, POST, PUT"


@pytest.fixture(scope="module")
def module_relay(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--web.enable-admin-api")


@pytest.fixture
def relay(module_relay: RelayProcess) -> RelayProcess:
    """A relay without groups."""
    module_relay.wipe()
    return module_relay


def ask(relay: RelayProcess, method: str, path: str, **query: Any) -> Response:
    return relay.request(method, f"{path}?{urlencode(query, doseq=True)}")


def data_of(response: Response) -> Any:
    assert response.status == 200, response.text
    assert response.header("Content-Type") == "application/json"
    return json.loads(response.body)["data"]


def jobs(relay: RelayProcess) -> list[str]:
    listed = data_of(relay.get("/api/v1/groups?limit=1000"))
    return [group["labels"]["job"] for group in listed["groups"]]


def push_some(relay: RelayProcess) -> None:
    for job in ("a", "b", "c"):
        for instance in ("", "/instance/i"):
            body = f'# HELP x Text.\n# TYPE x gauge\nx{{l="1"}} 1\n{job}_only 2\n'
            assert relay.put(f"/metrics/job/{job}{instance}", body).status == 200


def test_lists_are_walked_page_by_page(relay: RelayProcess) -> None:
    push_some(relay)
    seen, cursor = [], None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        data = data_of(ask(relay, "GET", "/api/v1/groups", **query))
        seen += [group["path"] for group in data["groups"]]
        assert data["matching"] == 6
        cursor = data["next"]
        if cursor is None:
            break
    paths = [f"metrics/job/{job}" for job in "abc"]
    assert seen == [p for path in paths for p in (path, f"{path}/instance/i")]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_scrape_of_a_part_is_the_page_without_the_others(
    relay: RelayProcess, coding: str
) -> None:
    push_some(relay)
    query = urlencode({"match[]": ['{job="a"}', '{job=~"b|x"}']}, doseq=True)
    headers = {"Accept": "text/plain", "Accept-Encoding": coding}
    whole, part = (
        read_page(body_of(relay.get(target, headers)).decode())
        for target in ("/metrics", f"/metrics?{query}")
    )
    assert part == [s for s in whole if dict(s.labels).get("job") in ("a", "b")]
    assert {"x", "a_only", "b_only", "push_time_seconds"} <= {s.name for s in part}


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_protobuf_scrape_of_a_part_has_its_messages(
    relay: RelayProcess, coding: str
) -> None:
    push_some(relay)
    headers = {"Accept": CONTENT_TYPE.replace(" ", ""), "Accept-Encoding": coding}
    whole, part = (
        read_delimited(body_of(relay.get(target, headers)))
        for target in ("/metrics", '/metrics?match[]=%7Bjob%3D"a"%7D')
    )
    expected = {f.name: [m for m in f.metric if is_of(m, "a")] for f in whole}
    assert {f.name: list(f.metric) for f in part} == {
        name: metrics for name, metrics in expected.items() if metrics
    }
    assert [f.name for f in part] == sorted(f.name for f in part)


def body_of(response: Response) -> bytes:
    assert response.status == 200, response.text
    if response.header("Content-Encoding") == "gzip":
        return gzip.decompress(response.body)
    return response.body


def is_of(metric: Any, job: str) -> bool:
    return any(label.name == "job" and label.value == job for label in metric.label)


def test_a_scrape_of_no_groups_is_empty(relay: RelayProcess) -> None:
    push_some(relay)
    for accept in ("text/plain", CONTENT_TYPE):
        response = relay.get('/metrics?match[]={job="d"}', {"Accept": accept})
        assert (response.status, response.body) == (200, b"")


def test_expressions_that_hang_others_are_answered(relay: RelayProcess) -> None:
    relay.put(f"/metrics/job/{'a' * 5000}!", "x 1\n")
    query = {"match[]": '{job=~"(a+)+$"}'}
    assert ask(relay, "GET", "/metrics", **query).body == b""
    assert data_of(ask(relay, "GET", "/api/v1/groups", **query))["matching"] == 0
    assert data_of(ask(relay, "DELETE", "/api/v1/groups", **query))["count"] == 0


def test_what_was_pushed_after_a_dry_run_is_spared(relay: RelayProcess) -> None:
    database = open_database(f"sqlite:///{relay.database}", "normal")
    pushed_at = time.time_ns() - HOUR
    with closing(database):
        old = [group_of("x 1", key_of(job), pushed_at=pushed_at) for job in "abc"]
        commit(database, *old)
    relay.put("/metrics/job/d", "x 1\n")
    query = {"match[]": '{job=~".+"}', "older_than": "30m"}
    dry = data_of(ask(relay, "DELETE", "/api/v1/groups", dry_run=1, **query))
    assert dry["groups"] == [{"job": "a"}, {"job": "b"}, {"job": "c"}]
    assert relay.post("/metrics/job/b", "y 1\n").status == 200
    done = data_of(ask(relay, "DELETE", "/api/v1/groups", **query))
    assert done["groups"] == [{"job": "a"}, {"job": "c"}]
    assert jobs(relay) == ["b", "d"]


def test_a_retired_job_is_gone(relay: RelayProcess) -> None:
    push_some(relay)
    relay.put("/metrics/job@base64/YS9i", "x 1\n")
    data = data_of(relay.delete("/api/v1/jobs/a/b"))
    assert (data["job"], data["count"]) == ("a/b", 1)
    assert data_of(relay.delete("/api/v1/jobs/a?dry_run=1"))["count"] == 2
    assert data_of(relay.delete("/api/v1/jobs/a"))["count"] == 2
    assert jobs(relay) == ["b", "b", "c", "c"]
    assert 'job="a"' not in relay.page()


@pytest.mark.parametrize(
    ("method", "path", "status", "header", "value"),
    [
        ("HEAD", "/api/v1/groups", 405, "Allow", ALLOWED),
        ("PATCH", "/api/v1/groups", 405, "Allow", ALLOWED),
        ("PUT", "/api/v1/jobs/a", 405, "Allow", "DELETE, GET, OPTIONS"),
        ("GET", "/api/v1/groups/", 301, "Location", "/groups"),
        ("DELETE", "/api/v1/groups/", 307, "Location", "/groups"),
        ("DELETE", "//api/v1/groups?x", 307, "Location", "/api/v1/groups?x"),
        ("DELETE", "/api/v1/jobs/", 404, "Location", None),
        ("DELETE", "/api/v1/groups/x", 404, "Location", None),
    ],
)
def test_paths_behave_like_their_neighbours(
    relay: RelayProcess,
    method: str,
    path: str,
    status: int,
    header: str,
    value: str | None,
) -> None:
    response = relay.request(method, path)
    assert (response.status, response.header(header)) == (status, value)


@pytest.mark.parametrize("path", ["/api/v1/groups", "/api/v1/jobs/a/b"])
def test_a_preflight_allows_nothing_but_reading(relay: RelayProcess, path: str) -> None:
    asked = {"Access-Control-Request-Method": "DELETE", "Origin": "http://x.example"}
    response = relay.request("OPTIONS", path, headers=asked)
    assert (response.status, response.body) == (200, b"")
    assert response.header("Access-Control-Allow-Methods") == "GET, OPTIONS"


def test_refusals_are_text(relay: RelayProcess) -> None:
    for method, path in (
        ("DELETE", "/api/v1/groups"),
        ("GET", "/api/v1/groups?limit=0"),
        ("GET", "/metrics?match[]={"),
    ):
        response = relay.request(method, path)
        assert response.status == 400
        assert response.header("Content-Type") == "text/plain; charset=utf-8"
        assert response.text.endswith("\n")


def test_requests_are_counted_by_their_handlers(relay: RelayProcess) -> None:
    data_of(relay.get("/api/v1/groups"))
    data_of(relay.delete("/api/v1/groups?older_than=1d"))
    data_of(relay.delete("/api/v1/jobs/a"))
    page = relay.page()
    handlers = {"groups": "get", "delete_groups": "delete", "retire": "delete"}
    for handler, method in handlers.items():
        line = f'requests_total{{code="200",handler="{handler}",method="{method}"}}'
        assert f"pushrelay_http_{line}" in page
        assert f"pushgateway_http_{line}" not in page
