"""Which slots of a past time were missed: expected runs that never came.

By the rules of `schedule.outlook`: a slot is missed here if at some moment it was said
there to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pushrelay.schedule import Expectation, next_slot, slots_between, waits_from

_HOUR = 3600 * 10**9


def missed_slots_in(
    expectation: Expectation,
    since: int,
    starts: Sequence[int],
    begin: int,
    end: int,
    most: int = 500,
) -> list[int]:
    """Return the slots from `begin` on and before `end` that no run satisfied and whose
    grace time is over at `end`, in order; of more than `most`, the last ones. All times
    are Unix nanoseconds.

    since: before it nothing was expected. starts: of all runs that began before `end`,
    in whatever order, from the last one before `begin` on.
    """
    found: list[list[int]] = []
    if expectation.has_slots:
        for after, until in _waits(expectation, since, sorted(starts), end):
            if until < begin or most <= 0:
                break
            slots = _last_slots(expectation, after, begin, min(until, end - 1), most)
            found.append(slots)
            most -= len(slots)
    return [slot for slots in reversed(found) for slot in slots]


def _waits(
    expectation: Expectation, since: int, starts: list[int], end: int
) -> Iterator[tuple[int, int]]:
    """Yield times, the last one first, whose slots were missed: those that are later
    than the first moment and not later than the second."""
    known: list[int | None] = [None, *[start for start in starts if start < end]]
    # At the very moment that a run begins, nothing is missed any more.
    ends = [*[start - 1 for start in known if start is not None], end]
    for last_start, next_end in zip(reversed(known), reversed(ends), strict=True):
        until = next_end - expectation.grace
        # Where runs come often, this is all there is to do.
        if until <= (since if last_start is None else max(since, last_start)):
            continue
        yield waits_from(expectation, since, last_start), until


def _last_slots(
    expectation: Expectation, after: int, begin: int, until: int, most: int
) -> list[int]:
    """Return the last of the slots that are later than `after`, from `begin` on and not
    later than `until`, at most so many."""
    if (every := expectation.every) is not None:
        last = (until - after) // every
        first = max(-((after - begin) // every), last - most + 1, 1)
        return [after + number * every for number in range(first, last + 1)]
    first_moment = max(after, begin - 1)
    # Not from the beginning: of every minute in months, only the last are wanted.
    start, width = first_moment, _HOUR
    if slots_between(expectation, start, until, most + 1) > most:
        start = until - width
        while start > first_moment and (
            slots_between(expectation, start, until, most) < most
        ):
            width *= 2
            start = until - width
        start = max(start, first_moment)
    slots = []
    slot = next_slot(expectation, start)
    while slot is not None and slot <= until:
        slots.append(slot)
        slot = next_slot(expectation, slot)
    return slots[-most:]
