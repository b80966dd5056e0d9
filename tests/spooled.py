"""Reports for the spool, and how tests look into its directory."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool

URL = "http://relay.example.org:9091"
OTHER_URL = "http://other.example.org/push"
NOW = 1795378900.0
DAY = 86400.0


def started(at: float = NOW - 10, run_id: str | None = None, **fields: Any) -> Report:
    """Return the start of a run, of a new one if there is no id."""
    document = {"job": "nightly", "state": "started", "started_at": at, **fields}
    return Report(run_id or str(uuid.uuid4()), document)


def finished(at: float = NOW - 5, run_id: str | None = None, **fields: Any) -> Report:
    """Return the finish of a run that took two seconds."""
    document = {"job": "nightly", "state": "finished", "outcome": "success"}
    times = {"started_at": at - 2, "finished_at": at}
    return Report(run_id or str(uuid.uuid4()), {**document, **times, **fields})


def finish_of(start: Report, **fields: Any) -> Report:
    """Return the finish of the run that began with `start`."""
    return finished(start.at + 5, start.run_id, started_at=start.at, **fields)


def reports_of(spool: Spool, url: str | None = None) -> list[Report]:
    """Return what is to be delivered."""
    return [entry.report for entry in spool.waiting(url)]


def files(directory: Path) -> list[str]:
    """Return what is in a spool's directory: the files below it, but for its lock."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return [path.name for path in found if path.name != "lock"]
