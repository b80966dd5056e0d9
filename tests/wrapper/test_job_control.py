"""`pushrelay exec` stops and goes on with its command, as a shell's jobs do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from wrapped import Terminal, environment, needs, read_until, recorder, started, wrapped

pytestmark = [pytest.mark.system, needs("bash")]

# It starts no processes: dash cannot be stopped in the midst of that.
JOB = "echo began; read x <go; echo ended $((1 + 1))"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Terminal]:
    """An interactive shell in which `job` and `recorder` are commands by the wrapper.

    The recorder leaves SIGTSTP alone.
    """
    env = environment(tmp_path / "state", PS1="ready:")
    os.mkfifo(tmp_path / "go")
    job = wrapped("sh", "-c", JOB)
    for name, command in {
        "job": job,
        "recorder": wrapped(*recorder(signal.SIGTSTP)),
    }.items():
        script = tmp_path / name
        words = " ".join(f"'{word!s}'" for word in command)
        script.write_text(f"#!/bin/sh\nexec {words}\n", encoding="utf-8")
        script.chmod(0o755)
    start = ["sh", "-c", f"cd {tmp_path} && exec bash --norc --noprofile -i"]
    with Terminal(start, env) as terminal:
        terminal.wait_for("ready:")
        yield terminal


# exec.md: 5
def test_a_job_is_stopped_by_a_key_and_goes_on_in_the_foreground(
    shell: Terminal, tmp_path: Path
) -> None:
    shell.type("./job\n")
    shell.wait_for("began\r\n")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("ready:")
    shell.type("fg\n")
    shell.wait_for("./job")
    (tmp_path / "go").write_text("x\n")
    shell.wait_for("ended 2\r\n")
    shell.type("echo status $?\n")
    shell.wait_for("status 0")


def test_a_stopped_job_goes_on_in_the_background(
    shell: Terminal, tmp_path: Path
) -> None:
    shell.type("./job\n")
    shell.wait_for("began\r\n")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("ready:")
    shell.type("bg\n")
    shell.wait_for("./job &")
    (tmp_path / "go").write_text("x\n")
    shell.wait_for("ended 2\r\n")
    shell.type("wait\n")
    shell.wait_for("Done")


def test_a_job_that_reads_in_the_background_is_stopped(shell: Terminal) -> None:
    words = " ".join(f"'{w!s}'" for w in wrapped("sh", "-c", "read x; echo got $x"))
    shell.type(f"{words} &\n")
    shell.type("while ! jobs | grep '[S]topped'; do sleep 0.1; done; fg\n")
    shell.wait_for("Stopped ")
    shell.type("it\n")
    shell.wait_for("got it\r\n")


def test_the_command_is_continued_once(shell: Terminal) -> None:
    shell.type("./recorder\n")
    shell.wait_for(">")
    for _ in range(2):
        shell.type("\x1a")
        shell.wait_for("Stopped")
        shell.wait_for("ready:")
        shell.type("fg\n")
        shell.wait_for("./recorder\r\n")
        assert shell.wait_for(">").endswith("<18>")
        shell.type("\x03")
        assert shell.wait_for(">").endswith("<2>")
    shell.type("\x03")
    assert shell.wait_for(">").endswith("^C<2>")


def test_who_continues_only_us_continues_the_command(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    options = {"start_new_session": False, "process_group": 0}
    with started(wrapped(*recorder(signal.SIGTSTP)), env, **options) as process:
        assert process.stdout is not None
        output = process.stdout.fileno()
        read_until(output, b">")
        process.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGTSTP
        process.send_signal(signal.SIGCONT)
        assert read_until(output, b">") == b"<18>"
        process.send_signal(signal.SIGUSR1)
        assert read_until(output, b">") == b"<10>"
