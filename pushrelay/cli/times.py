"""Times as people write and read them. `now` is Unix nanoseconds throughout."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

import click

from pushrelay.durations import format_duration, parse_duration
from pushrelay.errors import InvalidDuration

_SECOND = 10**9
_PRECISIONS = ((86400, 3600), (3600, 60), (0, 1))
"""From so many seconds on, a span is told as precisely as the second number says."""

_HALF_A_YEAR = 182 * 86400.0

_UNIX_SECONDS = re.compile(r"[0-9]{9,11}(\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?")


def ago(at: float | None, now: int) -> str:
    """Return how long before `now` the Unix time `at` (seconds) was."""
    return "never" if at is None else since(at, now) + " ago"


def since(at: float, now: int) -> str:
    """Return how much time is between the Unix time `at` (seconds) and `now`."""
    return _span(now - round(at * _SECOND))


def ahead(at: float, now: int) -> str:
    """Return how long after `now` the Unix time `at` (seconds) is, or how long ago it
    should have been."""
    left = round(at * _SECOND) - now
    if left < 0:
        return f"{_span(-left)} late"
    # Rounded, since an answer takes milliseconds and 2h should not be 1h59m then.
    return f"in {_span(left + _SECOND // 2)}"


def _span(nanoseconds: int) -> str:
    seconds = max(nanoseconds, 0) // _SECOND
    precision = next(told for least, told in _PRECISIONS if seconds >= least)
    return format_duration((seconds - seconds % precision) * _SECOND)


def length(seconds: float | None) -> str:
    """Return how long something took, as precisely as one wants to read it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    return f"{seconds:.1f}s" if seconds < 60 else _span(round(seconds) * _SECOND)


def moment(at: float | None, zone: tzinfo | None) -> str:
    """Return the Unix time `at` (seconds) on the clocks of `zone`, None for this
    machine's."""
    if at is None:
        return "-"
    try:
        local = datetime.fromtimestamp(at, zone).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"  # beyond all calendars
    return f"{local:%Y-%m-%d %H:%M:%S}"


def short_moment(at: float | None, now: int, zone: tzinfo | None) -> str:
    """Return what `moment` does without the year, or if that is more than half a year
    ago or ahead, without the seconds."""
    told = moment(at, zone)
    if at is None or abs(at - now / _SECOND) > _HALF_A_YEAR:
        return told.rpartition(":")[0] or told
    return told.partition("-")[2]


def api_time(
    text: str, zone: tzinfo | None, span: str = "a time from now such as 2h"
) -> str:
    """Return a time as the API takes it: a duration, which it counts from its own now,
    as it is; else, `text` is a date, with a time on the clocks of `zone` (None for this
    machine's) or of the zone it names, or Unix seconds.

    Raises click.UsageError, which asks for `span` where a duration may stand.
    """
    if _UNIX_SECONDS.fullmatch(text) or _is_duration(text):
        return text
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        written = datetime.fromisoformat(text)
        if written.tzinfo is None and zone is not None:
            written = written.replace(tzinfo=zone)
        # Without any zone, it is read on this machine's clock.
        return f"{written.timestamp():.6f}"
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            f"{text!r} is no time: write 2026-11-26, '2026-11-26 03:00', "
            f"2026-11-26T03:00+01:00, Unix seconds, or {span}"
        ) from None


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except InvalidDuration:
        return False
    return True
