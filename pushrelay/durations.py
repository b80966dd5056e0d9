"""Durations as Prometheus writes them: `1h30m`, `26h`, `30d`."""

from __future__ import annotations

from pushrelay.errors import InvalidDuration
from pushrelay.quoting import quote

_MILLISECOND = 1_000_000
_SECOND = 1000 * _MILLISECOND
_DAY = 24 * 3600 * _SECOND
_UNITS = {
    "y": 365 * _DAY,
    "w": 7 * _DAY,
    "d": _DAY,
    "h": 3600 * _SECOND,
    "m": 60 * _SECOND,
    "s": _SECOND,
    "ms": _MILLISECOND,
}
_RANKS = {unit: rank for rank, unit in enumerate(_UNITS)}
_DIGITS = "0123456789"
_LONGEST = 2**63 - 1
# Far more than a duration needs; Python refuses to read very long numbers.
_MOST_CHARACTERS = 100


def parse_duration(text: str) -> int:
    """Return the nanoseconds, always whole milliseconds, that `text` stands for.

    Whole numbers with their units, the larger ones first; or just `0`. A day has 24
    hours, a week 7 days, a year 365. Raises InvalidDuration for anything else, and for
    more than Prometheus takes: 2^63 - 1 nanoseconds, about 292 years.
    """
    if text == "0":
        return 0
    terms = _terms(text) if len(text) <= _MOST_CHARACTERS else None
    if not terms:
        raise InvalidDuration(
            f"{_shown(text)} is not a duration: write whole numbers with their units, "
            "the larger units first, such as 1h30m or 26h; the units are y, w, d, h, "
            "m, s and ms"
        )
    nanoseconds = sum([number * _UNITS[unit] for number, unit in terms])
    if nanoseconds > _LONGEST:
        raise InvalidDuration(
            f"the duration {_shown(text)} is too long: the longest is 292y"
        )
    return nanoseconds


def format_duration(nanoseconds: int) -> str:
    """Return a duration as Prometheus prints it, parts of a millisecond left out.

    Years and weeks only where nothing smaller is left: `90d` is easier to read than
    `12w6d`. `nanoseconds` must not be negative.
    """
    rest = nanoseconds - nanoseconds % _MILLISECOND
    parts = []
    for unit, length in _UNITS.items():
        number, remainder = divmod(rest, length)
        if number and not (remainder and unit in ("y", "w")):
            parts.append(f"{number}{unit}")
            rest = remainder
    return "".join(parts) or "0s"


def _terms(text: str) -> list[tuple[int, str]] | None:
    """Return the numbers of `text` with their units; None if it is no duration."""
    # Without regular expressions: the wrapper reads durations, and has no time to
    # import them.
    terms: list[tuple[int, str]] = []
    rest, rank = text, -1
    while rest:
        unit_on = rest.lstrip(_DIGITS)
        after = unit_on.lstrip("ywdhms")
        number = rest[: len(rest) - len(unit_on)]
        unit = unit_on[: len(unit_on) - len(after)]
        if not number or _RANKS.get(unit, -1) <= rank:
            return None
        terms.append((int(number), unit))
        rest, rank = after, _RANKS[unit]
    return terms


def _shown(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + "..."
    return quote(text)
