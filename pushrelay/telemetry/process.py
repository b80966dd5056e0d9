"""What the process runs on, and what it uses of the machine.

Sizes come from Linux' /proc; where there is none, they are None.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from dataclasses import dataclass

_GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process uses.

    cpu_seconds: user and system CPU time that was spent.
    virtual_memory: bytes of all that is mapped; resident_memory: those in memory.
    open_files: number of open file descriptors.
    """

    cpu_seconds: float
    virtual_memory: float | None
    resident_memory: float | None
    open_files: float | None


def usage() -> Usage:
    """Return what the process uses now."""
    mapped, resident = _memory()
    return Usage(time.process_time(), mapped, resident, _open_files())


def max_virtual_memory() -> float:
    """Return the limit of the virtual memory; without one, what Go's client shows."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float(2**64 - 1 if limit == resource.RLIM_INFINITY else limit)


def max_files() -> float:
    """Return the limit of open file descriptors."""
    return float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def go_machine() -> str:
    """Return the machine's architecture by the name that Go has for it."""
    machine = platform.machine()
    return _GO_MACHINES.get(machine, machine)


def go_system() -> str:
    """Return the operating system by the name that Go has for it."""
    return platform.system().lower()


def _memory() -> tuple[float | None, float | None]:
    """Return the bytes that are mapped, and those that are in memory."""
    try:
        # /proc/self/stat has them too, and costs the kernel more.
        with open("/proc/self/statm", "rb", buffering=0) as file:
            mapped, resident = file.read().split(maxsplit=2)[:2]
    except OSError:
        return None, None
    page = resource.getpagesize()
    return float(int(mapped) * page), float(int(resident) * page)


def _open_files() -> float | None:
    try:
        # Since 6.2 Linux tells the number as the folder's size, and before says 0.
        # Listing the folder opens one more.
        size = os.stat("/proc/self/fd").st_size
        return float(size or len(os.listdir("/proc/self/fd")) - 1)
    except OSError:
        return None
