"""What is expected of a job, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pushrelay.expectations import JobExpectation, Source
from pushrelay.schedule import Expectation
from pushrelay.web.pages.layout import cut, moment
from pushrelay.web.spoken import exact_duration

MOST_CHARACTERS = 300

_SOURCES = {
    Source.API: "Said at the API",
    Source.REPORT: "Said by the job with its reports",
    Source.RULE: "Said by a job rule",
}


@dataclass(frozen=True, slots=True)
class ExpectedWords:
    """What is expected: facts by name; source: who said when runs are expected, empty
    if nobody does. since: when that became known."""

    facts: list[tuple[str, str]]
    source: str
    since: datetime | None


def expected_words(expected: JobExpectation) -> ExpectedWords | None:
    """Return what is expected; None if nothing is."""
    effective, source = expected.effective, expected.slots_from
    if effective is None:
        return None
    return ExpectedWords(
        [(name, told) for name, told in _facts(effective) if told],
        _SOURCES[source] if source else "",
        moment(expected.since) if source else None,
    )


def _facts(expectation: Expectation) -> list[tuple[str, str]]:
    has_slots = expectation.has_slots
    return [
        ("Cron schedule", cut(expectation.schedule or "", MOST_CHARACTERS)),
        ("On calendar", cut(expectation.on_calendar or "", MOST_CHARACTERS)),
        ("Every", _duration(expectation.every)),
        ("Time zone", expectation.tz if expectation.follows_clocks else ""),
        ("Grace", _duration(expectation.grace) if has_slots else ""),
        ("Must run", "each instance" if expectation.per_instance else ""),
        ("Longest run", _duration(expectation.max_runtime)),
        ("Least time between starts", _duration(expectation.min_interval)),
    ]


def _duration(nanoseconds: int | None) -> str:
    return "" if nanoseconds is None else exact_duration(nanoseconds)
