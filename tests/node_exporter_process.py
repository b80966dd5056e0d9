"""A real node_exporter as a child process that shows the files of one directory."""

from __future__ import annotations

import shutil
from pathlib import Path

from relay_process import RelayProcess


class NodeExporter(RelayProcess):
    """Shows what the files in `shown` say, and nothing of the machine."""

    executable = shutil.which("prometheus-node-exporter")

    def __init__(self, directory: Path, shown: Path) -> None:
        super().__init__(directory)
        self.shown = shown

    def command(self) -> list[str]:
        assert self.executable is not None
        return [
            self.executable,
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={self.shown}",
            f"--web.listen-address={self.address}",
            "--web.disable-exporter-metrics",
        ]

    def start(self, ready: str = "/") -> NodeExporter:
        super().start(ready)
        return self
