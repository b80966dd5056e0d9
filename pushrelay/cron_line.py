"""Cron lines, the five fields of a crontab, and when they come round in a time zone.

    0 3 * * 1-5     at 03:00 from Monday to Friday

All as Debian's cron has it. Day of month and day of week: either of them suffices, but
where one of the two begins with a star, both must match. When clocks change: a line
whose minute and hour both begin without a star stands for fixed times, and those that
are skipped come right after the gap, those that are doubled come once. All other lines
follow the clock on the wall.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from cronsim import CronSim, CronSimError

from pushrelay.errors import InvalidCronLine
from pushrelay.quoting import quote

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY = timedelta(days=1)
_DAY_LENGTH = 24 * 60 * _MINUTE

_MOST_CHARACTERS = 500  # 60 minutes, 24 hours and 31 days, one by one, are fewer
_SHOWN_CHARACTERS = 100
# 29 February on a certain weekday comes every 28 years, or 40 around the year 2100.
_MOST_YEARS = 50

_FIELDS = {
    "minute": "numbers from 0 to 59",
    "hour": "numbers from 0 to 23",
    "day of month": "numbers from 1 to 31",
    "month": "numbers from 1 to 12 or JAN to DEC",
    "day of week": "numbers from 0 to 7 (0 and 7 are Sunday) or SUN to SAT",
}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class CronLine:
    """A valid cron line; `parse_cron_line` makes it. `str` gives its five fields.

    Its slots are the moments at which it comes round, in Unix nanoseconds; all times
    must lie between 1970 and 2262.
    """

    __slots__ = ("_day_matches", "_months", "_text", "is_fixed", "minutes")

    def __init__(self, fields: list[str]) -> None:
        """Raises CronSimError for fields that are wrong, alone or together."""
        self._text = " ".join(fields)
        sets = CronSim(self._text, datetime(2000, 1, 1, tzinfo=UTC))
        self._months = sets.months
        self._day_matches = sets.match_day
        minutes = [60 * hour + minute for hour in sets.hours for minute in sets.minutes]
        self.minutes = array("h", sorted(minutes))
        """When it comes round on a day without a change of clocks, from midnight on."""
        self.is_fixed = not any(field.startswith("*") for field in fields[:2])
        """Whether it stands for fixed times, which a change of clocks moves."""

    def __str__(self) -> str:
        return self._text

    def next_slot(self, zone: tzinfo, after: int) -> int | None:
        """Return the first slot later than `after`; None if there is none within
        decades."""
        for start, minutes in self._days(zone, after):
            index = bisect_right(minutes, (after - start) // _MINUTE)
            if index < len(minutes):
                return start + minutes[index] * _MINUTE
        return None

    def slots_between(self, zone: tzinfo, after: int, until: int, most: int) -> int:
        """Return how many slots are later than `after` and not later than `until`, or
        `most` if there are more."""
        count = 0
        for start, minutes in self._days(zone, after):
            if start > until or count >= most:
                break
            count += bisect_right(minutes, (until - start) // _MINUTE)
            count -= bisect_right(minutes, (after - start) // _MINUTE)
        return min(count, most)

    def _days(self, zone: tzinfo, after: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield the beginnings of days, from the one that `after` is in, and the slots
        of each in minutes from there on. No slot is in two of them."""
        last = None
        for day in self._dates(datetime.fromtimestamp(after // _SECOND, zone).date()):
            start = _midnight(day, zone)
            minutes: Sequence[int] = self.minutes
            if _midnight(day + _DAY, zone) - start != _DAY_LENGTH:
                minutes = _minutes_of_changed_day(self, zone, day)
                if not minutes:
                    continue
            # In Greenland the gap ends at midnight, where the next day begins.
            if start + minutes[0] * _MINUTE == last:
                minutes = minutes[1:]
            else:
                last = start + minutes[-1] * _MINUTE
            yield start, minutes

    def _dates(self, day: date) -> Iterator[date]:
        last_year = day.year + _MOST_YEARS
        while day.year <= last_year:
            if day.month not in self._months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._day_matches(day):
                yield day
                last_year = day.year + _MOST_YEARS
            day += _DAY


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp()) * _SECOND


@lru_cache(maxsize=256)
def _minutes_of_changed_day(line: CronLine, zone: tzinfo, day: date) -> Sequence[int]:
    """Return the slots of a day on which clocks change, in minutes from its start."""
    slots = set()
    for minute in line.minutes:
        local = datetime.combine(day, time(*divmod(minute, 60)), zone)
        if not _is_skipped(local):
            slots.add(local.timestamp())
            if not line.is_fixed:
                slots.add(local.replace(fold=1).timestamp())
        elif line.is_fixed:
            slots.add(_end_of_gap(local))
    start = _midnight(day, zone) // _SECOND
    return array("h", [(int(slot) - start) // 60 for slot in sorted(slots)])


def _is_skipped(local: datetime) -> bool:
    """Whether clocks never show this time, because they are put forward over it."""
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    return before is not None and after is not None and before < after


def _end_of_gap(local: datetime) -> float:
    while _is_skipped(local):
        local += timedelta(minutes=1)
    return local.timestamp()


@lru_cache(maxsize=1024)
def parse_cron_line(text: str) -> CronLine:
    """Return the line that `text` is: five fields, or a nickname such as @daily.

    Raises InvalidCronLine, also for a line that never comes round.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InvalidCronLine(f"{_shown(text)} has more than 500 characters")
    fields = text.split()
    if text.lstrip().startswith("@"):
        fields = _fields_of_nickname(text.strip()).split()
    if len(fields) != len(_FIELDS):
        raise InvalidCronLine(
            f"{_shown(text)} is not a cron line: there must be 5 fields and not "
            f"{len(fields)}, {', '.join(_FIELDS)}; no seconds, no user, no command"
        )
    if not text.isascii():
        raise InvalidCronLine(f"{_shown(text)} has characters that are not ASCII")
    if set("".join(fields[2::2]).upper()) & set("L#"):
        raise InvalidCronLine(
            f"{_shown(text)} uses L or #, for the last or the nth day, and cron itself "
            "does not know them; write the days on which the job is started"
        )
    try:
        return CronLine(fields)
    except CronSimError:
        raise InvalidCronLine(f"{_shown(text)} {_problem(fields)}") from None


def _fields_of_nickname(text: str) -> str:
    if text == "@reboot":
        raise InvalidCronLine(
            '"@reboot" has no time at which a run could be expected; leave it out'
        )
    if text not in _NICKNAMES:
        raise InvalidCronLine(
            f"{_shown(text)} is not a nickname; there are {', '.join(_NICKNAMES)}"
        )
    return _NICKNAMES[text]


def _problem(fields: list[str]) -> str:
    """Return what is wrong with fields, at least one of them or all together."""
    for number, (name, values) in enumerate(_FIELDS.items()):
        alone = ["*"] * len(_FIELDS)
        alone[number] = fields[number]
        try:
            CronLine(alone)
        except CronSimError:
            return (
                f"is not a cron line: its {name} is {_shown(fields[number])}; write *, "
                f"{values}, ranges (1-5), lists (1,5) or steps (*/2)"
            )
    return "never comes round: none of its months has such a day"


def _shown(text: str) -> str:
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return quote(text)
