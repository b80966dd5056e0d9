"""What is captured, and what is not; the command has its descriptors as ever."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from capturing import Capturing, environment_with, run_after
from waiting import DEADLINE

from pushrelay.wrapper import capture as capture_module
from pushrelay.wrapper.capture import Capture

OPEN_DESCRIPTORS = """
import os, sys, json
found = {}
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        found[fd] = "pipe" if os.readlink(f"/proc/self/fd/{fd}")[0] == "p" else "other"
    except OSError:
        pass
open(sys.argv[1], "w").write(json.dumps(found))
"""

WITH_FEW_DESCRIPTORS = """
import os, resource
from pushrelay.wrapper.capture import Capture

def opened():
    return set(os.listdir("/proc/self/fd"))

before = opened()
refused = 0
for more in range(9):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 + more, 99))
    try:
        capture = Capture(10)
    except OSError:
        refused += 1
    else:
        assert capture.finish(10)
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))
    assert opened() == before, more
assert refused == 5, refused
"""

ASKS = """
import sys
from pushrelay.wrapper.capture import capture_refusal
print(capture_refusal())
print(capture_refusal(), file=sys.stderr)
"""

IMPORTED = """
import fcntl, os, sys
before = set(sys.modules)
import pushrelay.wrapper.capture, pushrelay.wrapper.held_back
print(*(name for name in set(sys.modules) - before if "pushrelay" not in name))
"""


@pytest.fixture
def capturing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capturing:
    """Runs commands in `tmp_path` and remembers 10 bytes of each stream."""
    monkeypatch.chdir(tmp_path)
    return Capturing(tmp_path, "--tail", "10")


@pytest.mark.parametrize(
    ("before", "captured"),
    [
        ("", ["stderr", "stdout"]),
        ("exec <&-", ["stderr", "stdout"]),
        ("exec >&-", ["stderr"]),
        ("exec 2>&-", ["stdout"]),
        ("exec <&- >&-", ["stderr"]),
        ("exec <&- 2>&-", ["stdout"]),
        ("exec <&- >&- 2>&-", []),
        ("exec 1</dev/null", ["stderr"]),
        ("exec 3<&0 7>&1", ["stderr", "stdout"]),
    ],
)
def test_the_command_has_the_descriptors_that_it_has_without_us(
    capturing: Capturing, before: str, captured: list[str]
) -> None:
    command = [sys.executable, "-c", OPEN_DESCRIPTORS]
    capturing.run(*command, "with", before=before)
    run_after(before, *command, "without")
    found, expected = (json.loads(Path(p).read_text()) for p in ("with", "without"))
    assert found == expected
    assert sorted(capturing.report()["tails"]) == captured


def test_nothing_is_captured_that_nobody_asked_for(tmp_path: Path) -> None:
    capturing = Capturing(tmp_path)
    links = "for n in 1 2; do readlink /proc/$$/fd/$n /proc/$PPID/fd/$n >&3; done"
    done = capturing.run("sh", "-c", links, before="exec 3>&1")
    own_stdout, our_stdout, own_stderr, our_stderr = done.stdout.split()
    assert (own_stdout, own_stderr) == (our_stdout, our_stderr)
    assert capturing.report()["tails"] == {}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_terminal_is_not_captured(stream: str) -> None:
    ours, theirs = pty.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    command = [sys.executable, "-c", ASKS]
    done = subprocess.run(
        command, env=environment_with({}), timeout=DEADLINE, **streams
    )
    said = (done.stdout or done.stderr).decode()
    assert said.startswith(f"output is not captured: {stream} is a terminal, ")
    os.close(ours)
    os.close(theirs)


def test_files_and_pipes_are_captured() -> None:
    assert run_after("", sys.executable, "-c", ASKS).stdout == b"None\n"


def test_a_capture_that_cannot_be_made_leaves_nothing() -> None:
    done = run_after("", sys.executable, "-c", WITH_FEW_DESCRIPTORS)
    assert done.stderr == b""


def test_no_capture_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start_new_thread(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(capture_module._thread, "start_new_thread", start_new_thread)
    with pytest.raises(BlockingIOError) as refusal:
        Capture(10)
    assert refusal.value.strerror == "can't start new thread"
    assert os.listdir("/proc/self/fd") == before


def test_what_runs_before_the_command_imports_little() -> None:
    done = run_after("", sys.executable, "-c", IMPORTED)
    assert done.stderr == b""
    assert set(done.stdout.decode().split()) <= {"__future__", "_thread"}
