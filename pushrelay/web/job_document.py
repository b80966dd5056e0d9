"""Jobs as JSON objects."""

from __future__ import annotations

import uuid
from typing import Any

from pushrelay.expectation_documents import to_document
from pushrelay.expectations import JobExpectation
from pushrelay.key_states import KeyState
from pushrelay.run_evidence import LastRun
from pushrelay.run_states import JobState, State
from pushrelay.web.answers import seconds


def job_document(state: JobState) -> dict[str, Any]:
    """Return the JSON object of a job; its times are Unix seconds, None for never or
    unknown."""
    expected, ahead = state.expected, state.outlook
    is_paused = state.state is State.PAUSED
    return {
        "job": state.job,
        "state": state.state.value,
        "last_start": seconds(state.last_start),
        "last_run": _last_run(state.last_run),
        "last_success": seconds(state.last_success),
        "running": state.running,
        "running_since": seconds(state.running_since),
        "abandoned": state.abandoned,
        "abandoned_since": seconds(state.abandoned_since),
        "consecutive_failures": state.failures,
        "failing_since": seconds(state.failing_since),
        "next_expected": seconds(ahead.next_expected),
        "overdue": ahead.is_overdue,
        "missed_slots": ahead.missed_slots,
        "paused_until": seconds(expected.paused_until) if is_paused else None,
        "expectation": _expectation(expected),
        "expectation_from": expected.slots_from and expected.slots_from.value,
        "instances": state.keys,
    }


def key_document(found: KeyState) -> dict[str, Any]:
    """Return the JSON object of one grouping key of a job."""
    labels, held, opened = dict(found.key.labels), found.evidence, found.opened
    del labels["job"]
    return {
        "labels": labels,
        "overdue": found.is_overdue,
        "last_start": seconds(held.last_start) if held else None,
        "last_run": _last_run(held.last_run) if held else None,
        "consecutive_failures": held.failures if held else 0,
        "failing_since": seconds(held.failing_since) if held else None,
        "running": opened.running,
        "running_since": seconds(opened.since),
        "abandoned": opened.abandoned,
        "abandoned_since": seconds(opened.abandoned_since),
    }


def _last_run(run: LastRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "id": str(uuid.UUID(bytes=run.id)),
        "outcome": run.outcome.value,
        "finished_at": seconds(run.finished_at),
        # A duration of 0 is one.
        "duration_seconds": None if run.duration is None else run.duration / 10**9,
        "exit_code": run.exit_code,
    }


def _expectation(expected: JobExpectation) -> dict[str, str | bool] | None:
    effective = expected.effective
    return None if effective is None else to_document(effective)
