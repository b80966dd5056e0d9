"""What is expected of a job, and what follows from it at some moment.

A slot is a moment at which a run is expected. It is satisfied by a run that starts at
or after it, or a little before. One that is not satisfied when its grace time is over
is missed, and the job overdue until its next run. Nothing here is stored and no clock
is read: all follows from the expectation, the last start and `now`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from pushrelay.calendar_expression import parse_calendar_expression
from pushrelay.clock_times import ClockTimes
from pushrelay.cron_line import parse_cron_line

_SECOND = 1_000_000_000

DEFAULT_GRACE = 300 * _SECOND
"""Enough for a busy cron, a slow start and a report that is tried again."""

MOST_MISSED_SLOTS = 10_000
"""Where counting stops: a week of minutes."""

# A host may be ahead by as much, and still its job has not missed its slot.
_EARLIEST_START = 300 * _SECOND


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a job should run; durations in nanoseconds, None where nothing is said.

    schedule: a valid cron line of five fields. every: counts from each start.
        on_calendar: a valid calendar expression. At most one of the three is there;
        without any, the job has no slots.
    grace: how long after its slot a run may start.
    tz: the time zone of `schedule` or `on_calendar`, an IANA name.
    max_runtime: after which a run that has not finished counts as abandoned.
    min_interval: a run that starts sooner after the one before is early.
    per_instance: whether each instance must meet it, instead of any.
    """

    schedule: str | None = None
    every: int | None = None
    on_calendar: str | None = None
    grace: int = DEFAULT_GRACE
    tz: str = "UTC"
    max_runtime: int | None = None
    min_interval: int | None = None
    per_instance: bool = False

    @property
    def has_slots(self) -> bool:
        """Whether it says when runs are expected."""
        return self.every is not None or self.follows_clocks

    @property
    def follows_clocks(self) -> bool:
        """Whether its slots are times of day, in its time zone."""
        return self.schedule is not None or self.on_calendar is not None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an expectation comes to at some moment; Unix nanoseconds.

    next_expected: the first slot that no run has satisfied; None if there are no slots.
        It stays where it is while the job is overdue.
    missed_slots: how many slots were missed since the last run, at most
        MOST_MISSED_SLOTS.
    due: when any of this changes if there is no run; None: never.
    """

    next_expected: int | None
    missed_slots: int
    due: int | None

    @property
    def is_overdue(self) -> bool:
        """Whether a slot was missed and no run has come since."""
        return self.missed_slots > 0


def outlook(
    expectation: Expectation, since: int, last_start: int | None, now: int
) -> Outlook:
    """Return what is to be said at `now`; all times are Unix nanoseconds.

    since: when the expectation became known; nothing was expected before. last_start:
    of any run, None if there was none. A start in the future satisfies all slots up to
    it. At the very moment that the grace time ends, the slot is missed.
    """
    after = waits_from(expectation, since, last_start)
    slot = next_slot(expectation, after)
    if slot is None:
        return Outlook(None, 0, None)
    grace = expectation.grace
    if now < slot + grace:
        return Outlook(slot, 0, slot + grace)
    missed = slots_between(expectation, after, now - grace, MOST_MISSED_SLOTS)
    if missed == MOST_MISSED_SLOTS:
        return Outlook(slot, missed, None)
    last_missed = now - grace
    if expectation.every is not None:
        last_missed = after + missed * expectation.every
    following = next_slot(expectation, last_missed)
    return Outlook(slot, missed, None if following is None else following + grace)


def waits_from(expectation: Expectation, since: int, last_start: int | None) -> int:
    """Return the last moment at which a slot is satisfied, or was not expected yet; as
    in `outlook`."""
    if last_start is None:
        return since
    return max(since, _satisfied_until(expectation, last_start))


def _satisfied_until(expectation: Expectation, start: int) -> int:
    """Return the last moment at which a slot is satisfied by a run started at `start`.

    That is its start, or the next slot if that is the nearest and close by.
    """
    if expectation.every is not None:
        return start
    slot = next_slot(expectation, start)
    if slot is None or slot - start > _EARLIEST_START:
        return start
    is_late = slots_between(expectation, start - (slot - start), start, 1)
    return start if is_late else slot


def next_slot(expectation: Expectation, after: int) -> int | None:
    """Return the first slot later than `after`; None if there is none. With `every`,
    slots are counted from `after`."""
    if expectation.every is not None:
        return after + expectation.every
    times = _clock_times(expectation)
    if times is None:
        return None
    return times.next_slot(zone_of(expectation.tz) or UTC, after)


def slots_between(expectation: Expectation, after: int, until: int, most: int) -> int:
    """Return how many slots are later than `after` and not later than `until`, or
    `most` if there are more. With `every`, slots are counted from `after`."""
    if expectation.every is not None:
        return min(max(until - after, 0) // expectation.every, most)
    times = _clock_times(expectation)
    if times is None:
        return 0
    return times.slots_between(zone_of(expectation.tz) or UTC, after, until, most)


def _clock_times(expectation: Expectation) -> ClockTimes | None:
    if expectation.schedule is not None:
        return parse_cron_line(expectation.schedule)
    if expectation.on_calendar is not None:
        return parse_calendar_expression(expectation.on_calendar)
    return None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo | None:
    """Return the time zone with this name; None if this machine does not know it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
