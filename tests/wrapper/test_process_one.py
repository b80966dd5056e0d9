"""`pushrelay exec` as process 1 of a container: it does what an init must do."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from waiting import DEADLINE
from wrapped import (
    children_of,
    environment,
    needs,
    needs_root,
    read_until,
    run,
    started,
    wrapped,
)

pytestmark = [pytest.mark.system, needs("unshare"), needs_root]

CONTAINER = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
COUNT_DEAD = "grep -s '^State:.Z' /proc/[0-9]*/status | wc -l"


def test_it_is_process_one_and_the_command_its_child(tmp_path: Path) -> None:
    done = _run(tmp_path, "echo $PPID")
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_orphans_that_end_are_not_left_as_zombies(tmp_path: Path) -> None:
    orphans = "for i in 1 2 3 4 5; do (sh -c 'exit 1' &); done; sleep 0.3"
    wait = f"for i in $(seq 100); do test $({COUNT_DEAD}) = 0 && break; sleep 0.1; done"
    done = _run(tmp_path, f"{orphans}; {wait}; {COUNT_DEAD}; exit 9")
    assert (done.returncode, done.stdout) == (9, b"0\n")


@pytest.mark.parametrize("number", [1, 9, 11, 15])
def test_the_status_says_by_which_signal_the_command_died(
    tmp_path: Path, number: int
) -> None:
    done = _run(tmp_path, f"ulimit -c 0; kill -{number} $$")
    assert (done.returncode, done.stderr) == (128 + number, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_from_outside_reach_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = f"trap 'exit 7' {int(number)}; echo; while :; do sleep 0.05; done"
    with _started(tmp_path, script) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"\n")
        os.kill(children_of(process.pid)[0], number)
        assert process.wait(DEADLINE) == 7


def test_time_limits_work_there_too(tmp_path: Path) -> None:
    script = "(setsid sleep 600 &); exec sleep 600"
    done = _run(tmp_path, script, "--timeout", "300ms")
    assert done.returncode == 124


def _command(script: str, *options: str) -> list[str | bytes]:
    return [*CONTAINER, *wrapped("sh", "-c", script, options=["--quiet", *options])]


def _run(
    tmp_path: Path, script: str, *options: str
) -> subprocess.CompletedProcess[bytes]:
    done: subprocess.CompletedProcess[bytes] = run(
        _command(script, *options), environment(tmp_path / "state")
    )
    return done


def _started(
    tmp_path: Path, script: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return started(_command(script), environment(tmp_path / "state"))
