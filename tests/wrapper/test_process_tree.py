"""`pushrelay exec --timeout` and `--reap` reach all that the command started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from waiting import DEADLINE, wait_until
from wrapped import (
    children_of,
    environment,
    is_alive,
    needs,
    read_until,
    run,
    started,
    wrapped,
)

from pushrelay.wrapper.process_tree import descendants, is_stopped

# A process that left the session and whose parent is gone; it writes its id.
STRAY = "(setsid sh -c '{} echo $$; exec 1>&-; while :; do sleep 0.1; done' &)"
pytestmark = needs("setsid")


def stray(trap: str = "") -> str:
    return STRAY.format(trap)


def test_all_get_sigterm_when_the_time_is_over(tmp_path: Path) -> None:
    note = f'trap "echo term >{tmp_path}/note; exit" TERM;'
    command = f"{stray(note)}; {stray()}; exec sleep 600"
    with _limited(tmp_path, command, "1s", "1m") as process:
        pids = _ids(process, 2)
        assert process.wait(DEADLINE) == 124
        assert not any(map(is_alive, pids))
    assert (tmp_path / "note").read_text() == "term\n"


def test_those_that_do_not_end_are_killed(tmp_path: Path) -> None:
    command = f"{stray('trap : TERM;')}; trap : TERM; while :; do sleep 0.1; done"
    with _limited(tmp_path, command, "1s", "200ms") as process:
        pids = _ids(process, 1)
        assert process.wait(DEADLINE) == 137
        assert not any(map(is_alive, pids))


def test_the_status_is_124_if_only_what_is_left_behind_had_to_be_killed(
    tmp_path: Path,
) -> None:
    command = f"{stray('trap : TERM;')}; exec sleep 600"
    with _limited(tmp_path, command, "1s", "200ms") as process:
        pids = _ids(process, 1)
        assert process.wait(DEADLINE) == 124
        assert not any(map(is_alive, pids))


def test_a_command_that_is_stopped_is_ended_as_well(tmp_path: Path) -> None:
    with _limited(tmp_path, "kill -STOP $$", "300ms", "1m") as process:
        assert process.wait(DEADLINE) == 124


def test_in_time_nothing_is_done(tmp_path: Path) -> None:
    with _limited(tmp_path, f"{stray()}; sleep 0.2; exit 3", "1m", "1m") as process:
        [pid] = _ids(process, 1)
        assert process.wait(DEADLINE) == 3
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)


def test_what_is_left_behind_is_killed_if_wanted(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    command = f"{stray('trap : TERM;')}; {stray()}; sleep 0.2; exit 3"
    options = ["--quiet", "--reap", "kill", "--kill-after", "200ms"]
    with started(wrapped("sh", "-c", command, options=options), env) as process:
        pids = _ids(process, 2)
        assert process.wait(DEADLINE) == 3
        assert not any(map(is_alive, pids))


def test_what_is_left_behind_is_waited_for_if_wanted(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    late = tmp_path / "late"
    command = f"(setsid sh -c 'sleep 0.5; touch {late}' &); kill -9 $$"
    by_us = wrapped("sh", "-c", command, options=["--quiet", "--reap", "wait"])
    assert run(by_us, env).returncode == -signal.SIGKILL
    assert late.exists()


def test_signals_reach_what_is_waited_for(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    by_us = wrapped("sh", "-c", stray(), options=["--quiet", "--reap", "wait"])
    with started(by_us, env) as process:
        [pid] = _ids(process, 1)
        wait_until(lambda: children_of(process.pid) != [], "the stray's start")
        while process.poll() is None and is_alive(pid):
            process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0


def test_what_ran_before_is_not_ended(tmp_path: Path) -> None:
    options = ["--quiet", "--timeout", "100ms", "--reap", "kill"]
    by_us = shlex.join(map(os.fsdecode, wrapped("sleep", "600", options=options)))
    script = f"sleep 600 & echo $!; exec {by_us}"
    with started(["sh", "-c", script], environment(tmp_path / "state")) as process:
        [before] = _ids(process, 1)
        assert process.wait(DEADLINE) == 124
        assert is_alive(before)
        os.kill(before, signal.SIGKILL)


def test_descendants_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 (x"
    program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
    program.chmod(0o755)
    with started([program, "600"], dict(os.environ)) as process:
        wait_until(lambda: process.pid in descendants(), "its start")
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(process.pid), "its stop")
        assert process.pid in descendants()
        process.kill()
        wait_until(lambda: process.pid not in descendants(), "its end")
    assert not is_stopped(process.pid)


def _limited(
    tmp_path: Path, command: str, timeout: str, kill_after: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    options = ["--quiet", "--timeout", timeout, "--kill-after", kill_after]
    env = environment(tmp_path / "state")
    return started(wrapped("sh", "-c", command, options=options), env)


def _ids(process: subprocess.Popen[bytes], count: int) -> list[int]:
    assert process.stdout is not None
    output = process.stdout.fileno()
    return [int(read_until(output, b"\n")) for _ in range(count)]
