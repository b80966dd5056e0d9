"""Runs: one execution of a job each, and what reports say of them.

A run is reported when it starts and again when it has finished; either report may come
late, twice or alone. All times are Unix nanoseconds, all durations nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from pushrelay.grouping_key import GroupingKey
from pushrelay.schedule import Expectation

REMEMBERED = 30 * 24 * 3600 * 10**9
"""So long after what it reports is the id of a run known, so that nothing counts twice.
Older reports are refused."""

LARGEST_TAIL = 10_000
"""Bytes of each output stream's end that are kept of a run."""

RESERVED_LABELS = frozenset({"le", "mode", "outcome", "quantile"})
"""Labels that the evidence of runs has itself, so that no run may have them."""


class Outcome(Enum):
    """How a run ended. One that was skipped, as another held the lock, never ran."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    SIGNAL = "signal"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run took of its machine, None where unknown; CPU time in nanoseconds."""

    user: int | None = None
    system: int | None = None
    max_rss_bytes: int | None = None
    block_reads: int | None = None
    block_writes: int | None = None
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended; None where nothing is known.

    duration: None for a run of which only the end was reported. signal: the number of
    the one that ended it. stdout, stderr: the last bytes of its output, as text.
    problems: what was wrong with its metrics, as sentences for a person.
    """

    finished_at: int
    outcome: Outcome
    duration: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage = Usage()
    stdout: str | None = None
    stderr: str | None = None
    problems: tuple[str, ...] = ()

    def with_output(self, most: int) -> End:
        """Return the same with at most so many bytes of each output."""
        return replace(
            self, stdout=_tail(self.stdout, most), stderr=_tail(self.stderr, most)
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run; None where nothing is.

    id: the 16 bytes of its UUID. key: the grouping key of its evidence and metrics.
    attempt: from 1. min_interval: what makes it early if it begins sooner after the
    start of the run before. end: None while it has not finished, as far as is known.
    """

    id: bytes
    key: GroupingKey
    started_at: int
    attempt: int = 1
    host: str | None = None
    trace_id: str | None = None
    min_interval: int | None = None
    end: End | None = None

    @property
    def reported_at(self) -> int:
        """The moment that was reported last: its end, or else its start."""
        return self.started_at if self.end is None else self.end.finished_at


@dataclass(frozen=True, slots=True)
class Report:
    """What a client says of a run.

    metrics: exposition text that the run left, if any. expectation: what the client
    expects of the job from now on; None says nothing. warnings: for the client, of what
    was understood otherwise than it was said. is_anonymous: whether the client has no
    id for its run: then an end belongs to the last anonymous start of the same key.
    is_ping: whether it is of the moment at which it came, so that an end that comes
    again has another time.
    """

    run: Run
    metrics: str | None = None
    expectation: Expectation | None = None
    warnings: tuple[str, ...] = ()
    is_anonymous: bool = False
    is_ping: bool = False


def _tail(output: str | None, most: int) -> str | None:
    """Return the end of `output` without half characters, None for nothing."""
    if output is None or not most:
        return None
    return output.encode()[-most:].decode(errors="ignore")
