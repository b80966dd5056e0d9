"""Nothing is left of a request that was answered, before anybody looks for garbage:
what is in its body may be 64 MiB, and many clients have a connection for each push."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import InProcessRelay
from relay_use import Clock
from waiting import wait_until

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "23"}


class Body(bytes):
    """Counts those that are still somewhere."""

    kept = 0

    def __init__(self, _content: bytes) -> None:
        Body.kept += 1

    def __del__(self) -> None:
        Body.kept -= 1


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    Body.kept = 0
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize(
    ("method", "target", "content", "headers", "status"),
    [
        ("PUT", "/metrics/job/a", b"x 1\n", {}, 200),
        ("POST", "/metrics/job/a", b"x 1\n", {}, 200),
        ("PUT", "/metrics/job/a", b"x 1", {}, 400),
        ("PUT", "/metrics/job/a/b", b"x 1\n", {}, 400),
        ("PUT", "/metrics/job/a", b"x 1\n", {"Content-Encoding": "gzip"}, 400),
        ("PUT", "/elsewhere", b"x 1\n", {"Content-Encoding": "gzip"}, 400),
        # Only what writes the store knows that it is wrong.
        ("PUT", "/metrics/job/a", b"# TYPE known gauge\nknown 1\n", {}, 400),
        ("PUT", "/metrics/job/known", b"x 1\n", {"Idempotency-Key": "known"}, 409),
        ("PUT", "/api/v1/runs/0192e4a1-7b1c-7def-8123-456789abcdef", b"{}", {}, 400),
        ("POST", "/api/v1/ping?job=a", b"status=success", {}, 200),
        ("POST", "/api/v1/groups", b"{", {}, 400),
        ("POST", "/api/v1/admin/import", b"x", {}, 400),
        ("POST", "/login", b"token=x", {}, 400),
        ("POST", "/delete", b"key=am9i_2H-&revision=x", FORM, 400),
        ("POST", "/delete", b"key=am9i_2H-&revision=0", FORM, 303),
    ],
)
def test_bodies_are_freed_with_the_answer(
    tmp_path: Path,
    method: str,
    target: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    with InProcessRelay(tmp_path, Clock()) as relay:
        known = "# TYPE known counter\nknown 1\n"
        key = {"Idempotency-Key": "known"}
        assert relay.put("/metrics/job/known", known, key).status == 200
        for _ in range(3):
            answer = relay.request(method, target, Body(content), headers)
            assert answer.status == status, answer.text
        # A thread may still be about to forget it.
        wait_until(lambda: Body.kept == 0)
