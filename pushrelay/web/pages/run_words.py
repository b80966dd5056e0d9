"""Runs in words: how one ended, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from signal import Signals

from pushrelay.listed_runs import ListedRun
from pushrelay.run_evidence import LastRun
from pushrelay.runs import End, Outcome, Usage
from pushrelay.web.spoken import duration, size


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, if it did.

    name: its outcome, or `running` or `abandoned`. words: the same for a person, to
    stand alone or behind "the last run".
    """

    name: str
    words: str

    @property
    def is_bad(self) -> bool:
        """Whether someone should know why."""
        return self.name in ("failure", "timeout", "signal", "abandoned")


def ending_of(listed: ListedRun) -> Ending:
    """Return how the run ended."""
    if (end := listed.run.end) is not None:
        return Ending(end.outcome.value, outcome_words(end))
    if listed.is_abandoned:
        return Ending("abandoned", "abandoned: no end was reported")
    return Ending("running", "still running")


def outcome_words(end: End) -> str:
    """Return the outcome of a run that ended so."""
    match end.outcome:
        case Outcome.SUCCESS:
            return "succeeded"
        case Outcome.FAILURE:
            return f"exited with {end.exit_code}" if end.exit_code else "failed"
        case Outcome.TIMEOUT:
            return "timed out"
        case Outcome.SIGNAL if end.signal is not None:
            return f"killed by {signal_words(end.signal)}"
        case Outcome.SIGNAL:
            return "killed by a signal"
    return "skipped: another run had the lock"


def last_words(last: LastRun) -> str:
    """Return how the run ended that finished last; which signal it was is not kept."""
    return outcome_words(End(last.finished_at, last.outcome, exit_code=last.exit_code))


def signal_words(number: int) -> str:
    """Return what a signal is called, by number and name."""
    try:
        return f"signal {number} ({Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def code_of(end: End | None) -> str:
    """Return the exit code or the signal that a run ended with, empty for neither."""
    if end is None:
        return ""
    if end.signal is not None:
        return signal_words(end.signal)
    return "" if end.exit_code is None else str(end.exit_code)


def usage_facts(usage: Usage) -> list[tuple[str, str]]:
    """Return what a run took of its machine, by what it is, as far as it is known."""
    memory = usage.max_rss_bytes
    facts = [
        (
            "CPU time",
            _joined(user=_length(usage.user), system=_length(usage.system)),
        ),
        ("Memory", "" if memory is None else f"{size(memory)} at most"),
        (
            "Blocks",
            _joined(read=_count(usage.block_reads), written=_count(usage.block_writes)),
        ),
        (
            "Context switches",
            _joined(
                voluntary=_count(usage.voluntary_switches),
                involuntary=_count(usage.involuntary_switches),
            ),
        ),
    ]
    return [(name, told) for name, told in facts if told]


def _joined(**values: str | None) -> str:
    known = [f"{told} {name}" for name, told in values.items() if told is not None]
    return ", ".join(known)


def _length(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else duration(nanoseconds)


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"
