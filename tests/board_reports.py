"""What jobs report to a relay whose time is a test's own."""

from __future__ import annotations

from typing import Any

from relay_process import HTTPClient
from relay_use import SECOND, Clock
from run_http import new_id, send

HOUR = 3600.0
DAY = 24 * HOUR


class Reporter:
    """Reports runs to `relay` as they were at its own time."""

    def __init__(self, relay: HTTPClient, clock: Clock) -> None:
        self._relay = relay
        self._clock = clock

    def start(self, job: str, *, ago: float, instance: str = "", **more: Any) -> None:
        """Report a run that began so many seconds ago, and say nothing of its end."""
        self._send(job, ago, instance, {"state": "started", **more})

    def finish(
        self,
        job: str,
        outcome: str = "success",
        *,
        ago: float = HOUR,
        seconds: float = 60,
        instance: str = "",
        **more: Any,
    ) -> None:
        """Report one that took so many seconds."""
        end = self._clock.now / SECOND - ago + seconds
        document = {"state": "finished", "finished_at": end, "outcome": outcome, **more}
        document["duration_seconds"] = seconds
        self._send(job, ago, instance, document)

    def push(self, path: str, body: str = "x 1\n", **headers: str) -> None:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        assert self._relay.put(f"/metrics/job/{path}", body, fields).status == 200

    def _send(
        self, job: str, ago: float, instance: str, document: dict[str, Any]
    ) -> None:
        labels = {"instance": instance} if instance else {}
        begun = self._clock.now / SECOND - ago
        document = {"job": job, "labels": labels, "started_at": begun, **document}
        answer = send(self._relay, document, new_id())
        assert answer.status == 200, answer.text
