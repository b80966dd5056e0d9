"""Cron lines, the five fields of a crontab, and when they come round in a time zone.

    0 3 * * 1-5     at 03:00 from Monday to Friday

All as Debian's cron has it. Day of month and day of week: either of them suffices, but
where one of the two begins with a star, both must match. When clocks change: a line
whose minute and hour both begin without a star stands for fixed times, and those that
are skipped come right after the gap, those that are doubled come once. All other lines
follow the clock on the wall.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

from pushrelay.clock_times import ClockTimes
from pushrelay.errors import InvalidCronLine
from pushrelay.shown import shown

_MOST_CHARACTERS = 500  # 60 minutes, 24 hours and 31 days, one by one, are fewer

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


class CronLine(ClockTimes):
    """A valid cron line; `parse_cron_line` makes it. `str` gives its five fields."""

    __slots__ = ("_text",)

    def __init__(self, fields: list[str]) -> None:
        """Raises CronSimError for fields that are wrong, alone or together."""
        self._text = " ".join(fields)
        sets = CronSim(self._text, datetime(2000, 1, 1, tzinfo=UTC))
        is_fixed = not any(field.startswith("*") for field in fields[:2])
        super().__init__(
            minutes=[
                60 * hour + minute for hour in sets.hours for minute in sets.minutes
            ],
            day_matches=sets.match_day,
            months=sets.months,
            makes_up=is_fixed,
            repeats=not is_fixed,
        )

    def __str__(self) -> str:
        return self._text


@lru_cache(maxsize=1024)
def parse_cron_line(text: str) -> CronLine:
    """Return the line that `text` is: five fields, or a nickname such as @daily.

    Raises InvalidCronLine, also for a line that never comes round.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InvalidCronLine(f"{shown(text)} has more than 500 characters")
    fields = text.split()
    if text.lstrip().startswith("@"):
        fields = _fields_of_nickname(text.strip()).split()
    if len(fields) != len(_FIELDS):
        raise InvalidCronLine(
            f"{shown(text)} is not a cron line: there must be 5 fields and not "
            f"{len(fields)}, {', '.join(_FIELDS)}; no seconds, no user, no command"
        )
    if not text.isascii():
        raise InvalidCronLine(f"{shown(text)} has characters that are not ASCII")
    if set("".join(fields[2::2]).upper()) & set("L#"):
        raise InvalidCronLine(
            f"{shown(text)} uses L or #, for the last or the nth day, and cron itself "
            "does not know them; write the days on which the job is started"
        )
    try:
        return CronLine(fields)
    except CronSimError:
        raise InvalidCronLine(f"{shown(text)} {_problem(fields)}") from None


def _fields_of_nickname(text: str) -> str:
    if text == "@reboot":
        raise InvalidCronLine(
            '"@reboot" has no time at which a run could be expected; leave it out'
        )
    if text not in _NICKNAMES:
        raise InvalidCronLine(
            f"{shown(text)} is not a nickname; there are {', '.join(_NICKNAMES)}"
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
                f"is not a cron line: its {name} is {shown(fields[number])}; write *, "
                f"{values}, ranges (1-5), lists (1,5) or steps (*/2)"
            )
    return "never comes round: none of its months has such a day"
