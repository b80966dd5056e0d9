"""The rows of the jobs board: what each instance of each job is like at some moment.

A job without the label `instance` has one row. A row follows from the evidence of runs,
from what is expected and from the groups with these labels; nothing here is stored.
Unix nanoseconds throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pushrelay.run_evidence import LastRun


class RowState(Enum):
    """What a row is like, in the order in which rows need someone's attention.

    overdue: a run was expected and did not come. failed: the last run did, or the last
    push was refused. abandoned: a run has no end and nobody waits for one. stale: no
    family of its groups is fresh. never ran: runs are expected or known, none ended.
    """

    OVERDUE = "overdue"
    FAILED = "failed"
    ABANDONED = "abandoned"
    STALE = "stale"
    NEVER_RAN = "never ran"
    RUNNING = "running"
    OK = "ok"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A job's instance at some moment; times are 0 or None for never.

    instance: empty for groups and runs without such a label. last_run: that finished
    last. running, running_since: unfinished runs that may be at work. abandoned: those
    that nobody waits for. failures: in a row, the most of any key; failing_since: when
    the first of them ended. next_expected: the first slot that no run has satisfied;
    missed_slots: how many were missed since. pushed_at: of the groups' last accepted
    push; push_failed_at: of their last refused one, if none was accepted since.
    stale_at: when the last of them goes stale or went; keys: ids of the grouping keys
    that have runs. groups: how many groups. due: when the state may change without a
    report or a push.
    """

    job: str
    instance: str
    state: RowState
    last_run: LastRun | None
    last_start: int
    last_success: int
    running: int
    running_since: int | None
    abandoned: int
    failures: int
    failing_since: int | None
    next_expected: int | None
    missed_slots: int
    paused_until: int | None
    pushed_at: int
    push_failed_at: int
    stale_at: int | None
    keys: tuple[bytes, ...]
    groups: int
    due: int | None
