"""The gauges that tell of a job's last run, for what is no relay and keeps no runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

from pushrelay.exposition.floats import format_float
from pushrelay.exposition.run_help import LAST_RUN_HELP, RUN_PREFIX
from pushrelay.model import exposed_labels
from pushrelay.wrapper.reports import Report

GAUGES = {RUN_PREFIX + name: help_ for name, help_ in LAST_RUN_HELP.items()}
"""The HELP texts of all gauges, by name."""

LAST_START = f"{RUN_PREFIX}last_start_timestamp_seconds"
LAST_FINISH = f"{RUN_PREFIX}last_finish_timestamp_seconds"
LAST_SUCCESS = f"{RUN_PREFIX}last_success_timestamp_seconds"
_LAST_DURATION = f"{RUN_PREFIX}last_duration_seconds"
_LAST_EXIT_CODE = f"{RUN_PREFIX}last_exit_code"
_LAST_MAX_RSS = f"{RUN_PREFIX}last_max_rss_bytes"

TIMES = (LAST_START, LAST_FINISH, LAST_SUCCESS)
"""The gauges by which a report is newer or older than what is shown."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")

Gauges = Mapping[str, float | None]
"""Values by the names of gauges; None for one that is not known, and whose series must
not stay as it was."""


def is_skipped(report: Report) -> bool:
    """Whether the run never was one, as another held the lock."""
    return bool(report.document.get("outcome") == "skipped")


def labels_of(report: Report) -> dict[str, str]:
    """Return the labels of the run, `job` among them, as UTF-8 can have them."""
    document = report.document
    given = {**(document.get("labels") or {}), "job": document["job"]}
    return {as_utf8(name): as_utf8(value) for name, value in given.items()}


def metrics_of(report: Report) -> str:
    """Return the metrics that the run left, as UTF-8 can have them."""
    return as_utf8(report.document.get("metrics") or "")


def as_utf8(text: str) -> str:
    """Return `text` without what came from bytes that are no UTF-8, as the relay reads
    it."""
    return _SURROGATE.sub("\ufffd", text)


def news(report: Report, known: Gauges, now: float) -> dict[str, float | None]:
    """Return the gauges that are otherwise after `report`.

    known: what TIMES are so far, as far as is known. What is older than they are
        changes nothing, for reports may be late, and runs may overlap. Times after
        `now`, Unix seconds, come from a clock that was wrong, and do not count.
    """

    def is_new(name: str, at: float) -> bool:
        last = known.get(name)
        return last is None or not at < last <= now

    document = report.document
    changed: dict[str, float | None] = {}
    if is_new(LAST_START, document["started_at"]):
        changed[LAST_START] = document["started_at"]
    if not report.is_finish:
        return changed
    if is_new(LAST_FINISH, report.at):
        changed |= _of_finish(report)
    if document.get("outcome") == "success" and is_new(LAST_SUCCESS, report.at):
        changed[LAST_SUCCESS] = report.at
    return changed


def exposition(gauges: Gauges, labels: Iterable[tuple[str, str]] = ()) -> str:
    """Return `gauges` in the text format, each with these labels; what is not known is
    NaN."""
    shown = exposed_labels(labels)
    braces = f"{{{shown}}}" if shown else ""
    return "".join(
        f"# HELP {name} {help_}\n# TYPE {name} gauge\n"
        f"{name}{braces} {format_float(_or_nan(gauges[name]))}\n"
        for name, help_ in GAUGES.items()
        if name in gauges
    )


def _of_finish(report: Report) -> dict[str, float | None]:
    document = report.document
    duration = _number(document.get("duration_seconds"))
    if duration is None:
        duration = report.at - document["started_at"]
    usage = document.get("usage") or {}
    return {
        LAST_FINISH: report.at,
        _LAST_DURATION: duration,
        _LAST_EXIT_CODE: _number(document.get("exit_code")),
        _LAST_MAX_RSS: _number(usage.get("max_rss_bytes")),
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
