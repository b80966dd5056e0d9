"""`pushrelay exec` leaves standard input, output and error to the command."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from waiting import DEADLINE
from wrapped import (
    Terminal,
    both,
    environment,
    is_alive,
    needs,
    read_until,
    run,
    started,
    wrapped,
)

IS_TERMINAL = "for n in 0 1 2; do test -t $n && echo $n is || echo $n is not; done"
MEGABYTE = bytes(range(256)) * 4096


def test_no_terminal_stays_none(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    alone, by_us = both(["sh", "-c", IS_TERMINAL], env, stdin=subprocess.DEVNULL)
    assert by_us == alone == (0, b"0 is not\n1 is not\n2 is not\n", b"")


# exec.md: 3
def test_a_terminal_stays_one(tmp_path: Path) -> None:
    command = wrapped("sh", "-c", f"{IS_TERMINAL}; tty; stty size; echo end")
    with Terminal(command, environment(tmp_path / "state")) as terminal:
        shown = terminal.wait_for("end\r\n").replace("\r", "")
    assert shown.startswith("0 is\n1 is\n2 is\n/dev/pts/")
    assert shown.endswith("\n0 0\nend\n")


@pytest.mark.system
@needs("script")
def test_a_terminal_of_script_stays_one(tmp_path: Path) -> None:
    command = " ".join(map(str, wrapped("sh", "-c", "'test -t 1 && exit 7'")))
    env = environment(tmp_path / "state")
    typescript = tmp_path / "typescript"
    done = run(["script", "-qec", command, typescript], env, stdin=subprocess.DEVNULL)
    assert done.returncode == 7


# exec.md: 3
def test_both_outputs_stay_apart_and_in_order(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo 1; echo 2 >&2; echo 3; echo 4 >&2"]
    env = environment(tmp_path / "state")
    alone, by_us = both(command, env)
    assert by_us == alone == (0, b"1\n3\n", b"2\n4\n")
    options = {"capture_output": False, "stdout": subprocess.PIPE}
    together = run(wrapped(*command), env, stderr=subprocess.STDOUT, **options)
    assert together.stdout == b"1\n2\n3\n4\n"


def test_all_input_reaches_the_command_unchanged(tmp_path: Path) -> None:
    expected = hashlib.sha256(MEGABYTE * 100).hexdigest().encode()
    with started(
        wrapped("sha256sum"), environment(tmp_path / "state"), stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        for _ in range(100):
            process.stdin.write(MEGABYTE)
        assert process.communicate(timeout=DEADLINE)[0].split()[0] == expected


def test_what_the_command_does_not_read_is_left_to_the_next(tmp_path: Path) -> None:
    both_read = 'read a; "$@"; read c; echo "$a $c"'
    command = ["bash", "-c", both_read, "bash", *wrapped("bash", "-c", "read b")]
    done = run(command, environment(tmp_path / "state"), input=b"1\n2\n3\n")
    assert done.stdout == b"1 3\n"


def test_a_reader_that_stops_ends_the_command_as_alone(tmp_path: Path) -> None:
    pipe = '"$@" | head -n 1; echo ${PIPESTATUS[0]}'
    command = ["bash", "-c", pipe, "bash", *wrapped("yes")]
    done = run(command, environment(tmp_path / "state"))
    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")


# exec.md: 7
def test_processes_that_are_left_with_the_output_hold_nothing_up(
    tmp_path: Path,
) -> None:
    command = wrapped("sh", "-c", "sleep 600 & echo $!; exit 3")
    with started(command, environment(tmp_path / "state")) as process:
        assert process.stdout is not None
        assert process.wait(DEADLINE) == 3
        assert is_alive(int(read_until(process.stdout.fileno(), b"\n")))
