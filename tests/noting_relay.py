"""A relay that takes what is reported to it, and notes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from canned_server import Asked, Canned, CannedServer, data

TAKEN = {"id": "", "replayed": False, "warnings": [], "metrics_problems": []}
"""The data with which a relay answers to a report."""


class NotingRelay(CannedServer):
    """Takes all reports, or answers them otherwise."""

    def __init__(self, answer: Callable[[Asked], Canned] | None = None) -> None:
        super().__init__(answer or (lambda _: data(TAKEN)))

    def reports(self) -> list[dict[str, Any]]:
        """Return the run documents that came, with their ids."""
        return [
            {**json.loads(asked.body), "id": asked.path.rpartition("/")[2]}
            for asked in list(self.asked)
        ]

    def ends(self) -> list[dict[str, Any]]:
        """Return those that are of an end."""
        return [each for each in self.reports() if each["state"] == "finished"]

    def end(self) -> dict[str, Any]:
        """Return the only end that was reported."""
        [end] = self.ends()
        return end
