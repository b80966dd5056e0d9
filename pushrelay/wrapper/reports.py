"""What is reported of a run: a run document on its way to a relay."""

from __future__ import annotations

from typing import Any, NamedTuple

DEFAULT_URL = "http://localhost:9091"
"""Where reports go if nobody says."""


class Report(NamedTuple):
    """What `PUT /api/v1/runs/{run_id}` takes.

    run_id: a UUID. document: the run document, ready for JSON; for its fields see
        `pushrelay.run_documents`.
    """

    run_id: str
    document: dict[str, Any]

    @property
    def is_finish(self) -> bool:
        """Whether it reports the end of the run, and with it all of the run."""
        return bool(self.document["state"] == "finished")

    @property
    def at(self) -> float:
        """When what is reported happened, Unix seconds."""
        return float(self.document["finished_at" if self.is_finish else "started_at"])
