"""`pushrelay exec` leaves signals to the command: all that come, none twice."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import DEADLINE, wait_until
from wrapped import (
    PYTHON,
    Terminal,
    both,
    environment,
    is_alive,
    read_until,
    recorder,
    run,
    started,
    wrapped,
)

from pushrelay.wrapper.process_tree import is_stopped

CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
# glibc's posix_spawn has them ignored, which its threads do not mind.
OF_GLIBC = 1 << 31 | 1 << 32


def ignore(*numbers: int) -> Callable[[], None]:
    def prepare() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return prepare


def block(*numbers: int) -> Callable[[], None]:
    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    return prepare


# exec.md: 4
@pytest.mark.parametrize(
    "prepare",
    [
        None,
        ignore(signal.SIGHUP),
        ignore(signal.SIGINT, signal.SIGQUIT),
        ignore(signal.SIGCHLD),
        ignore(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1),
        ignore(signal.SIGRTMIN, signal.SIGRTMAX),
        block(signal.SIGTERM, signal.SIGCHLD, signal.SIGCONT, signal.SIGRTMIN + 1),
        block(*CATCHABLE),
    ],
    ids=["", "nohup", "background", "chld", "job control", "rt", "blocked", "all"],
)
def test_what_is_ignored_and_blocked_is_so_for_the_command(
    tmp_path: Path, prepare: Callable[[], None] | None
) -> None:
    env = environment(tmp_path / "state")
    command = ["cat", "/proc/self/status"]
    alone, by_us = both(command, env, preexec_fn=prepare)
    assert by_us[0] == 0
    assert _sets(by_us[1]) == _sets(alone[1])


# exec.md: 4
def test_what_python_ignores_has_its_default_whatever_it_was_before(
    tmp_path: Path,
) -> None:
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)

    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    command = wrapped("cat", "/proc/self/status")
    env = environment(tmp_path / "state")
    done = run(command, env, restore_signals=False, preexec_fn=ignore)
    sets = _sets(done.stdout)
    assert sets["SigIgn"] & sum(1 << (number - 1) for number in ignored) == 0


def test_nohup_protects_the_command(tmp_path: Path) -> None:
    command = ["nohup", *wrapped(*recorder(signal.SIGHUP))]
    with started(command, environment(tmp_path / "state")) as process:
        _read_id(process)
        os.killpg(process.pid, signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        assert _read(process) == signal.SIGUSR1


# exec.md: 5
def test_every_signal_reaches_the_command_once(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    with started(wrapped(*recorder()), env) as process:
        pid = _read_id(process)
        arrived = []
        for number in CATCHABLE:
            process.send_signal(number)
            arrived.append(_read(process))
        assert arrived == CATCHABLE
        process.send_signal(signal.SIGRTMIN)
        process.send_signal(signal.SIGRTMIN)
        assert [_read(process), _read(process)] == [signal.SIGRTMIN] * 2
        os.kill(pid, signal.SIGKILL)
        assert process.wait(DEADLINE) == -signal.SIGKILL


def test_a_signal_that_the_command_lets_kill_it_kills_us_too(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    with started(wrapped("sh", "-c", "echo; exec sleep 600"), env) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == -signal.SIGTERM


def test_an_alarm_that_was_set_before_is_that_of_the_command(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")

    def prepare() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.4)

    alone, by_us = both(["sleep", "600"], env, preexec_fn=prepare)
    assert by_us == alone == (-signal.SIGALRM, b"", b"")


# exec.md: 5
def test_what_the_command_sends_to_its_group_comes_to_it_once(tmp_path: Path) -> None:
    # A signal that is passed on comes while it reads.
    script = "trap 'echo term' TERM; kill 0; kill -USR1 $PPID; read x; echo got $x"
    env = environment(tmp_path / "state")
    with started(wrapped("sh", "-c", script), env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"term\n")
        time.sleep(0.2)
        assert process.communicate(b"it\n", DEADLINE)[0] == b"got it\n"
        assert process.returncode == 0


# exec.md: 5
def test_keys_of_the_terminal_reach_the_command_once(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    with Terminal(wrapped(*recorder()), env) as terminal:
        terminal.wait_for(">")
        for key, number in (("\x03", 2), ("\x1c", 3), ("\x1a", 20), ("\x03", 2)):
            terminal.type(key)
            assert terminal.wait_for(">").endswith(f"<{number}>")
        window = struct.pack("4H", 40, 100, 0, 0)
        fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, window)
        assert terminal.wait_for(">").endswith("<28>")
        terminal.process.send_signal(signal.SIGUSR1)
        assert terminal.wait_for(">").endswith("<10>")


def test_control_c_ends_it_as_alone(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    command = wrapped("sh", "-c", "echo begun; exec sleep 600")
    with Terminal(command, env) as terminal:
        terminal.wait_for("begun")
        terminal.type("\x03")
        assert terminal.process.wait(DEADLINE) == -signal.SIGINT


# exec.md: 8
def test_when_we_are_killed_the_command_lives_on(tmp_path: Path) -> None:
    command = wrapped("sh", "-c", "echo $$; read line; echo got $line")
    env = environment(tmp_path / "state")
    with started(command, env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pid = int(read_until(process.stdout.fileno(), b"\n"))
        process.kill()
        assert process.wait(DEADLINE) == -signal.SIGKILL
        assert is_alive(pid)
        process.stdin.write(b"it\n")
        process.stdin.flush()
        assert read_until(process.stdout.fileno(), b"\n") == b"got it\n"


def test_signals_to_the_command_itself_are_not_our_matter(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    with started(wrapped(*recorder()), env) as process:
        pid = _read_id(process)
        os.kill(pid, signal.SIGTERM)
        assert _read(process) == signal.SIGTERM
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        assert _read(process) == signal.SIGCONT
        process.send_signal(signal.SIGUSR1)
        assert _read(process) == signal.SIGUSR1


def test_sigpipe_is_what_it_is_for_programs_that_are_not_python(tmp_path: Path) -> None:
    die = "import os, signal; os.kill(os.getpid(), 13)"
    quiet = f"import signal; signal.signal(13, signal.SIG_DFL); {die}"
    done = run(wrapped(PYTHON, "-c", quiet), environment(tmp_path / "state"))
    assert done.returncode == -signal.SIGPIPE


def _sets(status: bytes) -> dict[str, int]:
    """Return the sets of signals that /proc/self/status shows."""
    fields = dict(line.split(":\t") for line in status.decode().splitlines())
    names = ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
    return {name: int(fields[name], 16) & ~OF_GLIBC for name in names}


def _read_id(process: subprocess.Popen[bytes]) -> int:
    """Return the id that the recorder writes at first."""
    return _read(process)


def _read(process: subprocess.Popen[bytes]) -> int:
    """Return the next number that the recorder writes."""
    assert process.stdout is not None
    return int(read_until(process.stdout.fileno(), b">").strip(b"<>"))


def test_a_hangup_reaches_the_command_where_we_lead_the_session(tmp_path: Path) -> None:
    by_us = wrapped("sh", "-c", 'echo "<$$>"; exec sleep 600')
    process, terminal = pty.fork()
    if process == 0:
        os.execve(PYTHON, by_us, environment(tmp_path / "state"))  # noqa: S606  # ours
    command = int(read_until(terminal, b">").strip(b"<>"))
    os.close(terminal)
    wait_until(lambda: not is_alive(command))
    _, status = os.waitpid(process, 0)
    assert os.WTERMSIG(status) == signal.SIGHUP


def test_who_stops_the_command_alone_may_continue_it(tmp_path: Path) -> None:
    script = 'echo "<$$>"; while [ ! -e "$1" ]; do sleep 0.02; done; exit 7'
    end = tmp_path / "end"
    # In a group of its own, or else the kernel lets nothing of the terminal stop it.
    process = subprocess.Popen(
        wrapped("sh", "-c", script, "sh", str(end)),
        env=environment(tmp_path / "state"),
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    command = int(read_until(process.stdout.fileno(), b">").strip(b"<>"))
    for number in (signal.SIGTSTP, signal.SIGSTOP):
        os.kill(command, number)
        wait_until(lambda: is_stopped(command))
        os.kill(command, signal.SIGCONT)
        wait_until(lambda: not is_stopped(command))
    end.touch()
    assert process.wait(DEADLINE) == 7
    process.communicate()
