"""What charts say in words: durations, moments, how many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from pushrelay.durations import format_duration

MILLISECOND = 10**6
SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_BETWEEN_UNITS = re.compile(r"(?<=[a-z])(?=\d)")
_ROUNDED = ((10 * DAY, DAY), (DAY, HOUR), (HOUR, MINUTE), (10 * SECOND, SECOND))


def in_words(duration: int) -> str:
    """Return a duration as a person would say it: `3m 2s`, `1.5s`, `2d 3h`.

    No more than two units; what is smaller is rounded.
    """
    for least, unit in _ROUNDED:
        if duration >= least:
            exact = format_duration((duration + unit // 2) // unit * unit)
            return _BETWEEN_UNITS.sub(" ", exact)
    if duration >= SECOND:
        return f"{duration / SECOND:.1f}".removesuffix(".0") + "s"
    return format_duration(max(duration, 0))


def utc(at: int) -> str:
    """Return a Unix time in nanoseconds as a moment in UTC, to the second."""
    return f"{date(at)} UTC"


def date(at: int) -> str:
    """Return the same without a zone."""
    return moment(at).isoformat(" ")


def moment(at: int) -> datetime:
    """Return the second of a Unix time in nanoseconds, without a zone, in UTC."""
    return datetime.fromtimestamp(at // SECOND, UTC).replace(tzinfo=None)


def counted(count: int, singular: str, plural: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {singular if count == 1 else plural}"


def tally(words: Iterable[str]) -> str:
    """Return how often there is each of some words: `28 success, 2 failure`."""
    return ", ".join([f"{n:,} {word}" for word, n in Counter(words).most_common()])
