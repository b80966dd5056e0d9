"""What answers tell browsers and caches to keep from doing."""

from __future__ import annotations

import pytest
from relay_process import HTTPClient
from run_http import report, start

ID = "8b7c7d5e-3f0e-4b57-9a5c-2f3f3c1d5a10"
NOBODYS = "8b7c7d5e-3f0e-4b57-9a5c-2f3f3c1d5a11"
RUN = f"/api/v1/runs/{ID}"
JSON = "application/json"

WITH_BODY = [
    ("GET", "/", 200),
    ("GET", "/static/base.css", 200),
    ("GET", "/static/none", 404),
    ("GET", "/metrics", 200),
    ("GET", "/-/metrics", 200),
    ("GET", "/-/healthy", 200),
    ("GET", "/api/v1/status", 200),
    ("GET", "/api/v1/metrics", 200),
    ("GET", "/api/v1/groups", 200),
    ("GET", "/api/v1/runs", 200),
    ("GET", "/api/v1/jobs", 200),
    ("GET", "/status/", 301),
    ("GET", f"/api/v1/runs/{NOBODYS}", 404),
    ("GET", "/<script>", 404),
    ("GET", "/-/quit", 405),
    ("PUT", "/metrics/job/<script>", 400),
    ("PUT", "/metrics", 405),
]


@pytest.mark.parametrize("accept", ["*/*", JSON])
@pytest.mark.parametrize(("method", "path", "status"), WITH_BODY)
def test_no_body_is_taken_for_something_else(
    relay: HTTPClient, method: str, path: str, status: int, accept: str
) -> None:
    answer = relay.request(method, path, "<script>", {"Accept": accept})
    assert (answer.status, answer.body != b"") == (status, True)
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Cross-Origin-Resource-Policy") == "same-origin"


@pytest.mark.parametrize("path", [*("/", "/status", "/metrics", "/-/metrics"), RUN])
def test_what_was_pushed_stays_in_no_cache(relay: HTTPClient, path: str) -> None:
    report(relay, start("x"), ID)
    answer = relay.get(path)
    assert "no-store" in (answer.header("Cache-Control") or "")


@pytest.mark.parametrize(
    "path", ["/status/%22%3E%3Cscript%3E/../?<b>&x=\"'", "/Status"]
)
def test_a_redirect_has_no_markup_of_the_client(relay: HTTPClient, path: str) -> None:
    answer = relay.get(path)
    assert answer.status in (301, 307)
    assert "<script" not in answer.text
    assert "<b>" not in answer.text
    assert (answer.header("Location") or "").startswith("/")
    assert not (answer.header("Location") or "").startswith("//")


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example/..", "/%2f/x/..", "//%2Fx/."]
)
def test_a_redirect_stays_here(relay: HTTPClient, path: str) -> None:
    answer = relay.get(path)
    location = answer.header("Location") or "/"
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\")
