"""`--retries`, `--jitter`, `--require-report` and `--dry-run`."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from executed import Executor
from noting_relay import NotingRelay
from relay_process import free_port
from waiting import wait_until

# Fails with 1, 2, ... and notes that it ran.
COUNTING = ["sh", "-c", 'echo >> "$1"; exit $(wc -l < "$1")', "sh"]
NEVER = "292y"
SLEEPING = {"230", "115"}
"""Numbers of the system call clock_nanosleep: of x86-64, and of arm64."""


@pytest.fixture
def nowhere(tmp_path: Path) -> Executor:
    """What reports to a relay that is not there."""
    return Executor(tmp_path, f"http://127.0.0.1:{free_port()}")


def test_each_attempt_is_a_run_with_its_number(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    retrying = ("--retries=2", "--retry-delay=10ms")
    done = executor.run(*retrying, "--", *COUNTING, str(tmp_path / "runs"))
    assert (done.returncode, done.stderr) == (3, "")
    runs = server.ends()
    assert [(run["attempt"], run["exit_code"]) for run in runs] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert len({run["id"] for run in runs}) == 3
    assert len({run["trace_id"] for run in runs}) == 3
    times = [time for run in runs for time in (run["started_at"], run["finished_at"])]
    assert times == sorted(times)
    assert times[2] - times[1] >= 0.01


def test_a_run_that_succeeded_is_not_repeated(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    retrying = ("--retries=5", "--retry-delay=0", "--success-codes=2")
    done = executor.run(*retrying, "--", *COUNTING, str(tmp_path / "runs"))
    assert done.returncode == 2
    assert [run["outcome"] for run in server.ends()] == ["failure", "success"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_ends_the_wrapper_between_attempts_ends_the_attempts(
    number: signal.Signals, executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    retrying = ("--retries=1", f"--retry-delay={NEVER}")
    with executor.begin(*retrying, "--", *COUNTING, str(tmp_path / "runs")) as begun:
        wait_until(server.ends)
        assert begun.end_by(number) == (-number, "")
    assert len(server.ends()) == 1


def test_a_run_that_was_interrupted_is_not_repeated(
    executor: Executor, server: NotingRelay
) -> None:
    with executor.begin("--retries=1", f"--retry-delay={NEVER}") as begun:
        wait_until((executor.directory / "began").exists)
        assert begun.end_by(signal.SIGTERM) == (-signal.SIGTERM, "")
    [run] = server.ends()
    assert (run["outcome"], run["signal"]) == ("signal", signal.SIGTERM)


def test_a_run_may_begin_a_little_later(
    executor: Executor, server: NotingRelay
) -> None:
    began = time.time()
    assert executor.run("--jitter=50ms", "--", "sh", "-c", "exit 4").returncode == 4
    [run] = server.ends()
    assert began <= run["started_at"] <= time.time()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_to_begin_can_be_ended(
    number: signal.Signals, executor: Executor, server: NotingRelay
) -> None:
    with executor.begin(f"--jitter={NEVER}") as begun:
        wait_until(lambda: _sleeps(begun.process.pid))
        assert begun.end_by(number) == (-number, "")
    assert server.asked == []


# exec.md: 12
@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ([], 0, 0),
        (["--require-report"], 0, 75),
        (["--require-report"], 7, 7),
        (["--require-report", "--success-codes=7"], 7, 75),
        (["--require-report", "--success-codes=7"], 0, 0),
    ],
)
def test_a_report_may_be_required(
    options: list[str], code: int, status: int, nowhere: Executor
) -> None:
    done = nowhere.run("--quiet", *options, "--", "sh", "-c", f"exit {code}")
    assert (done.returncode, done.stderr) == (status, "")


def test_a_required_report_that_is_delivered_changes_nothing(
    executor: Executor,
) -> None:
    for code in (0, 7):
        command = ("--", "sh", "-c", f"exit {code}")
        assert executor.run("--require-report", *command).returncode == code


def test_a_required_report_does_not_hide_a_signal(nowhere: Executor) -> None:
    done = nowhere.run("--quiet", "--require-report", "--", "sh", "-c", "kill -9 $$")
    assert done.returncode == -signal.SIGKILL


def test_a_dry_run_does_nothing(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    options = ("--schedule=0 3 * * *", "--tz=Asia/Tokyo", "--job=a", "--lock=skip")
    done = executor.run("--dry-run", *options, "--", "touch", str(tmp_path / "a b"))
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert lines["command"].strip() == f"touch '{tmp_path}/a b'"
    assert lines["relay"].strip() == server.url
    assert lines["expects"].endswith(" 03:00:00 JST")
    assert json.loads(lines["report"])["job"] == "a"
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_how_the_command_would_be_run(
    nowhere: Executor, tmp_path: Path
) -> None:
    options = ("--jitter=5m", "--lock=wait", "--timeout=1h", "--kill-after=1m")
    options += ("--retries=3", "--output-tail=4kB", "--quiet-unless-failed")
    options += (f"--textfile={tmp_path}", "--schedule=0 3 * * *", "--tz=Nowhere/City")
    done = nowhere.run("--dry-run", *options, "--", "missing-program", PUSHRELAY_URL="")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "command: missing-program  (not found)" in lines
    assert f"file:    in {tmp_path}" in lines
    assert "waits:   up to 5m" in lines
    assert "lock:    wait, if another run of the job has it" in lines
    assert "ends:    after 1h, by SIGTERM; by SIGKILL 1m later" in lines
    assert "retries: 3, 10s apart, if it fails" in lines
    assert "output:  reported, the last 4000 bytes of each stream" in lines
    assert "output:  held back, and shown if it fails" in lines
    assert any(line.startswith("warning: --tz: ") for line in lines)
    assert not any(line.startswith("relay:") for line in lines)


def test_a_dry_run_warns_of_labels_that_few_relays_take(nowhere: Executor) -> None:
    done = nowhere.run("--dry-run", "--label=a-b=c", "--", "true")
    assert done.returncode == 0
    [warning] = [each for each in done.stdout.splitlines() if "warning" in each]
    assert (
        "only a relay with --push.enable-utf8-names takes this: --label a-b" in warning
    )


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--schedule=61 * * * *", "--schedule: "),
        ("--label=__name__=a", "--label __name__: "),
        ("--url=ftp://relay", "ftp://relay is no URL of a relay; "),
    ],
)
def test_a_dry_run_tells_what_is_wrong(
    option: str, told: str, nowhere: Executor
) -> None:
    done = nowhere.run("--dry-run", option, "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"pushrelay exec: {told}")
    assert done.stderr.count("\n") == 1


def _sleeps(pid: int) -> bool:
    """Return whether a process sleeps until a time."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in SLEEPING
