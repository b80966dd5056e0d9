"""A request for each route."""

from __future__ import annotations

import uuid
from urllib.parse import quote

RUN = uuid.UUID(int=7)
KEY = "am9i_2H-"

Request = tuple[str, bytes, dict[str, str]]


def _form(path: str, body: bytes) -> Request:
    kind = "application/x-www-form-urlencoded"
    return path, body, {"content-type": kind, "content-length": str(len(body))}


REQUESTS: dict[str, Request] = {
    "healthy": ("/-/healthy", b"", {}),
    "ready": ("/-/ready", b"", {}),
    "metrics": ("/metrics", b"", {}),
    "own_metrics": ("/-/metrics", b"", {}),
    "board": ("/", b"", {}),
    "job_page": ("/job?job=a", b"", {}),
    "run_page": (f"/run?id={RUN}", b"", {}),
    "groups_page": ("/groups", b"", {}),
    "group_page": (f"/group?key={KEY}", b"", {}),
    "status": ("/status", b"", {}),
    "badge": ("/badge.svg?job=a", b"", {}),
    "delete_page": (f"/delete?key={KEY}", b"", {}),
    "retire_page": ("/retire?job=a", b"", {}),
    "pause_page": ("/pause?job=a", b"", {}),
    "wipe_page": ("/wipe", b"", {}),
    "delete_form": _form("/delete", f"key={KEY}&revision=1".encode()),
    "retire_form": _form("/retire", b"job=a"),
    "pause_form": _form("/pause", b"job=a&until=2h"),
    "resume_form": _form("/resume", b"job=a"),
    "wipe_form": _form("/wipe", b"confirm=all"),
    "static": ("/static/base.css", b"", {}),
    "login": ("/login", b"", {}),
    "log_in": ("/login", b"", {}),
    "log_out": ("/logout", b"", {}),
    "reload": ("/-/reload", b"", {}),
    "quit": ("/-/quit", b"", {}),
    "quit_refused": ("/-/quit", b"", {}),
    "push": ("/metrics/job/a", b"x 1\n", {}),
    "delete": ("/metrics/job/a", b"", {}),
    "api/v1/status": ("/api/v1/status", b"", {}),
    "api/v1/metrics": ("/api/v1/metrics", b"", {}),
    "sd": ("/api/v1/sd?shards=2", b"", {}),
    "openapi": ("/api/v1/openapi.json", b"", {}),
    "groups": ("/api/v1/groups", b"", {}),
    "push_groups": ("/api/v1/groups?by=job", b'x{job="a"} 1\n', {}),
    "delete_groups": ("/api/v1/groups?match[]=" + quote('{job="a"}'), b"", {}),
    "runs": ("/api/v1/runs", b"", {}),
    "run": (f"/api/v1/runs/{RUN}", b"", {}),
    "report_run": (
        f"/api/v1/runs/{RUN}",
        b'{"job": "a", "state": "started", "started_at": 1795378800}',
        {},
    ),
    "ping": ("/api/v1/ping?job=a&status=success", b"", {}),
    "jobs": ("/api/v1/jobs", b"", {}),
    "job": ("/api/v1/jobs/a", b"", {}),
    "retire": ("/api/v1/jobs/a", b"", {}),
    "expect": ("/api/v1/jobs/a/expectation", b'{"every": "1h"}', {}),
    "expect_nothing": ("/api/v1/jobs/a/expectation", b"", {}),
    "pause": ("/api/v1/jobs/a/pause?until=2h", b"", {}),
    "resume": ("/api/v1/jobs/a/pause", b"", {}),
    "wipe": ("/api/v1/admin/wipe", b"", {}),
    "import": ("/api/v1/admin/import", b"", {"content-type": "application/x-ndjson"}),
}
"""A request for each route, about the job `a` where it is about one."""
