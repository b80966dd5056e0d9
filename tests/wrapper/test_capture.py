"""A command whose output is captured, passed on at once, notices nothing of it."""

from __future__ import annotations

import errno
import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from capturing import Capturing
from waiting import DEADLINE

ALL_BYTES = "import os; os.write({fd}, bytes(range(256)) * 40)"
HELD_OPEN = "sleep 60 & echo $! > pid; {command}"


@pytest.fixture
def capturing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capturing:
    """Runs commands in `tmp_path` and remembers 10 bytes of each stream."""
    monkeypatch.chdir(tmp_path)
    return Capturing(tmp_path, "--tail", "10")


def read_until(stream: IO[bytes] | None, end: bytes) -> bytes:
    """Return what comes up to `end`, which must come."""
    assert stream is not None
    found = b""
    while not found.endswith(end):
        ready, _, _ = select.select([stream], [], [], DEADLINE)
        assert ready, f"nothing came after {found!r}"
        part = os.read(stream.fileno(), 1)
        assert part, f"nothing will come after {found!r}"
        found += part
    return found


def end_what_is_left() -> None:
    """End the process whose number a command left in the file `pid`."""
    with suppress(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("fd", "stream"), [(1, "stdout"), (2, "stderr")])
def test_every_byte_comes_through(capturing: Capturing, fd: int, stream: str) -> None:
    done = capturing.run(sys.executable, "-c", ALL_BYTES.format(fd=fd))
    expected = {"stdout": b"", "stderr": b"", stream: bytes(range(256)) * 40}
    assert {"stdout": done.stdout, "stderr": done.stderr} == expected
    assert capturing.report()["tails"][stream] == "\ufffd" * 10


def test_streams_are_remembered_apart(capturing: Capturing) -> None:
    done = capturing.run("sh", "-c", "echo an end; echo in tears >&2; exit 3")
    assert (done.stdout, done.stderr) == (b"an end\n", b"in tears\n")
    assert capturing.report() == {
        "status": 3,
        "tails": {"stdout": "an end\n", "stderr": "in tears\n"},
        "failures": {},
    }


@pytest.mark.system
def test_a_hundred_megabytes_come_through(capturing: Capturing) -> None:
    command = "yes 0123456789abcde | head -c 100000000"
    process = capturing.start("sh", "-c", command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    found = hashlib.file_digest(process.stdout, "sha256")
    assert process.wait(DEADLINE) == 0
    process.stdout.close()
    expected = hashlib.sha256(b"0123456789abcde\n" * (100_000_000 // 16))
    assert found.hexdigest() == expected.hexdigest()


def test_a_command_whose_reader_is_gone_gets_sigpipe(capturing: Capturing) -> None:
    command = ["sh", "-c", '"$@" | head -1', "sh", *capturing.arguments("yes")]
    assert subprocess.check_output(command, timeout=DEADLINE) == b"y\n"
    assert capturing.report()["status"] == -signal.SIGPIPE
    assert capturing.report()["failures"] == {}


def test_a_pipe_ends_for_the_command_when_its_reader_goes(capturing: Capturing) -> None:
    # It would see no error of a pipe that has a reader.
    waits = "import select; poll = select.poll(); poll.register(1, 0); poll.poll()"
    process = capturing.start(sys.executable, "-c", waits, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE) == 0
    assert capturing.report()["status"] == 0


def test_a_named_pipe_may_change_its_reader(capturing: Capturing) -> None:
    os.mkfifo("pipe")
    os.mkfifo("go")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    with open("pipe", "wb") as pipe:
        command = "echo started >&2; read line < go; echo hello"
        process = capturing.start(
            "sh", "-c", command, stdout=pipe, stderr=subprocess.PIPE
        )
    read_until(process.stderr, b"started\n")
    os.close(reader)
    time.sleep(0.1)  # in which nothing shall happen
    with open("pipe", "rb") as other:
        Path("go").write_text("go\n")
        assert other.read() == b"hello\n"
    process.communicate(timeout=DEADLINE)
    assert capturing.report()["status"] == 0


def test_what_a_file_does_not_take_ends_the_stream(capturing: Capturing) -> None:
    with open("/dev/full", "wb") as full:
        process = capturing.start("yes", stdout=full)
        assert process.wait(DEADLINE) == 0
    report = capturing.report()
    assert report["status"] == -signal.SIGPIPE
    assert report["failures"] == {"stdout": errno.ENOSPC}


def test_a_blocked_stream_does_not_block_the_other(capturing: Capturing) -> None:
    command = "head -c 1000000 /dev/zero & echo hello >&2; wait"
    process = capturing.start(
        "sh", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert read_until(process.stderr, b"hello\n") == b"hello\n"
    stdout, stderr = process.communicate(timeout=DEADLINE)
    assert (stdout, stderr) == (bytes(1000000), b"")


def test_a_slow_reader_is_waited_for_in_portions(tmp_path: Path) -> None:
    capturing = Capturing(tmp_path, "--tail", "10", "--patience", "0.01")
    process = capturing.start(
        *("head", "-c", "100000", "/dev/zero"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    read_until(process.stderr, b"waiting\n")
    stdout, _ = process.communicate(timeout=DEADLINE)
    assert stdout == bytes(100000)


def test_a_stream_that_does_not_block_gets_all(capturing: Capturing) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = capturing.start("head", "-c", "1000000", "/dev/zero", stdout=writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        assert stream.read() == bytes(1000000)
    assert process.wait(DEADLINE) == 0
    assert capturing.report()["failures"] == {}


def test_a_process_left_behind_does_not_keep_us(capturing: Capturing) -> None:
    command = HELD_OPEN.format(command="head -c 50000 /dev/zero")
    done = capturing.run("sh", "-c", command)
    end_what_is_left()
    assert done.stdout == bytes(50000)


def test_a_process_left_behind_may_write_for_ever(capturing: Capturing) -> None:
    capturing.run("sh", "-c", "yes & echo $! > pid")
    pid = int(Path("pid").read_text())
    deadline = time.monotonic() + DEADLINE
    while _is_running(pid):
        assert time.monotonic() < deadline, "it was not told that nobody reads it"
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        # Without a process that takes it over, it is left as a zombie.
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False
