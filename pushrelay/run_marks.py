"""Runs as charts show them: when, for how long, with what outcome, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from pushrelay.runs import Outcome


@dataclass(frozen=True, slots=True)
class RunMark:
    """A run on a chart; Unix nanoseconds.

    id: the 16 bytes of its UUID. key: id of its grouping key. finished_at, outcome:
    None while its end is not known.
    """

    id: bytes
    key: bytes
    started_at: int
    finished_at: int | None
    outcome: Outcome | None
