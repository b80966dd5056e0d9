"""What a pipe holds is copied to where it belongs."""

from __future__ import annotations

import _thread
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushrelay.wrapper.copying import Copier
from pushrelay.wrapper.held_back import HeldBack
from pushrelay.wrapper.tail import Tail


class Pipes:
    """A copier from one pipe to another; what a test does with them never blocks."""

    def __init__(self) -> None:
        self.source, self.inlet = os.pipe()
        self.outlet, self.target = os.pipe()
        self.stop = os.eventfd(0)
        os.set_blocking(self.inlet, False)
        os.set_blocking(self.outlet, False)

    def copier(self, tail: Tail | None = None, held: HeldBack | None = None) -> Copier:
        turn = _thread.allocate_lock()
        return Copier(self.source, self.target, self.stop, turn, tail, held)

    def to_file(self, path: str | Path) -> None:
        """Let it copy to the file at `path`."""
        self.close("target")
        self.target = os.open(path, os.O_WRONLY | os.O_CREAT)

    def close(self, name: str) -> None:
        os.close(getattr(self, name))
        setattr(self, name, -1)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    pipes = Pipes()
    yield pipes
    for fd in vars(pipes).values():
        if fd >= 0:
            os.close(fd)


def test_it_ends_with_the_pipe(pipes: Pipes) -> None:
    os.write(pipes.inlet, b"hello")
    pipes.close("inlet")
    tail = Tail(3)
    pipes.copier(tail).copy()
    assert os.read(pipes.outlet, 10) == b"hello"
    assert tail.text() == "llo"


def test_once_told_to_stop_it_takes_what_is_there(pipes: Pipes) -> None:
    os.write(pipes.inlet, b"hello")
    os.eventfd_write(pipes.stop, 1)
    pipes.copier().copy()
    assert os.read(pipes.outlet, 10) == b"hello"


def test_once_told_to_stop_it_takes_no_more_than_a_pipe_holds(pipes: Pipes) -> None:
    class Refilling(Tail):
        """Sees to it that there is always more."""

        taken = 0

        def add(self, data: bytes) -> None:
            self.taken += len(data)
            assert self.taken <= size
            os.write(pipes.inlet, data)

    pipes.to_file("/dev/null")
    size = os.write(pipes.inlet, bytes(1 << 20))
    os.eventfd_write(pipes.stop, 1)
    tail = Refilling(1)
    pipes.copier(tail).copy()
    assert tail.taken == size


def test_it_ends_when_nobody_reads_any_more_though_nothing_came(pipes: Pipes) -> None:
    pipes.close("outlet")
    pipes.copier().copy()


def test_readers_matter_only_when_something_is_revealed(pipes: Pipes) -> None:
    pipes.close("outlet")
    os.write(pipes.inlet, b"hello")
    pipes.close("inlet")
    held = HeldBack()
    tail = Tail(9)
    pipes.copier(tail, held).copy()
    assert tail.text() == "hello"
    held.reveal()


def test_a_target_that_takes_nothing_is_told(pipes: Pipes) -> None:
    pipes.to_file("/dev/full")
    os.write(pipes.inlet, b"hello")
    tail = Tail(9)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        pipes.copier(tail).copy()
    assert tail.text() == "hello"


def test_files_are_targets_too(pipes: Pipes, tmp_path: Path) -> None:
    pipes.to_file(tmp_path / "log")
    os.write(pipes.inlet, b"hello")
    pipes.close("inlet")
    pipes.copier().copy()
    assert (tmp_path / "log").read_bytes() == b"hello"
