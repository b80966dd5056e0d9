"""contrib/cron/push-after.sh keeps the exit status and pushes how the job went."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from relay_process import free_port

SCRIPT = Path(__file__).parents[2] / "contrib/cron/push-after.sh"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


class Receiver(ThreadingHTTPServer):
    """Remembers the pushes that it answers with `status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Push)
        self.pushes: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Push(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.pushes.append((self.command, self.path, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep stderr for the tests."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def push_after(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env={"PATH": "/usr/bin:/bin", "PUSHRELAY_URL": url},
        capture_output=True,
        text=True,
    )


def test_success_is_pushed_with_its_time(receiver: Receiver) -> None:
    before = int(time.time())
    done = push_after(receiver.url, "nightly", "sh", "-c", 'echo "$1"', "-", "a  b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a  b\n", "")
    ((method, path, body),) = receiver.pushes
    assert method == "POST"
    assert path.startswith("/metrics/job/nightly/instance/")
    values = dict(line.split() for line in body.splitlines() if line[0] != "#")
    assert values["cron_last_exit_code"] == "0"
    assert before <= int(values["cron_last_success_timestamp_seconds"]) <= time.time()


def test_failure_keeps_the_status_and_pushes_no_success(receiver: Receiver) -> None:
    done = push_after(receiver.url, "nightly", "sh", "-c", "exit 7")
    assert (done.returncode, done.stderr) == (7, "")
    ((_, _, body),) = receiver.pushes
    assert "cron_last_exit_code 7\n" in body
    assert "success" not in body


def test_a_refused_push_is_one_story_on_stderr(receiver: Receiver) -> None:
    receiver.status = 400
    done = push_after(receiver.url, "nightly", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "was not pushed" in done.stderr


def test_a_relay_that_is_down_does_not_harm_the_job() -> None:
    done = push_after(f"http://127.0.0.1:{free_port()}", "nightly", "true")
    assert done.returncode == 0
    assert "was not pushed" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("a/b", "true"), ("nightly",), ("", "true")])
def test_wrong_usage_runs_nothing(arguments: tuple[str, ...]) -> None:
    done = push_after("http://127.0.0.1:9", *arguments)
    assert done.returncode == 2
    assert "push-after.sh" in done.stderr
