"""Runs as charts show them: when, for how long, with what outcome, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from pushrelay.runs import Outcome


@dataclass(frozen=True, slots=True)
class RunMark:
    """A run on a chart; Unix nanoseconds.

    id: the 16 bytes of its UUID. key: id of its grouping key. finished_at, outcome:
    None while its end is not known. is_listed: whether its document is kept, so that
    there is more to be seen of it. is_abandoned: as of a `ListedRun`.
    """

    id: bytes
    key: bytes
    started_at: int
    finished_at: int | None
    outcome: Outcome | None
    is_listed: bool = True
    is_abandoned: bool = False
