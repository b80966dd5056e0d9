"""The rows of the jobs board as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge

from markupsafe import Markup

from pushrelay.board_rows import BoardRow, RowState
from pushrelay.run_evidence import LastRun
from pushrelay.run_marks import RunMark
from pushrelay.web.charts import sparkline
from pushrelay.web.pages.addresses import job_address, run_address
from pushrelay.web.pages.layout import cut, moment
from pushrelay.web.pages.run_words import Ending, last_words

NAME_CHARACTERS = 200
"""How much of the name of a job or of an instance is shown."""

MARKS = 30
"""So many runs are in the sparkline of a row."""


@dataclass(frozen=True, slots=True)
class LastRunEntry:
    """The run that finished last. address: of its page. duration: nanoseconds; None if
    it is not known."""

    address: str
    ending: Ending
    ended_at: datetime | None
    duration: int | None


@dataclass(frozen=True, slots=True)
class BoardEntry:
    """A row as the page shows it; names are cut, times None for never.

    address: of the page of the job. next_expected: None also while the job is paused.
    pushed_at: None also if there are runs. stale_at: None also if a run is expected,
    unless it is why the row is stale.
    """

    job: str
    instance: str
    address: str
    state: RowState
    last_run: LastRunEntry | None
    running: int
    running_since: datetime | None
    abandoned: int
    failures: int
    failing_since: datetime | None
    next_expected: datetime | None
    missed_slots: int
    paused_until: datetime | None
    pushed_at: datetime | None
    push_failed_at: datetime | None
    stale_at: datetime | None
    sparkline: Markup | None


def board_entry(row: BoardRow, marks: Mapping[bytes, Sequence[RunMark]]) -> BoardEntry:
    """Return what is shown of `row`; marks: of its last runs, by key, by start."""
    runs = _last_of([marks.get(key, ()) for key in row.keys])
    is_stale = row.state is RowState.STALE
    return BoardEntry(
        job=cut(row.job, NAME_CHARACTERS),
        instance=cut(row.instance, NAME_CHARACTERS),
        address=job_address(row.job, row.instance),
        state=row.state,
        last_run=_last_run(row.last_run) if row.last_run else None,
        running=row.running,
        running_since=moment(row.running_since),
        abandoned=row.abandoned,
        failures=row.failures,
        failing_since=moment(row.failing_since),
        next_expected=None if row.paused_until else moment(row.next_expected),
        missed_slots=row.missed_slots,
        paused_until=moment(row.paused_until),
        pushed_at=None if row.keys else moment(row.pushed_at),
        push_failed_at=moment(row.push_failed_at),
        stale_at=moment(row.stale_at) if is_stale or not row.next_expected else None,
        sparkline=sparkline(runs) if runs else None,
    )


def _last_of(marks: Iterable[Sequence[RunMark]]) -> list[RunMark]:
    return list(merge(*marks, key=lambda mark: mark.started_at))[-MARKS:]


def _last_run(run: LastRun) -> LastRunEntry:
    return LastRunEntry(
        address=run_address(run.id),
        ending=Ending(run.outcome.value, last_words(run)),
        ended_at=moment(run.finished_at),
        duration=run.duration,
    )
