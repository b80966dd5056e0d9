"""What the processes of a server take of the machine."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client import Connection


class Processes:
    """The processes below the one with the id `root`, as they are now.

    Raises OSError where the system does not tell of them.
    """

    def __init__(self, root: int) -> None:
        self._pids = [root]
        for pid in self._pids:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            self._pids += map(int, children.split())
        # How Linux writes the processor clock of another process.
        self._clocks = [(~pid << 3) | 2 for pid in self._pids]

    def __iter__(self) -> Iterator[int]:
        return iter(self._pids)

    def memory(self) -> int:
        """Return the bytes they take, with their part of what is shared."""
        return sum(map(_proportional_bytes, self._pids))

    def processor_seconds(self) -> float:
        """Return the processor time they took until now.

        Of a thread that runs, the kernel tells what it had taken at the last tick, 4 ms
        ago or less: ask while they wait, or are `stopped`.
        """
        return sum(map(time.clock_gettime, self._clocks))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Hold them where they are while the block runs."""
        # The worker, which does the work, is the last.
        for pid in self._pids[::-1]:
            os.kill(pid, signal.SIGSTOP)
        # A thread that is in the kernel stops when it leaves it.
        time.sleep(0.001)
        try:
            yield
        finally:
            for pid in self._pids:
                os.kill(pid, signal.SIGCONT)


def _proportional_bytes(pid: int) -> int:
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", told, re.M)
    return int(found[1]) * 1024 if found else 0


def processor_time(
    processes: Processes, connection: Connection, request: bytes
) -> tuple[float, int]:
    """Return the server's processor time for `request`, and the answer's length."""
    before = _at_rest(processes)
    connection.send(request)
    length = connection.drain()
    return _at_rest(processes) - before, length


def until_first_byte(
    processes: Processes, connection: Connection, request: bytes
) -> float:
    """Return the server's processor time until the answer's first bytes had come.

    It is then held, for else it would go on with the answer while it is looked at.
    """
    found: list[float] = []

    def take(_part: memoryview) -> None:
        if not found:
            with processes.stopped():
                found.append(processes.processor_seconds())

    before = _at_rest(processes)
    connection.send(request)
    connection.drain(take)
    return found[0] - before


def _at_rest(processes: Processes) -> float:
    time.sleep(0.005)
    return processes.processor_seconds()
