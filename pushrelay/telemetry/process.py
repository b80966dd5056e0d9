"""What the process runs on, and what it uses of the machine.

Sizes come from Linux' /proc; where there is none, they are None.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

_GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def go_machine() -> str:
    """Return the machine's architecture by the name that Go has for it."""
    machine = platform.machine()
    return _GO_MACHINES.get(machine, machine)


def go_system() -> str:
    """Return the operating system by the name that Go has for it."""
    return platform.system().lower()


def cpu_seconds() -> float:
    """Return the user and system CPU time that was spent."""
    return time.process_time()


def virtual_memory() -> float | None:
    """Return the bytes of all that is mapped."""
    stat = _proc_stat()
    return float(stat[20]) if stat else None


def resident_memory() -> float | None:
    """Return the bytes that are in memory."""
    stat = _proc_stat()
    return float(stat[21]) * resource.getpagesize() if stat else None


def max_virtual_memory() -> float:
    """Return the limit of `virtual_memory`; without one, what Go's client shows."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float(2**64 - 1 if limit == resource.RLIM_INFINITY else limit)


def open_files() -> float | None:
    """Return the number of open file descriptors."""
    try:
        return float(len(os.listdir("/proc/self/fd")))
    except OSError:
        return None


def max_files() -> float:
    """Return the limit of `open_files`."""
    return float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _proc_stat() -> list[str]:
    """The fields of /proc/self/stat that follow the command's name."""
    try:
        return Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
