"""Relays of one database as child processes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_process import RelayProcess


class Replica(RelayProcess):
    """A relay of the database at `url`, whose log is in `directory`."""

    def __init__(self, directory: Path, url: str, *flags: str) -> None:
        super().__init__(directory, *flags)
        self.url = url

    def command(self) -> list[str]:
        return [
            *(sys.executable, *self.program, "serve"),
            f"--web.listen-address={self.address}",
            f"--database.url={self.url}",
            *self.flags,
        ]


@contextmanager
def running(*replicas: Replica) -> Iterator[None]:
    """Have them run; they end all at once, as each takes a while to."""
    try:
        for replica in replicas:
            replica.start()
        yield
        for replica in replicas:
            assert replica.process is not None
            replica.process.send_signal(signal.SIGTERM)
        for replica in replicas:
            replica.wait()
    finally:
        for replica in replicas:
            replica.kill()
