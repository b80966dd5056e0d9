"""Relays of one database as child processes."""

from __future__ import annotations

import sys
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
