from __future__ import annotations

import pytest

from pushrelay.config import Settings
from pushrelay.rights import Right
from pushrelay.web.routing import (
    Found,
    Redirected,
    Refused,
    Resolution,
    Router,
    Unknown,
    clean_path,
)

PLAIN = Router(Settings())
ADMIN = Router(Settings(enable_admin_api=True))
PREFIXED = Router(Settings(route_prefix="/a/b", enable_admin_api=True))
ELSEWHERE = Router(Settings(telemetry_path="/own"))

PUSHES = Refused(("DELETE", "OPTIONS", "POST", "PUT"))
GETS = Refused(("GET", "OPTIONS"))
GROUPS = Refused(("DELETE", "GET", "OPTIONS", "POST", "PUT"), is_ours=True)
QUIT = Refused(("GET", "OPTIONS", "POST", "PUT"))


def cleaned(location: str) -> Redirected:
    return Redirected(location, 307, by_cleaning=True)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        # Pushes and deletions.
        ("PUT", "/metrics/job/x", Found("push", Right.PUSH, "job/x")),
        ("POST", "/metrics/job/x", Found("push", Right.PUSH, "job/x")),
        ("DELETE", "/metrics/job/x", Found("delete", Right.PUSH, "job/x")),
        ("PUT", "/metrics/job@base64/eA", Found("push", Right.PUSH, "job@base64/eA")),
        ("PUT", "/metrics/job%40base64/eA", Found("push", Right.PUSH, "job@base64/eA")),
        ("PUT", "/metrics/job/x/l/v", Found("push", Right.PUSH, "job/x/l/v")),
        ("PUT", "/metrics/job/x/", Found("push", Right.PUSH, "job/x/")),
        ("PUT", "/metrics/job/x/l/", Found("push", Right.PUSH, "job/x/l/")),
        ("PUT", "/metrics/job/x/l", Found("push", Right.PUSH, "job/x/l")),
        ("PUT", "/metrics/job/a%2Fb", Found("push", Right.PUSH, "job/a/b")),
        ("PUT", "/metrics/job/x/a%2F%2Fb/c", Found("push", Right.PUSH, "job/x/a//b/c")),
        ("PUT", "/metrics/job/x/%2e%2e/c", Found("push", Right.PUSH, "job/x/../c")),
        ("PUT", "/metrics/job/+%20", Found("push", Right.PUSH, "job/+ ")),
        ("PUT", "/metrics/job/%ff", Found("push", Right.PUSH, "job/\udcff")),
        ("PUT", "/metrics/job/%0a/l/%00", Found("push", Right.PUSH, "job/\n/l/\0")),
        ("PUT", "/metrics/job/x/l/...", Found("push", Right.PUSH, "job/x/l/...")),
        ("GET", "/metrics/job/x", PUSHES),
        ("HEAD", "/metrics/job/x/l/v", PUSHES),
        ("OPTIONS", "/metrics/job/x", PUSHES),
        ("PATCH", "/metrics/job/x", PUSHES),
        ("PUT", "/metrics/job", Unknown()),
        ("GET", "/metrics/job", Unknown()),
        ("PUT", "/metrics/jobs/x", Unknown()),
        ("PUT", "/metrics/instance/x", Unknown()),
        # Everything else.
        ("GET", "/metrics", Found("metrics", Right.SCRAPE)),
        ("GET", "/-/metrics", Found("own_metrics", Right.SCRAPE)),
        ("HEAD", "/-/metrics", GETS),
        ("GET", "/-/Metrics", Redirected("/-/metrics", 301)),
        ("HEAD", "/metrics", GETS),
        ("PUT", "/metrics", GETS),
        ("OPTIONS", "/metrics", GETS),
        ("GET", "/", Found("board", Right.READ)),
        ("POST", "/", GETS),
        ("GET", "/status", Found("status", Right.READ)),
        ("HEAD", "/status", GETS),
        ("GET", "/static/app.js", Found("static", None, "app.js")),
        ("GET", "/static/", Found("static", None)),
        ("GET", "/-/healthy", Found("healthy", Right.HEALTH)),
        ("HEAD", "/-/healthy", GETS),
        ("GET", "/-/ready", Found("ready", Right.HEALTH)),
        ("PUT", "/-/quit", Found("quit", Right.ADMIN)),
        ("POST", "/-/quit", Found("quit", Right.ADMIN)),
        ("GET", "/-/quit", Found("quit_refused", None)),
        ("DELETE", "/-/quit", QUIT),
        ("OPTIONS", "/-/quit", QUIT),
        ("OPTIONS", "*", Refused(())),
        ("GET", "/nope", Unknown()),
        ("PUT", "/nope", Unknown()),
        ("OPTIONS", "/nope", Unknown()),
        ("GET", "/debug/pprof/", Unknown()),
        # The query API.
        ("GET", "/api/v1/status", Found("api/v1/status", Right.READ)),
        ("GET", "/api/v1/metrics", Found("api/v1/metrics", Right.READ)),
        ("OPTIONS", "/api/v1/metrics", Found("api/v1/options", None)),
        ("OPTIONS", "/api/v1/anything", Found("api/v1/options", None)),
        ("GET", "/api/v1/groups", Found("groups", Right.READ)),
        ("DELETE", "/api/v1/groups", Found("delete_groups", Right.ADMIN)),
        ("PUT", "/api/v1/groups", Found("push_groups", Right.PUSH)),
        ("POST", "/api/v1/groups", Found("push_groups", Right.PUSH)),
        ("PATCH", "/api/v1/groups", GROUPS),
        ("HEAD", "/api/v1/groups", GROUPS),
        ("GET", "/api/v1/groups/", Redirected("/groups", 301)),
        ("DELETE", "/api/v1/groups/", Redirected("/groups", 307)),
        ("DELETE", "/api/v1/Groups", Redirected("/groups", 307)),
        ("DELETE", "/api/v1/groups/x", Unknown()),
        ("DELETE", "/api/v1/jobs/x", Found("retire", Right.ADMIN, "jobs/x")),
        ("DELETE", "/api/v1/jobs/x/", Found("retire", Right.ADMIN, "jobs/x/")),
        (
            "DELETE",
            "/api/v1/jobs/a/b%2F%2Fc",
            Found("retire", Right.ADMIN, "jobs/a/b//c"),
        ),
        ("DELETE", "/api/v1/jobs/%0a", Found("retire", Right.ADMIN, "jobs/\n")),
        ("DELETE", "/api/v1/jobs//x", cleaned("/api/v1/jobs/x")),
        ("DELETE", "/api/v1/Jobs/A/B", Redirected("/jobs/A/B", 307)),
        (
            "DELETE",
            "/api/v1/jobs@base64/eA",
            Found("retire", Right.ADMIN, "jobs@base64/eA"),
        ),
        ("DELETE", "/api/v1/JOBS@BASE64/eA", Redirected("/jobs@base64/eA", 307)),
        ("GET", "/api/v1/jobs/x", Found("job", Right.READ, "jobs/x")),
        ("PUT", "/api/v1/jobs/x", Refused(("DELETE", "GET", "OPTIONS"), is_ours=True)),
        ("GET", "/api/v1/jobs", Found("jobs", Right.READ)),
        ("GET", "/api/v1/jobs/", Redirected("/jobs", 301)),
        ("DELETE", "/api/v1/jobs/", Unknown()),
        ("DELETE", "/api/v1/jobs", Refused(("GET", "OPTIONS"), is_ours=True)),
        # Parts of a job, and jobs that are named so.
        ("PUT", "/api/v1/jobs/x/expectation", Found("expect", Right.PUSH, "jobs/x")),
        (
            "DELETE",
            "/api/v1/jobs/x/expectation",
            Found("expect_nothing", Right.PUSH, "jobs/x"),
        ),
        ("POST", "/api/v1/jobs/a%2Fb/pause", Found("pause", Right.ADMIN, "jobs/a/b")),
        ("DELETE", "/api/v1/jobs/a/b/pause", Found("resume", Right.ADMIN, "jobs/a/b")),
        (
            "POST",
            "/api/v1/jobs@base64/eA/pause",
            Found("pause", Right.ADMIN, "jobs@base64/eA"),
        ),
        ("POST", "/api/v1/Jobs/A/pause", Redirected("/jobs/A/pause", 307)),
        (
            "GET",
            "/api/v1/jobs/x/pause",
            Refused(("DELETE", "OPTIONS", "POST"), is_ours=True),
        ),
        (
            "GET",
            "/api/v1/jobs/x/expectation",
            Refused(("DELETE", "OPTIONS", "PUT"), is_ours=True),
        ),
        ("DELETE", "/api/v1/jobs/pause", Found("retire", Right.ADMIN, "jobs/pause")),
        (
            "DELETE",
            "/api/v1/jobs/x%2Fpause",
            Found("retire", Right.ADMIN, "jobs/x/pause"),
        ),
        (
            "POST",
            "/api/v1/jobs/x%2fpause/pause",
            Found("pause", Right.ADMIN, "jobs/x/pause"),
        ),
        (
            "DELETE",
            "/api/v1/jobs/x/pauses",
            Found("retire", Right.ADMIN, "jobs/x/pauses"),
        ),
        ("OPTIONS", "/api/v1/jobs/x/pause", Found("read_options", None)),
        # Runs.
        ("PUT", "/api/v1/runs/x", Found("report_run", Right.PUSH, "x")),
        ("GET", "/api/v1/runs/x", Found("run", Right.READ, "x")),
        ("DELETE", "/api/v1/runs/x", Refused(("GET", "OPTIONS", "PUT"), is_ours=True)),
        ("GET", "/api/v1/runs", Found("runs", Right.READ)),
        ("POST", "/api/v1/runs", Refused(("GET", "OPTIONS"), is_ours=True)),
        ("POST", "/api/v1/ping", Found("ping", Right.PUSH)),
        ("GET", "/api/v1/ping", Refused(("OPTIONS", "POST"), is_ours=True)),
        ("OPTIONS", "/api/v1/ping", Found("read_options", None)),
        ("OPTIONS", "/api/v1/runs/x", Found("read_options", None)),
        ("OPTIONS", "/api/v1/groups", Found("read_options", None)),
        ("OPTIONS", "/api/v1/GROUPS/", Found("read_options", None)),
        ("OPTIONS", "/api/v1/jobs/a/b%0a", Found("read_options", None)),
        ("OPTIONS", "/api/v1/%6aobs/a", Found("read_options", None)),
        ("OPTIONS", "/api/v1/admin/import", Found("read_options", None)),
        ("OPTIONS", "/api/v1/groupsx", Found("api/v1/options", None)),
        ("POST", "/api/v1/metrics", GETS),
        ("HEAD", "/api/v1/status", GETS),
        ("GET", "/api/v1", Redirected("/api/v1/", 307)),
        ("GET", "/api/v1/", Unknown()),
        ("GET", "/api/v1/nope", Unknown()),
        ("GET", "/api/v1/status/", Redirected("/status", 301)),
        ("PUT", "/api/v1/admin/wipe", Unknown()),
        ("GET", "/api/v1/admin/wipe", Unknown()),
        # A slash too many or too few.
        ("GET", "/metrics/", Redirected("/metrics", 301)),
        ("GET", "/status/", Redirected("/status", 301)),
        ("GET", "/-/healthy/", Redirected("/-/healthy", 301)),
        ("GET", "/static", Redirected("/static/", 301)),
        ("PUT", "/-/quit/", Redirected("/-/quit", 307)),
        ("PUT", "/metrics/job/", Redirected("/metrics/job", 307)),
        # Letters in the wrong case.
        ("GET", "/Metrics", Redirected("/metrics", 301)),
        ("GET", "/METRICS/", Redirected("/metrics", 301)),
        ("PUT", "/Metrics/Job/X", Redirected("/metrics/job/X", 307)),
        ("PUT", "/metrics/JOB@BASE64/eA", Redirected("/metrics/job@base64/eA", 307)),
        ("PUT", "/METRICS/job/x/L/V", Redirected("/metrics/job/x/L/V", 307)),
        ("PUT", "/Metrics/job/%ff/l/%3f", Redirected("/metrics/job/%FF/l/%3F", 307)),
        ("GET", "/-/Healthy", Redirected("/-/healthy", 301)),
        ("GET", "/STATIC/App.js", Redirected("/static/App.js", 301)),
        # Paths that are not clean, which comes first.
        ("GET", "//metrics", cleaned("/metrics")),
        ("GET", "/./metrics", cleaned("/metrics")),
        ("GET", "/x/../metrics", cleaned("/metrics")),
        ("GET", "/../../metrics", cleaned("/metrics")),
        ("GET", "/metrics/.", cleaned("/metrics")),
        ("GET", "//", cleaned("/")),
        ("PUT", "/metrics//job/x", cleaned("/metrics/job/x")),
        ("PUT", "/metrics/job/x//v", cleaned("/metrics/job/x/v")),
        ("PUT", "/metrics/job/x/l//", cleaned("/metrics/job/x/l/")),
        ("PUT", "/metrics/job/%2F//v", cleaned("/metrics/job/%2F/v")),
        ("DELETE", "//nope", cleaned("/nope")),
        ("OPTIONS", "/api/v1//x", cleaned("/api/v1/x")),
    ],
)
def test_the_pushgateways_routes(method: str, path: str, expected: Resolution) -> None:
    assert PLAIN.resolve(method, path) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("PUT", Found("wipe", Right.ADMIN)),
        ("GET", Refused(("OPTIONS", "PUT"))),
        ("DELETE", Refused(("OPTIONS", "PUT"))),
        ("OPTIONS", Found("api/v1/options", None)),
    ],
)
def test_the_admin_api(method: str, expected: Resolution) -> None:
    assert ADMIN.resolve(method, "/api/v1/admin/wipe") == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/a/b/metrics", Found("metrics", Right.SCRAPE)),
        ("PUT", "/a/b/metrics/job/x", Found("push", Right.PUSH, "job/x")),
        ("GET", "/a/b/", Found("board", Right.READ)),
        ("GET", "/a/b", Redirected("/a/b/", 301)),
        ("GET", "/A/B/Metrics", Redirected("/a/b/metrics", 301)),
        ("PUT", "/A/b/metrics/job/X", Redirected("/a/b/metrics/job/X", 307)),
        ("PUT", "/a/b/metrics/job/", Redirected("/a/b/metrics/job", 307)),
        ("GET", "/a//b/metrics", cleaned("/a/b/metrics")),
        ("GET", "/a/b/-/healthy", Found("healthy", Right.HEALTH)),
        ("GET", "/a/b/static/x", Found("static", None, "x")),
        ("GET", "/a/b/api/v1/status", Found("api/v1/status", Right.READ)),
        ("GET", "/a/b/api/v1", Redirected("/a/b/api/v1/", 307)),
        ("PUT", "/a/b/api/v1/admin/wipe", Found("wipe", Right.ADMIN)),
        ("PUT", "/a/b/-/quit", Found("quit", Right.ADMIN)),
        ("GET", "/a/b/-/quit", Refused(("OPTIONS", "POST", "PUT"))),
        ("GET", "/-/quit", Found("quit_refused", None)),
        ("GET", "/", Unknown()),
        ("GET", "/metrics", Unknown()),
        ("PUT", "/metrics/job/x", Unknown()),
        ("GET", "/api/v1/status", Unknown()),
        ("GET", "/a/metrics", Unknown()),
    ],
)
def test_a_prefix_moves_all_routes(
    method: str, path: str, expected: Resolution
) -> None:
    assert PREFIXED.resolve(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/own", Found("metrics", Right.SCRAPE)),
        ("GET", "/metrics", Unknown()),
        ("PUT", "/metrics/job/x", Found("push", Right.PUSH, "job/x")),
        ("PUT", "/own/job/x", Unknown()),
    ],
)
def test_the_telemetry_path_moves_the_scrape_and_no_push(
    method: str, path: str, expected: Resolution
) -> None:
    assert ELSEWHERE.resolve(method, path) == expected


@pytest.mark.parametrize(
    ("path", "is_api"),
    [
        ("/api/v1/metrics", True),
        ("/api/v1/", True),
        ("/%61pi/v1/x", True),
        ("/api/v1", False),
        ("/api/v10", False),
        ("/metrics", False),
    ],
)
def test_paths_of_the_query_api_are_known(path: str, is_api: bool) -> None:
    assert PLAIN.is_api(path) is is_api
    assert PREFIXED.is_api("/a/b" + path) is is_api


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//b/", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a"),
        ("/a/b/../", "/a/"),
        ("/..", "/"),
        ("///a///", "/a/"),
        ("/a/.b/..c/...", "/a/.b/..c/..."),
        ("/%2e%2e/%2F%2F", "/%2e%2e/%2F%2F"),
    ],
)
def test_paths_are_cleaned(path: str, clean: str) -> None:
    assert clean_path(path) == clean


def test_every_route_is_listed() -> None:
    names = {route.name for route in ADMIN.routes}
    assert {"push", "delete", "metrics", "wipe", "healthy", "api/v1/status"} <= names
