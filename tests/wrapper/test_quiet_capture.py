"""Output of a command that is held back while it runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from capturing import Capturing, run_after
from waiting import DEADLINE

MIXED = "for n in $(seq 2000); do echo out $n; echo err $n >&2; done"
MIXED_OUTPUT = b"".join(b"out %d\nerr %d\n" % (n, n) for n in range(1, 2001))

TURNS = """
import fcntl, os, termios
for n in range(100):
    for fd in (1, 2):
        os.write(fd, b"%d %d\\n" % (n, fd))
        while any(fcntl.ioctl(fd, termios.FIONREAD, bytes(4))):
            pass
"""

LARGE = "head -c 3000000 /dev/zero; echo end >&2"


@pytest.fixture
def revealing(tmp_path: Path) -> Capturing:
    return Capturing(tmp_path, "--quiet", "reveal")


def test_it_comes_out_on_both_streams(revealing: Capturing) -> None:
    done = revealing.run("sh", "-c", MIXED)
    lines = MIXED_OUTPUT.splitlines(keepends=True)
    assert (done.stdout, done.stderr) == (b"".join(lines[::2]), b"".join(lines[1::2]))


def test_it_is_forgotten(tmp_path: Path) -> None:
    done = Capturing(tmp_path, "--quiet", "discard").run("sh", "-c", MIXED)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_streams_that_go_to_one_place_keep_their_order(revealing: Capturing) -> None:
    assert revealing.run("sh", "-c", MIXED, before="exec 2>&1").stdout == MIXED_OUTPUT


def test_streams_that_are_remembered_apart_come_in_the_order_of_arrival(
    tmp_path: Path,
) -> None:
    capturing = Capturing(tmp_path, "--quiet", "reveal", "--tail", "5")
    done = capturing.run(sys.executable, "-c", TURNS, before="exec 2>&1")
    expected = b"".join(b"%d 1\n%d 2\n" % (n, n) for n in range(100))
    assert done.stdout == expected
    assert capturing.report()["tails"] == {"stdout": "99 1\n", "stderr": "99 2\n"}


def test_all_attempts_come_out(tmp_path: Path) -> None:
    capturing = Capturing(tmp_path, "--quiet", "reveal", "--attempts", "3")
    assert capturing.run("echo", "hello").stdout == b"hello\n" * 3


def test_nothing_comes_out_while_the_command_runs(revealing: Capturing) -> None:
    command = "head -c 3000000 /dev/zero; echo written >&0; read line"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(DEADLINE)
        process = revealing.start(
            "sh", "-c", command, stdin=theirs, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert ours.recv(100) == b"written\n"
        os.set_blocking(process.stdout.fileno(), False)
        assert process.stdout.read() is None
        os.set_blocking(process.stdout.fileno(), True)
        ours.sendall(b"go\n")
        stdout, _ = process.communicate(timeout=DEADLINE)
        assert stdout == bytes(3000000)


def test_what_a_limit_keeps_from_the_disk_is_not_lost(revealing: Capturing) -> None:
    # In blocks of 512 bytes.
    done = revealing.run("sh", "-c", LARGE, before="ulimit -f 3000")
    assert (done.stdout, done.stderr) == (bytes(3000000), b"end\n")
    assert revealing.report()["status"] == 0


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_changes_nothing_for_the_command(
    revealing: Capturing, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1536k none {disk}"
    done = run_after(
        "",
        *("unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"),
        *revealing.arguments("sh", "-c", LARGE),
        TMPDIR=str(disk),
    )
    assert (done.stdout, done.stderr) == (bytes(3000000), b"end\n")
    assert revealing.report()["status"] == 0


def test_a_reader_that_is_gone_does_not_end_the_command(revealing: Capturing) -> None:
    process = revealing.start("sh", "-c", LARGE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE) == 0
    assert revealing.report()["status"] == 0


def test_a_closed_stream_stays_closed_for_every_attempt(tmp_path: Path) -> None:
    capturing = Capturing(tmp_path, "--quiet", "reveal", "--attempts", "2")
    command = "head -c 3000000 /dev/zero >&2; [ ! -e /proc/self/fd/1 ]"
    done = capturing.run("sh", "-c", command, before="exec >&-")
    assert done.stderr == bytes(6000000)
    assert capturing.report()["status"] == 0
