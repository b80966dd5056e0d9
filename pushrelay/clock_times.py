"""Moments at which clocks on the wall show certain times, on certain days.

Days are gone through and not minutes, since on a day without a change of clocks the
moments are the same minutes after midnight; so counting many costs little.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_DAY = timedelta(days=1)
_DAY_LENGTH = 24 * 60 * _MINUTE

# 29 February on a certain weekday comes every 28 years, or 40 around the year 2100.
_MOST_YEARS = 50


class ClockTimes:
    """Times of day on certain days, and the slots that they make in a time zone.

    Slots are Unix nanoseconds; all times must lie between 1970 and 2262.
    """

    __slots__ = ("_day_matches", "_months", "_years", "makes_up", "minutes", "repeats")

    def __init__(
        self,
        *,
        minutes: Iterable[int],
        day_matches: Callable[[date], bool],
        months: Container[int],
        years: Container[int] | None = None,
        makes_up: bool,
        repeats: bool,
    ) -> None:
        """minutes: the times, from midnight on; one at least. day_matches: whether they
        come on a day of the `months` and `years` (None: of all years)."""
        self._day_matches = day_matches
        self._months = months
        self._years = years
        self.minutes = array("h", sorted(minutes))
        """When it comes round on a day without a change of clocks, from midnight on."""
        self.makes_up = makes_up
        """Whether times that clocks skip come right after the gap, all together; else
        they do not come."""
        self.repeats = repeats
        """Whether times that clocks show twice come twice; else the first time."""

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
        first = datetime.fromtimestamp(after // _SECOND, zone).date()
        last_year = first.year + _MOST_YEARS
        for day in self._dates(first):
            # All its days may be ones on which clocks skip its times.
            if day.year > last_year:
                return
            start = _midnight(day, zone)
            minutes: Sequence[int] = self.minutes
            if _midnight(day + _DAY, zone) - start != _DAY_LENGTH:
                minutes = _minutes_of_changed_day(self, zone, day)
                if not minutes:
                    continue
            last_year = day.year + _MOST_YEARS
            # In Greenland the gap ends at midnight, where the next day begins.
            if start + minutes[0] * _MINUTE == last:
                minutes = minutes[1:]
            else:
                last = start + minutes[-1] * _MINUTE
            yield start, minutes

    def _dates(self, day: date) -> Iterator[date]:
        last_year = day.year + _MOST_YEARS
        while day.year <= last_year:
            if self._years is not None and day.year not in self._years:
                day = date(day.year + 1, 1, 1)
                continue
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
def _minutes_of_changed_day(
    times: ClockTimes, zone: tzinfo, day: date
) -> Sequence[int]:
    """Return the slots of a day on which clocks change, in minutes from its start."""
    slots = set()
    for minute in times.minutes:
        local = datetime.combine(day, time(*divmod(minute, 60)), zone)
        if not _is_skipped(local):
            slots.add(local.timestamp())
            if times.repeats:
                slots.add(local.replace(fold=1).timestamp())
        elif times.makes_up:
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
