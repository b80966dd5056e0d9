"""What is held back comes out as it came in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.wrapper import held_back
from pushrelay.wrapper.held_back import HeldBack

OPENED = os.O_RDWR | os.O_CREAT | os.O_APPEND
ONE, OTHER = 0, 1

Writes = list[tuple[int, bytes]]
writes = st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.binary(max_size=50)))


@contextmanager
def two_files(*names: str) -> Iterator[tuple[int, int]]:
    """Yield descriptors of the files with these names."""
    with TemporaryDirectory() as directory:
        one, other = (os.open(Path(directory, name), OPENED) for name in names)
        yield one, other
        os.close(one)
        os.close(other)


def content(fd: int) -> bytes:
    return os.pread(fd, 1 << 24, 0)


def in_memory(size: int) -> mock._patch[int]:
    return mock.patch.object(held_back, "IN_MEMORY", size)


@given(writes, st.sampled_from([1, 64, 1 << 20]))
def test_each_stream_gets_what_was_for_it(written: Writes, size: int) -> None:
    with two_files("one", "other") as fds, in_memory(size):
        held = HeldBack()
        for which, data in written:
            assert held.keep(fds[which], data)
        assert content(fds[ONE]) == content(fds[OTHER]) == b""
        held.reveal()
        for which in (ONE, OTHER):
            expected = b"".join(data for to, data in written if to == which)
            assert content(fds[which]) == expected


@given(writes, st.sampled_from([1, 64, 1 << 20]))
def test_the_order_of_streams_is_kept(written: Writes, size: int) -> None:
    with two_files("same", "same") as fds, in_memory(size):
        held = HeldBack()
        for which, data in written:
            held.keep(fds[which], data)
        held.reveal()
        assert content(fds[ONE]) == b"".join(data for _, data in written)


@given(writes, st.integers(1, 200), st.integers(0, 300))
def test_what_cannot_be_held_back_is_not_lost(
    written: Writes, size: int, space: int
) -> None:
    left = space

    def write_all(fd: int, data: bytes) -> None:
        nonlocal left
        if fd not in fds:
            os.write(fd, data[:left])
            if len(data) > left:
                raise OSError(28, "No space left on device")
            left -= len(data)
        else:
            os.write(fd, data)

    with two_files("same", "same") as fds, in_memory(size):
        held = HeldBack()
        with mock.patch.object(held_back, "write_all", write_all):
            answers = []
            for which, data in written:
                answers.append(held.keep(fds[which], data))
                if not answers[-1]:
                    os.write(fds[which], data)
            held.reveal()
        assert content(fds[ONE]) == b"".join(data for _, data in written)
        assert answers == sorted(answers, reverse=True), "it was held back again"


def test_what_is_discarded_does_not_come_out() -> None:
    with two_files("same", "same") as fds, in_memory(10):
        held = HeldBack()
        for _ in range(9):
            held.keep(fds[ONE], b"0123456789")
        held.discard()
        held.reveal()
        held.keep(fds[ONE], b"later")
        held.reveal()
        assert content(fds[ONE]) == b"later"


def test_a_stream_that_takes_nothing_does_not_keep_the_other_from_it() -> None:
    reading, broken = os.pipe()
    os.close(reading)
    with two_files("same", "same") as fds:
        held = HeldBack()
        for data in (b"a", b"b", b"c"):
            held.keep(broken, b"for nobody")
            held.keep(fds[ONE], data)
        held.reveal()
        assert content(fds[ONE]) == b"abc"
    os.close(broken)


def file_of(held: HeldBack, fd: int) -> os.stat_result:
    """Return what the file is like that `held` has after some output."""
    with in_memory(10):
        for _ in range(9):
            assert held.keep(fd, b"0123456789")
    return os.fstat(held._file)


def test_the_file_has_no_name_and_belongs_to_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    held = HeldBack()
    found = file_of(held, 1)
    assert (found.st_nlink, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert found.st_dev == tmp_path.stat().st_dev
    assert not list(tmp_path.iterdir())
    assert not os.get_inheritable(held._file)
    held.discard()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("directory", ["", "/nonexistent", "/proc"])
def test_there_is_a_file_without_a_usable_tmpdir(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", directory)
    held = HeldBack()
    assert file_of(held, 1).st_nlink == 0
    held.discard()


def test_a_file_system_without_unnamed_files_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_without(path: str, flags: int, mode: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return really_open(path, flags, mode)

    really_open = os.open
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    held = HeldBack()
    with mock.patch.object(os, "open", open_without):
        found = file_of(held, 1)
    assert (found.st_nlink, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert found.st_dev == tmp_path.stat().st_dev
    assert not list(tmp_path.iterdir())
    held.discard()
