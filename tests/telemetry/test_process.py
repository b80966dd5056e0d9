from __future__ import annotations

import os
import re
import resource
from contextlib import ExitStack
from pathlib import Path

import pytest

from pushrelay.telemetry import process

NUMBERS = Path("/proc/self/status")
linux = pytest.mark.skipif(not NUMBERS.exists(), reason="needs Linux' /proc")


@linux
def test_every_open_file_counts() -> None:
    before = process.usage().open_files
    # Listing the folder opens one more.
    assert before == len(os.listdir("/proc/self/fd")) - 1
    with ExitStack() as files:
        for _ in range(7):
            files.enter_context(open(os.devnull))
        assert process.usage().open_files == before + 7
    assert process.usage().open_files == before


@linux
def test_memory_is_told_as_the_kernel_tells_it() -> None:
    found = process.usage()
    kilobytes = re.search(r"VmSize:\s+(\d+) kB", NUMBERS.read_text())
    assert kilobytes is not None
    assert found.virtual_memory is not None
    assert abs(found.virtual_memory - int(kilobytes[1]) * 1024) < 10**7
    assert found.resident_memory is not None
    assert 10**6 < found.resident_memory < found.virtual_memory


def test_limits_are_those_of_the_process() -> None:
    assert process.max_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        assert process.max_virtual_memory() == float(2**64 - 1)
