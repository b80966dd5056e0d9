"""A relay that is not there costs the job nothing, and gets to know all of it later."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from executed import Executor, counted, runs_of_job
from front import Front, answers, closing, full_queue, says, silent
from relay_process import HTTPClient
from waiting import DEADLINE, wait_until
from wrapped import children_of

from pushrelay.wrapper.command_line import read_command_line

SOON = "--report-timeout=200ms"
FAILING = ("--", "sh", "-c", "echo out; exit 7")
KEPT = "pushrelay exec: {}: the report is kept for later"
TOO_LONG = 5.0
"""Seconds in which the wrapper ends with certainty, unless it waits for the relay."""

FAULTS = {
    "is silent": silent,
    "closes the connection": closing,
    "speaks no HTTP": says(b"220 mail.example.org ESMTP\r\n"),
    "is cut off": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "is no relay": says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"),
    "redirects": says(
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
    ),
    "answers 401": answers("401 Unauthorized"),
    "answers 403": answers("403 Forbidden"),
    "answers 404": answers("404 Not Found"),
    "answers 500": answers("500 Internal Server Error"),
    "answers 503": answers("503 Service Unavailable"),
}


@pytest.fixture
def front(relay: HTTPClient) -> Iterator[Front]:
    """A way to the relay of this run."""
    with Front(relay) as front:
        yield front


@pytest.fixture
def executor(front: Front, tmp_path: Path) -> Executor:
    """What reports there."""
    return Executor(tmp_path, front.url)


# exec.md: 10, 11, 14, 15, 16
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_run_arrives_once_the_relay_is_mended(
    fault: Callable[[socket.socket], None],
    front: Front,
    executor: Executor,
    relay: HTTPClient,
) -> None:
    front.fault = fault
    began_at = time.time()
    done = executor.run(SOON, "--job", "lost", *FAILING)
    ended_at = time.time()
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith(f"{KEPT.format('lost')}: ")
    assert done.stderr.count("\n") == 1
    assert executor.spooled("lost") == ["finished"]
    assert runs_of_job(relay, "lost") == []

    front.fault = None
    assert executor.run("--job", "next", "--", "true").stderr == ""
    assert executor.spool.waiting() == []
    [run] = runs_of_job(relay, "lost")
    assert (run["outcome"], run["exit_code"]) == ("failure", 7)
    assert began_at <= run["started_at"] <= run["finished_at"] <= ended_at
    assert counted(relay, "lost") == {"failure": 1}
    assert counted(relay, "next") == {"success": 1}


# exec.md: 11
@pytest.mark.parametrize("fault", [silent, closing, FAULTS["answers 401"]])
def test_nothing_is_said_of_it_where_it_should_be_quiet(
    fault: Callable[[socket.socket], None], front: Front, executor: Executor
) -> None:
    front.fault = fault
    done = executor.run("--quiet", SOON, *FAILING)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "")


# exec.md: 11
def test_of_a_success_nothing_is_said_where_only_failures_should_be_heard(
    front: Front, executor: Executor
) -> None:
    front.fault = FAULTS["answers 503"]
    heard = [
        executor.run("--quiet-unless-failed", "--job", "lost", "--", command)
        for command in ("true", "false")
    ]
    assert [done.returncode for done in heard] == [0, 1]
    assert heard[0].stderr == ""
    assert heard[1].stderr.startswith(KEPT.format("lost"))
    assert executor.spooled("lost") == ["finished", "finished"]


# exec.md: 10
def test_a_report_may_take_five_seconds_unless_otherwise_said() -> None:
    for arguments, seconds in (([], 5), ([SOON], 0.2)):
        options = read_command_line([*arguments, "--", "true"], {})
        assert options is not None
        assert options.report_timeout == seconds * 10**9


# exec.md: 10
def test_a_relay_that_accepts_no_connection_delays_nothing(tmp_path: Path) -> None:
    with full_queue() as url:
        executor = Executor(tmp_path, url)
        began = time.monotonic()
        done = executor.run(SOON, *FAILING)
        assert time.monotonic() - began < TOO_LONG
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == f"{KEPT.format('sh')}: {url} does not answer in time\n"
    assert executor.spooled("sh") == ["finished"]


# exec.md: 10
@pytest.mark.parametrize("soon", [SOON, "--report-timeout=0"])
def test_a_relay_that_is_silent_delays_nothing(
    soon: str, front: Front, executor: Executor
) -> None:
    front.fault = silent
    began = time.monotonic()
    assert executor.run(soon, *FAILING).returncode == 7
    assert time.monotonic() - began < TOO_LONG
    assert executor.spooled("sh") == ["finished"]


def test_an_end_that_is_long_on_its_way_is_kept_meanwhile(
    front: Front, executor: Executor
) -> None:
    front.fault = silent
    with executor.begin("--job=a", "--report-timeout=1h") as begun:
        begun.release()
        wait_until(lambda: executor.spooled("a") == ["finished"])
        begun.process.kill()
    assert executor.spooled("a") == ["finished"]


def test_who_wants_an_end_need_not_wait_for_a_report(
    front: Front, executor: Executor
) -> None:
    front.fault = silent
    with executor.begin("--job=a", "--report-timeout=1h") as begun:
        wait_until(lambda: children_of(begun.process.pid))
        begun.release()
        wait_until(lambda: not children_of(begun.process.pid))
        begun.process.terminate()
        assert begun.process.wait(DEADLINE) == 3
    assert executor.spooled("a") == ["finished"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://relay.invalid:9091", ""),
        ("https://{front}", "SSL"),
        ("http://{front}:x", "the report is lost"),
        ("ftp://{front}", "the report is lost"),
        ("http://rel\xe4y.\udcff:9091", ""),
        ("http://" + "a" * 70 + ":9091", ""),
    ],
)
def test_a_url_that_leads_to_no_relay_is_told_in_one_line(
    url: str, told: str, front: Front, executor: Executor
) -> None:
    front.fault = says(b"no")
    address = front.url.removeprefix("http://")
    done = executor.run("--url", url.replace("{front}", address), *FAILING)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith("pushrelay exec: sh: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_relay_that_is_not_started_yet_gets_the_run_later(
    front: Front, executor: Executor, relay: HTTPClient
) -> None:
    front.down()
    done = executor.run("--job", "lost", *FAILING)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "Connection refused" in done.stderr
    front.up()
    for _ in range(2):
        executor.run("--", "true")
        assert counted(relay, "lost") == {"failure": 1}


def test_a_relay_that_dies_between_start_and_finish_gets_the_finish_later(
    front: Front, executor: Executor, relay: HTTPClient
) -> None:
    with executor.begin("--job", "lost") as begun:
        wait_until(lambda: runs_of_job(relay, "lost"))
        assert runs_of_job(relay, "lost")[0]["state"] == "started"
        front.down()
        status, errors = begun.end()
    assert status == 3
    assert errors.startswith(KEPT.format("lost"))
    front.up()
    executor.run("--", "true")
    [run] = runs_of_job(relay, "lost")
    assert (run["state"], run["exit_code"]) == ("finished", 3)
    assert counted(relay, "lost") == {"failure": 1}


# exec.md: 9
def test_a_start_is_reported_as_soon_as_the_relay_is_there(
    front: Front, executor: Executor, relay: HTTPClient
) -> None:
    front.down()
    with executor.begin("--job", "late") as begun:
        wait_until(lambda: executor.spooled("late"))
        front.up()
        wait_until(lambda: runs_of_job(relay, "late"))
        assert runs_of_job(relay, "late")[0]["state"] == "started"
        assert begun.end() == (3, "")
    assert executor.spool.waiting() == []
    assert [run["state"] for run in runs_of_job(relay, "late")] == ["finished"]
    assert counted(relay, "late") == {"failure": 1}


# exec.md: 8
def test_a_start_arrives_later_though_the_wrapper_was_killed(
    front: Front, executor: Executor, relay: HTTPClient
) -> None:
    front.down()
    with executor.begin("--job", "killed") as begun:
        wait_until(lambda: executor.spooled("killed"))
        begun.process.kill()
        assert begun.process.wait() == -signal.SIGKILL
    front.up()
    executor.run("--", "true")
    assert executor.spool.waiting() == []
    [run] = runs_of_job(relay, "killed")
    assert (run["state"], run["outcome"]) == ("started", None)


def test_the_end_of_an_attempt_is_kept_while_the_next_one_runs(
    front: Front, executor: Executor, relay: HTTPClient, tmp_path: Path
) -> None:
    front.down()
    twice = f'mkdir {tmp_path}/first 2>/dev/null && exit 9; exec "$@"'
    retrying = ("--job", "killed", "--retries", "1", "--retry-delay", "0")
    with executor.begin(*retrying, "--", "sh", "-c", twice, "sh") as begun:
        wait_until(lambda: "finished" in executor.spooled("killed"))
        begun.process.kill()
        begun.process.wait()
    front.up()
    executor.run("--", "true")
    runs = runs_of_job(relay, "killed")
    assert 9 in [run["exit_code"] for run in runs]
    assert counted(relay, "killed") == {"failure": 1}


# exec.md: 14
def test_what_piled_up_is_delivered_by_a_short_command(
    front: Front, executor: Executor, relay: HTTPClient
) -> None:
    front.down()
    for _ in range(5):
        executor.run("--quiet", "--job", "lost", "--", "true")
    assert len(executor.spooled("lost")) == 5
    front.up()
    executor.run("--", "true")
    assert executor.spool.waiting() == []
    assert counted(relay, "lost") == {"success": 5}


# exec.md: 9, 10
@pytest.mark.system
def test_a_name_server_that_is_silent_delays_nothing(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.77\n")
    mounting = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    private = ["unshare", "--mount", "sh", "-c", mounting, "sh", str(resolver)]
    try:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.77", 53))
        subprocess.run([*private, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        server.close()
        pytest.skip("only root may stand in for a name server")
    executor = Executor(tmp_path, "http://relay.example.org:9091")
    with server:
        began = time.monotonic()
        done = executor.run(SOON, *FAILING, around=private)
        assert time.monotonic() - began < TOO_LONG
        assert server.recv(512, socket.MSG_DONTWAIT), "it was not asked"
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith(KEPT.format("sh"))
