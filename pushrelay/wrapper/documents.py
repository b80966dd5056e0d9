"""Run documents of what the wrapper saw."""

from __future__ import annotations

import time

from pushrelay.wrapper.host import time_zone
from pushrelay.wrapper.reports import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from resource import struct_rusage as Usage
    from typing import Any

EXPECTATION_FIELDS = (
    "schedule",
    "on_calendar",
    "every",
    "grace",
    "tz",
    "min_interval",
    "max_runtime",
)
"""What may be said of when a job should run: names of fields, options, parameters."""

_KIBIBYTE = 1024


class Run:
    """One execution of a job.

    fields: those of a run document that do not change: job, labels and more.
    started_at: Unix seconds; started: the same moment on the monotonic clock.
    """

    def __init__(
        self, run_id: str, fields: dict[str, Any], started_at: float, started: float
    ) -> None:
        self._run_id = run_id
        self._fields = fields
        self._started_at = started_at
        self._started = started

    def start(self) -> Report:
        """Return the report of its start."""
        document = {**self._fields, "state": "started", "started_at": self._started_at}
        return Report(self._run_id, document)

    def finish(self, outcome: str, finished: float, **more: Any) -> Report:
        """Return the report of its end, `finished` on the monotonic clock.

        more: other fields of it.
        """
        duration = finished - self._started
        finished_at = time.time() - (time.monotonic() - finished)
        if finished_at < self._started_at:
            # The clock was put back meanwhile.
            finished_at = self._started_at + duration
        document = {
            **self._fields,
            "state": "finished",
            "started_at": self._started_at,
            "finished_at": finished_at,
            "duration_seconds": duration,
            "outcome": outcome,
            **more,
        }
        return Report(self._run_id, document)


def expectation(
    said: Mapping[str, str | None], environ: Mapping[str, str]
) -> dict[str, str] | None:
    """Return what is expected of the job, None for nothing.

    said: EXPECTATION_FIELDS as they are written, and maybe others.
    """
    fields = {name: said[name] for name in EXPECTATION_FIELDS}
    if fields["tz"] is None and (fields["schedule"] or fields["on_calendar"]):
        fields["tz"] = time_zone(environ)
    return {name: value for name, value in fields.items() if value} or None


def usage_document(usage: Usage) -> dict[str, float]:
    """Return what was used, for a run document."""
    return {
        "user_seconds": usage.ru_utime,
        "system_seconds": usage.ru_stime,
        "max_rss_bytes": usage.ru_maxrss * _KIBIBYTE,
        "block_reads": usage.ru_inblock,
        "block_writes": usage.ru_oublock,
        "voluntary_switches": usage.ru_nvcsw,
        "involuntary_switches": usage.ru_nivcsw,
    }
