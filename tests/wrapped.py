"""Commands as they run alone and by `pushrelay exec`, to be compared."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from relay_process import REPOSITORY, free_port
from waiting import DEADLINE

PYTHON = sys.executable

RECORDER = """
import os, signal, sys
left = {signal.SIGKILL, signal.SIGSTOP, *map(int, sys.argv[1:])}
for number in signal.valid_signals() - left:
    signal.signal(number, lambda number, _: os.write(1, b"<%d>" % number))
os.write(1, b"<%d>" % os.getpid())
while True:
    signal.pause()
"""
"""A program that writes its id and then all signals that it gets, but for those that it
is told to leave alone."""

Command = Sequence[str | bytes]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark of tests that run `programs`."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {missing}")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


def wrapped(*command: str | bytes, options: Sequence[str] = ("--quiet",)) -> Command:
    """Return the command line that runs `command` by the wrapper."""
    return [PYTHON, "-m", "pushrelay", "exec", *options, "--", *command]


def recorder(*left: int) -> list[str]:
    """Return the command line of the recorder."""
    return [PYTHON, "-c", RECORDER, *map(str, left)]


def environment(state: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the wrapper works, with a relay that refuses; the
    state is in `state`."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PUSHRELAY_")}
    relay = {"PUSHRELAY_URL": f"http://127.0.0.1:{free_port()}"}
    paths = {"PYTHONPATH": str(REPOSITORY), "PUSHRELAY_STATE_DIR": str(state)}
    return {**ours, **paths, **relay, "TMPDIR": str(state.parent), **more}


def run(command: Command, env: dict[str, str], **options: Any) -> Any:
    """Run `command`, and return what it did."""
    options = {"capture_output": True, "timeout": DEADLINE, **options}
    return subprocess.run(command, env=env, **options)


def both(
    command: Command, env: dict[str, str], *ours: str, **options: Any
) -> tuple[Any, Any]:
    """Return what `command` does alone, and by the wrapper: status, standard output and
    error. ours: options of the wrapper."""
    done = [
        run(each, env, **options)
        for each in (command, wrapped(*command, options=["--quiet", *ours]))
    ]
    alone, by_us = [(each.returncode, each.stdout, each.stderr) for each in done]
    return alone, by_us


@contextmanager
def started(
    command: Command, env: dict[str, str], **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own, which ends with the context."""
    default = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    options = {**default, "start_new_session": True, **options}
    with subprocess.Popen(command, env=env, **options) as it:
        try:
            yield it
        finally:
            with suppress(ProcessLookupError):
                os.killpg(it.pid, 9)


class Terminal:
    """A terminal and `command` in it."""

    def __init__(self, command: Command, env: dict[str, str]) -> None:
        self.fd, theirs = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)  # all in it get SIGHUP
        self.process.kill()
        self.process.wait(DEADLINE)

    def type(self, text: str) -> None:
        """Type `text`."""
        os.write(self.fd, text.encode())

    def wait_for(self, text: str) -> str:
        """Return what is shown until `text`, since the last call."""
        until = time.monotonic() + DEADLINE
        while text.encode() not in self.shown:
            assert time.monotonic() < until, self.shown
            if select.select([self.fd], [], [], 1)[0]:
                self.shown += os.read(self.fd, 4096)
        before, _, self.shown = self.shown.partition(text.encode())
        return before.decode() + text


def read_until(file: int, text: bytes) -> bytes:
    """Return what comes from `file` until `text`."""
    read = b""
    while not read.endswith(text):
        assert select.select([file], [], [], DEADLINE)[0], f"nothing after {read!r}"
        part = os.read(file, 1)
        assert part, f"ended after {read!r}"
        read += part
    return read


def is_alive(pid: int) -> bool:
    """Return whether the process runs, or waits to."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def children_of(process: int) -> list[int]:
    """Return the ids of the living children of `process`, as the kernel lists them."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in listed.split()]
