"""Calendar expressions of systemd timers (OnCalendar), and when they come round.

    Mon..Fri *-*-* 03:00     at 03:00 from Monday to Friday

When clocks change, all as systemd has it: times that are skipped do not come on that
day, and those that are doubled come once, the first time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from oncalendar import SPECIALS, BaseIterator, OnCalendarError

from pushrelay.clock_times import ClockTimes
from pushrelay.errors import InvalidCalendarExpression
from pushrelay.quoting import quote
from pushrelay.shown import shown

_MOST_CHARACTERS = 300  # each comma at the end is a call within a call of the library

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
_ALL_YEARS = range(1970, 2200)

_NUMBERS = "ranges (1..5), lists (1,5) or steps (1/2)"
_FIELDS = {
    "day-of-week": "Mon to Sun, ranges (Mon..Fri) or lists (Mon,Thu)",
    "year": f"*, numbers from 1970 to 2199, {_NUMBERS}",
    "month": f"*, numbers from 1 to 12, {_NUMBERS}",
    "day-of-month": f"*, numbers from 1 to 31, {_NUMBERS}, or ~1 for the last",
    "hour": f"*, numbers from 0 to 23, {_NUMBERS}",
    "minute": f"*, numbers from 0 to 59, {_NUMBERS}",
    "second": "00",
}
_NICKNAMES = ", ".join(SPECIALS)


class CalendarExpression(ClockTimes):
    """A valid calendar expression; `parse_calendar_expression` makes it. `str` gives
    it in one line, and the long form of nicknames."""

    __slots__ = ("_text",)

    def __init__(self, text: str, sets: BaseIterator) -> None:
        self._text = text
        super().__init__(
            minutes=[
                60 * hour + minute for hour in sets.hours for minute in sets.minutes
            ],
            day_matches=lambda day: sets.match_dow(day) and sets.match_dom(day),
            months=sets.months,
            years=None if sets.years.issuperset(_ALL_YEARS) else sets.years,
            makes_up=False,
            repeats=False,
        )

    def __str__(self) -> str:
        return self._text


@lru_cache(maxsize=512)
def parse_calendar_expression(text: str) -> CalendarExpression:
    """Return the calendar expression that `text` is, or a nickname such as daily.

    Raises InvalidCalendarExpression, also for one that never comes round, that is finer
    than minutes or that has a time zone of its own. To find out takes 15 ms at most.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InvalidCalendarExpression(
            f"{shown(text)} has more than {_MOST_CHARACTERS} characters"
        )
    if not text.isascii():
        raise InvalidCalendarExpression(
            f"{shown(text)} has characters that are not ASCII"
        )
    for word in text.split()[1:]:
        if word[0].isalpha():
            raise InvalidCalendarExpression(
                f"{shown(text)} has {quote(word)} after its first word, where only a "
                "date and a time can stand; a time zone is written in tz beside it"
            )
    written = " ".join(SPECIALS.get(text.strip().lower(), text).split())
    try:
        sets = BaseIterator(written, _BEGIN)
    except OnCalendarError as error:
        problem = _problem(str(error))
        raise InvalidCalendarExpression(f"{shown(text)} {problem}") from None
    if sets.seconds != {0}:
        raise InvalidCalendarExpression(
            f"{shown(text)} says seconds, and runs are expected to the minute; write "
            "00 for them or leave them out"
        )
    if next(sets, None) is None:
        raise InvalidCalendarExpression(
            f"{shown(text)} never comes round: there is no such day"
        )
    return CalendarExpression(written, sets)


def _problem(told: str) -> str:
    """Return what is wrong for a person, of whom the library `told` it shortly."""
    field = told.removeprefix("Bad ")
    if field not in _FIELDS:
        return (
            "is not a calendar expression: write a day of the week, a date and a time, "
            f"or some of them, as in Mon..Fri *-*-* 03:00, or one of {_NICKNAMES}"
        )
    problem = f"is not a calendar expression: its {field} cannot be read; write "
    if field == "day-of-week":
        return f"{problem}{_FIELDS[field]}, or one of {_NICKNAMES}"
    return problem + _FIELDS[field]
