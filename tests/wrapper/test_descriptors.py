"""Descriptors of ours are not taken for those of the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from capturing import run_after

from pushrelay.wrapper.descriptors import is_same_file, takes_output

MAKES_ITS_OWN = """
import os
from pushrelay.wrapper.descriptors import above_standard, open_pipe, takes_output

made = [*open_pipe(), above_standard(os.eventfd(0))]
assert min(made) > 2, made
assert not any(map(os.get_inheritable, made))
os.write(made[1], b"x")
assert os.read(made[0], 1) == b"x"
"""


@pytest.mark.parametrize("before", ["", "exec <&-", "exec >&-", "exec <&- >&-"])
def test_they_do_not_take_the_place_of_a_stream(before: str) -> None:
    done = run_after(before, sys.executable, "-c", MAKES_ITS_OWN)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_descriptor_that_the_command_does_not_get_takes_no_output(
    tmp_path: Path,
) -> None:
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    assert not takes_output(fd)
    os.set_inheritable(fd, True)
    assert takes_output(fd)
    os.close(fd)
    assert not takes_output(fd)


def test_a_file_for_reading_takes_no_output() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(fd, True)
    assert not takes_output(fd)
    os.close(fd)


def test_a_file_that_is_opened_twice_is_the_same_file(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "one", "other")]
    one, again, other = (os.open(path, os.O_RDWR | os.O_CREAT) for path in paths)
    assert is_same_file(one, again)
    assert not is_same_file(one, other)
    for fd in (one, again, other):
        os.close(fd)
