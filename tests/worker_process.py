"""What the worker process of a relay has: threads, connections to a server."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from relay_process import RelayProcess
from waiting import wait_until


def worker_of(relay: RelayProcess) -> int:
    """Return the process id of the relay's worker, when there is one."""
    pid = master_of(relay)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 1, "that there is a worker")
    return int(children.read_text())


def master_of(relay: RelayProcess) -> int:
    """Return the process id of the one that starts workers."""
    assert relay.process is not None
    return relay.process.pid


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def connections_of(pid: int, *ports: int) -> int:
    """Return how many TCP connections to these ports of the loopback a process has, or
    is about to have."""
    sockets = set(_sockets(pid))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    remote = {f"0100007F:{port:04X}" for port in ports}
    return sum(row[2] in remote and row[9] in sockets for row in rows)


def _sockets(pid: int) -> list[str]:
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += re.findall(r"^socket:\[(\d+)\]$", os.readlink(each))
    return found
