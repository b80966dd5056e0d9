"""What charts say in words: moments, how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from pushrelay.web.spoken import SECOND


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
