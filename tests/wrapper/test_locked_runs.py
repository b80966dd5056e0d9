"""`--lock`: one run at a time, whoever is killed."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest
from executed import Executor, counted, runs_of_job
from noting_relay import NotingRelay
from relay_process import HTTPClient
from waiting import wait_until
from wrapped import children_of, is_alive

from pushrelay.wrapper.lock import Lock

HOST = os.uname().nodename
LOCKED = ("--job", "a", "--lock", "skip")


def wait_for_lock(executor: Executor) -> None:
    """Return once a command runs under the lock of the job."""
    wait_until((executor.directory / "began").exists)


def waits_for_lock(pid: int) -> bool:
    """Return whether a process waits for a lock."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)


@pytest.mark.parametrize(
    ("how", "status", "said", "outcome", "code"),
    [
        ("skip", 0, "", "skipped", None),
        ("fail", 75, "pushrelay exec: a: another run has the lock\n", "failure", 75),
    ],
)
def test_only_one_run_has_the_lock(
    how: str,
    status: int,
    said: str,
    outcome: str,
    code: int | None,
    executor: Executor,
    server: NotingRelay,
) -> None:
    with executor.begin(*LOCKED) as first:
        wait_for_lock(executor)
        done = executor.run("--job=a", "--lock", how, "--", "echo", "ran")
        assert (done.returncode, done.stdout, done.stderr) == (status, "", said)
        [end] = server.ends()
        assert (end["outcome"], end["exit_code"]) == (outcome, code)
        other = executor.run("--job=a", "--instance=b", "--lock", how, "--", "echo")
        assert other.stdout == "\n"
        assert first.end() == (3, "")
    assert executor.run(*LOCKED, "--", "echo", "ran").stdout == "ran\n"


def test_a_run_waits_for_its_turn(executor: Executor, tmp_path: Path) -> None:
    with executor.begin(*LOCKED) as first:
        wait_for_lock(executor)
        with executor.begin("--job=a", "--lock=wait") as second:
            second.release()
            # It has opened the lock, and waits for it.
            wait_until(lambda: waits_for_lock(second.process.pid))
            assert second.process.poll() is None
            assert first.end() == (3, "")
            assert second.end() == (3, "")


def test_a_run_that_waits_for_its_turn_can_be_ended(executor: Executor) -> None:
    with executor.begin(*LOCKED):
        wait_for_lock(executor)
        with executor.begin("--job=a", "--lock=wait") as second:
            wait_until(lambda: waits_for_lock(second.process.pid))
            second.process.terminate()
            assert second.process.wait() == -signal.SIGTERM


def test_the_kernel_frees_the_lock_of_those_who_are_killed(executor: Executor) -> None:
    with executor.begin(*LOCKED) as first:
        wait_for_lock(executor)
        [command] = children_of(first.process.pid)
        first.process.kill()
        first.process.wait()
        # The command goes on, so that no other may.
        assert executor.run(*LOCKED, "--", "echo", "ran").stdout == ""
        os.kill(command, signal.SIGKILL)
        wait_until(lambda: executor.run(*LOCKED, "--", "echo", "ran").stdout)


def test_what_a_command_leaves_behind_does_not_keep_the_lock(
    executor: Executor, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    leaving = f"sleep 60 >/dev/null 2>&1 & echo $! > {pid}"
    assert executor.run(*LOCKED, "--", "sh", "-c", leaving).returncode == 0
    left = int(pid.read_text())
    try:
        assert Path(f"/proc/{left}").exists()
        assert executor.run(*LOCKED, "--", "echo", "ran").stdout == "ran\n"
    finally:
        os.kill(left, signal.SIGKILL)


def test_what_a_killed_run_left_behind_keeps_the_lock_until_it_is_gone(
    executor: Executor, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    leaving = f'setsid sleep 60 >/dev/null 2>&1 & echo $! > {pid}; exec "$@"'
    with executor.begin(*LOCKED, "--", "sh", "-c", leaving, "sh") as first:
        wait_for_lock(executor)
        wait_until(lambda: pid.exists() and pid.read_text())
        left, [command] = int(pid.read_text()), children_of(first.process.pid)
        first.process.kill()
        first.process.wait()
        os.kill(command, signal.SIGKILL)
        wait_until(lambda: not is_alive(command))
        assert executor.run(*LOCKED, "--", "echo", "ran").stdout == ""
        os.kill(left, signal.SIGKILL)
        wait_until(lambda: executor.run(*LOCKED, "--", "echo", "ran").stdout)


# exec.md: 3
def test_the_lock_is_far_from_the_files_that_scripts_open(executor: Executor) -> None:
    listing = ("--", "sh", "-c", "ls /proc/$$/fd")
    bare, locked = (
        executor.run("--job=a", *lock, *listing).stdout.split()
        for lock in ((), ("--lock=skip",))
    )
    assert sorted(locked) == sorted([*bare, "100"])


@pytest.mark.parametrize("most_files", [64, 12])
def test_few_open_files_are_enough_for_a_lock(
    most_files: int, executor: Executor
) -> None:
    shell = ("sh", "-c", f'ulimit -n {most_files}; exec "$@"', "sh")
    done = executor.run(*LOCKED, "--", "echo", "ran", around=shell)
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_what_keeps_a_file_from_being_locked_is_told_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="Too many open files") as failed:
        Lock(str(tmp_path / "lock"), wait=False)
    assert failed.value.filename == str(tmp_path / "lock")


def test_a_file_can_be_locked_that_jobs_share(
    executor: Executor, tmp_path: Path
) -> None:
    shared = ("--lock=skip", f"--lock-file={tmp_path}/lock")
    with executor.begin("--job=a", *shared):
        wait_for_lock(executor)
        assert executor.run("--job=b", *shared, "--", "echo", "ran").stdout == ""


# exec.md: 6
@pytest.mark.parametrize(
    ("file", "reason"),
    [("missing/lock", "No such file or directory"), (".", "Is a directory")],
)
def test_without_its_lock_nothing_runs(
    file: str, reason: str, executor: Executor, tmp_path: Path
) -> None:
    path = tmp_path / file
    done = executor.run("--lock=skip", f"--lock-file={path}", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == f"pushrelay exec: cannot lock {path}: {reason}\n"


def test_runs_that_were_skipped_are_no_failures(
    relay: HTTPClient, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, f"http://{relay.address}")
    shared = ("--lock=skip", f"--lock-file={tmp_path}/lock")
    executor.run("--job=a", "--", "false")
    with executor.begin("--job=b", *shared):
        wait_until(lambda: runs_of_job(relay, "b"))
        assert executor.run("--job=a", *shared, "--", "true").returncode == 0
    assert counted(relay, "a") == {"failure": 1, "skipped": 1}
    assert f'consecutive_failures{{instance="{HOST}",job="a"}} 1' in relay.page()


def test_a_lock_file_that_was_removed_locks_nobody_in(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = Lock(path, wait=False)
    os.unlink(path)
    second = Lock(path, wait=False)
    assert first.is_ours
    assert second.is_ours
    assert not Lock(path, wait=False).is_ours
