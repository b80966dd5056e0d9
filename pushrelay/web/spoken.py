"""Times, durations and sizes as people say them. The script of the pages says how long
ago something was alike."""

from __future__ import annotations

from datetime import datetime

MILLISECOND = 10**6
SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
_SMALL_UNITS = ((MILLISECOND, "ms"), (1000, "µs"), (1, "ns"))
_ROUNDED = ((10 * DAY, DAY), (DAY, HOUR), (HOUR, MINUTE), (10 * SECOND, SECOND))
"""From the first on, durations are told in whole ones of the second."""

_STEPS = ("B", "KiB", "MiB", "GiB", "TiB")


def relative(at: datetime, now: datetime) -> str:
    """Return how long before or after `now` it is."""
    seconds = (now - at).total_seconds()
    if seconds <= -1:
        return f"in {span(-seconds)}"
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """Return how long that is, in one unit, rounded down."""
    nanoseconds = int(seconds) * SECOND
    # Two days are still told in hours.
    for size, unit in _UNITS:
        if nanoseconds >= (2 * size if unit == "d" else size):
            return f"{nanoseconds // size} {unit}"
    return "0 s"


def duration(nanoseconds: float) -> str:
    """Return about how long that is, in two units at most: `2 d 3 h`, `1.5 s`."""
    for least, unit in _ROUNDED:
        if nanoseconds >= least:
            return exact_duration(round(nanoseconds / unit) * unit)
    milliseconds = max(nanoseconds, 0) / MILLISECOND
    if milliseconds >= 999.5:
        return f"{_tenths(milliseconds / 1000)} s"
    if milliseconds >= 9.95:
        return f"{milliseconds:.0f} ms"
    return f"{_tenths(milliseconds)} ms" if milliseconds >= 0.05 else "0 s"


def exact_duration(nanoseconds: int) -> str:
    """Return how long that is, in as many units as it takes."""
    told, rest = [], nanoseconds
    for size, unit in (*_UNITS, *_SMALL_UNITS):
        if rest >= size:
            told.append(f"{rest // size} {unit}")
            rest %= size
    return " ".join(told) or "0 s"


def size(number: int) -> str:
    """Return a number of bytes, rounded."""
    shown, unit = float(number), _STEPS[0]
    for unit in _STEPS:
        if shown < 1024 or unit == _STEPS[-1]:
            break
        shown /= 1024
    return (
        f"{shown:.0f} {unit}" if unit == "B" or shown >= 100 else f"{shown:.1f} {unit}"
    )


def _tenths(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
