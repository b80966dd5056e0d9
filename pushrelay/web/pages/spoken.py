"""Times and durations as people say them. The script of the pages says them alike."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from pushrelay.web.pages.layout import pages

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_MILLISECOND = 10**6


@pages.app_template_filter("relative")
def relative(at: datetime, now: datetime) -> str:
    """Return how long before or after `now` it is."""
    seconds = (now - at).total_seconds()
    if seconds <= -1:
        return f"in {span(-seconds)}"
    return f"{span(seconds)} ago"


@pages.app_template_filter("span")
def span(seconds: float) -> str:
    """Return how long that is, in one unit, rounded down."""
    whole = int(seconds)
    # Two days are still told in hours.
    for size, unit in _UNITS:
        if whole >= (2 * size if unit == "d" else size):
            return f"{whole // size} {unit}"
    return "0 s"


@pages.app_template_filter("duration")
def duration(nanoseconds: int) -> str:
    """Return how long that is, in two units at most."""
    milliseconds = round(nanoseconds / _MILLISECOND)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    rest = round(milliseconds / 1000)
    for (size, unit), (smaller, part) in pairwise(_UNITS):
        if rest >= size:
            parts = rest % size // smaller
            return f"{rest // size} {unit}" + (f" {parts} {part}" if parts else "")
    return f"{rest} s"
