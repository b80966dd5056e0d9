"""Moments as people write them: Unix seconds, RFC 3339, or a time from now."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidDuration, InvalidRequest
from pushrelay.quoting import quote
from pushrelay.web.parameters import Parameters

_SECOND = 10**9
_LATEST = 2**63 - 1

_UNIX = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,30})?")
# A plus that nobody encoded has become a space.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?"
    r"(?:([Zz])|([+ -])(\d\d:\d\d))",
    re.ASCII,
)


def past_moment(parameters: Parameters, name: str, now: int) -> int | None:
    """Return the moment that the parameter `name` is, Unix nanoseconds; a duration is
    one before `now`. Raises InvalidRequest."""
    return _moment(parameters, name, now, -1, "7d for seven days ago")


def coming_moment(parameters: Parameters, name: str, now: int) -> int | None:
    """Return the same; a duration is one after `now`."""
    return _moment(parameters, name, now, 1, "2h for two hours from now")


def _moment(
    parameters: Parameters, name: str, now: int, direction: int, example: str
) -> int | None:
    written = parameters.one(name)
    if written is None:
        return None
    moment = _absolute(written)
    if moment is None:
        with suppress(InvalidDuration):
            moment = now + direction * parse_duration(written)
    # What databases have no number for.
    if moment is None or abs(moment) > _LATEST:
        raise InvalidRequest(
            f"the parameter {name} is {quote(written[:100])}; write Unix seconds, RFC "
            f"3339 such as 2026-11-25T03:00:00Z, or {example}"
        )
    return moment


def _absolute(written: str) -> int | None:
    if _UNIX.fullmatch(written):
        return int(Decimal(written) * _SECOND)
    match = _RFC3339.fullmatch(written)
    if match is None:
        return None
    day, time, fraction, _, sign, offset = match.groups()
    zone = f"{sign.replace(' ', '+')}{offset}" if offset else "+00:00"
    try:
        whole = datetime.fromisoformat(f"{day}T{time}{zone}").timestamp()
    except (ValueError, OverflowError):
        return None
    return int(whole) * _SECOND + int((fraction or "0").ljust(9, "0")[:9])
