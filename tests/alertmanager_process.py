"""A real Alertmanager as a child process, and whom it tells."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canned_server import Asked, Canned, CannedServer
from relay_process import RelayProcess


class Alertmanager(RelayProcess):
    """An Alertmanager of its own, with a `configuration` as YAML."""

    executable = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")

    def __init__(self, directory: Path, configuration: str) -> None:
        super().__init__(directory)
        self.log_path = directory / "alertmanager.log"
        self.configuration = directory / "alertmanager.yml"
        self.configuration.write_text(configuration)

    def command(self) -> list[str]:
        assert self.executable is not None
        return [
            self.executable,
            f"--config.file={self.configuration}",
            f"--storage.path={self.directory / 'alertmanager'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are active, those that are inhibited among them."""
        response = self.get("/api/v2/alerts")
        assert response.status == 200, response.text
        alerts: list[dict[str, Any]] = json.loads(response.body)
        return alerts


@dataclass(frozen=True)
class Told:
    """What a message says of an alert. group: the labels that the message is about."""

    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    group: dict[str, str]


class Webhook(CannedServer):
    """Whom an Alertmanager tells. hear: is called for each alert of a message."""

    def __init__(self, hear: Callable[[Told], None] = lambda _: None) -> None:
        self.told: list[Told] = []
        self._hear = hear
        super().__init__(self._take)

    def _take(self, asked: Asked) -> Canned:
        message = json.loads(asked.body)
        for alert in message["alerts"]:
            told = Told(
                message["receiver"],
                alert["status"],
                alert["labels"],
                alert["annotations"],
                message["groupLabels"],
            )
            self.told.append(told)
            self._hear(told)
        # Else a connection could end just when it is used again.
        return Canned(headers={"Connection": "close"})
