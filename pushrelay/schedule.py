"""What is expected of a job, and what follows from it at some moment.

A slot is a moment at which a run is expected. It is satisfied by a run that starts at
or after it, or a little before. One that is not satisfied when its grace time is over
is missed, and the job overdue until its next run. Nothing here is stored and no clock
is read: all follows from the expectation, the last start and `now`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from pushrelay.cron_line import parse_cron_line
from pushrelay.durations import format_duration, parse_duration
from pushrelay.errors import InvalidCronLine, InvalidDuration, InvalidExpectation
from pushrelay.quoting import quote
from pushrelay.shown import meant, shown

_MILLISECOND = 1_000_000
_SECOND = 1000 * _MILLISECOND

DEFAULT_GRACE = 300 * _SECOND
"""Enough for a busy cron, a slow start and a report that is tried again."""

MOST_MISSED_SLOTS = 10_000
"""Where counting stops: a week of minutes."""

# A host may be ahead by as much, and still its job has not missed its slot.
_EARLIEST_START = 300 * _SECOND

_LONGEST = 10 * 365 * 24 * 3600 * _SECOND
_MOST_ZONE_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a job should run; durations in nanoseconds, None where nothing is said.

    schedule: a valid cron line of five fields; every: counts from each start. At most
        one of the two is there; without either, the job has no slots.
    grace: how long after its slot a run may start.
    tz: the time zone of `schedule`, an IANA name.
    max_runtime: after which a run that has not finished counts as abandoned.
    min_interval: a run that starts sooner after the one before is early.
    per_instance: whether each instance must meet it, instead of any.
    """

    schedule: str | None = None
    every: int | None = None
    grace: int = DEFAULT_GRACE
    tz: str = "UTC"
    max_runtime: int | None = None
    min_interval: int | None = None
    per_instance: bool = False

    @property
    def has_slots(self) -> bool:
        """Whether it says when runs are expected."""
        return self.schedule is not None or self.every is not None


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
    waits_from = since
    if last_start is not None:
        waits_from = max(since, _satisfied_until(expectation, last_start))
    slot = next_slot(expectation, waits_from)
    if slot is None:
        return Outlook(None, 0, None)
    grace = expectation.grace
    if now < slot + grace:
        return Outlook(slot, 0, slot + grace)
    missed = slots_between(expectation, waits_from, now - grace, MOST_MISSED_SLOTS)
    if missed == MOST_MISSED_SLOTS:
        return Outlook(slot, missed, None)
    last_missed = now - grace
    if expectation.every is not None:
        last_missed = waits_from + missed * expectation.every
    following = next_slot(expectation, last_missed)
    return Outlook(slot, missed, None if following is None else following + grace)


def _satisfied_until(expectation: Expectation, start: int) -> int:
    """Return the last moment at which a slot is satisfied by a run started at `start`.

    That is its start, or the next slot if that is the nearest and close by.
    """
    if expectation.schedule is None:
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
    if expectation.schedule is None:
        return None
    line = parse_cron_line(expectation.schedule)
    return line.next_slot(_zone(expectation.tz) or UTC, after)


def slots_between(expectation: Expectation, after: int, until: int, most: int) -> int:
    """Return how many slots are later than `after` and not later than `until`, or
    `most` if there are more. With `every`, slots are counted from `after`."""
    if expectation.every is not None:
        return min(max(until - after, 0) // expectation.every, most)
    if expectation.schedule is None:
        return 0
    line = parse_cron_line(expectation.schedule)
    return line.slots_between(_zone(expectation.tz) or UTC, after, until, most)


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    """Return the time zone with this name; None if this machine does not know it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def parse_expectation(document: Mapping[str, object]) -> tuple[Expectation, list[str]]:
    """Return the expectation that a JSON object states, and warnings for a person.

    A field that is null is one that is left out. Raises InvalidExpectation. A time zone
    that is not known only makes a warning, and the schedule is read as UTC: better a
    job that is expected at a wrong hour than one that nobody waits for.
    """
    given = {name: value for name, value in document.items() if value is not None}
    _refuse_unknown(given)
    _refuse_contradictions(given)
    tz, warnings = _known_tz(given)
    grace = _duration(given, "grace", least=0)
    expectation = Expectation(
        schedule=_schedule(given),
        every=_duration(given, "every", least=_SECOND),
        grace=DEFAULT_GRACE if grace is None else grace,
        tz=tz,
        max_runtime=_duration(given, "max_runtime"),
        min_interval=_duration(given, "min_interval"),
        per_instance=_per_instance(given),
    )
    return expectation, warnings


def to_document(expectation: Expectation) -> dict[str, str | bool]:
    """Return the JSON object that states the expectation, without what is not said.

    `parse_expectation` gives the same expectation back if one came from there.
    """
    document: dict[str, str | bool] = {}
    if expectation.schedule is not None:
        document["schedule"] = expectation.schedule
        document["tz"] = expectation.tz
    durations = ["every", "grace", "max_runtime", "min_interval"]
    if expectation.schedule is None and expectation.every is None:
        durations.remove("grace")
    for name in durations:
        nanoseconds = getattr(expectation, name)
        if nanoseconds is not None:
            document[name] = format_duration(nanoseconds)
    if expectation.per_instance:
        document["per_instance"] = True
    return document


def _refuse_unknown(given: dict[str, object]) -> None:
    known = [field.name for field in fields(Expectation)]
    for name in [name for name in given if name not in known]:
        hint = meant(name, known) or f"write {', '.join(known)}"
        raise InvalidExpectation("", f"there is no field {shown(name)}; {hint}")


def _refuse_contradictions(given: dict[str, object]) -> None:
    if "schedule" in given and "every" in given:
        raise InvalidExpectation(
            "every", f"{shown(given['every'])} stands beside a schedule; write one"
        )
    if not given.keys() & {"schedule", "every", "max_runtime", "min_interval"}:
        raise InvalidExpectation(
            "", "says nothing; write a schedule, every, max_runtime or min_interval"
        )
    if "grace" in given and not given.keys() & {"schedule", "every"}:
        raise InvalidExpectation(
            "grace", f"{shown(given['grace'])} needs a schedule or every beside it"
        )
    if "tz" in given and "schedule" not in given:
        raise InvalidExpectation(
            "tz", f"{shown(given['tz'])} needs a schedule beside it"
        )


def _schedule(given: dict[str, object]) -> str | None:
    if "schedule" not in given:
        return None
    try:
        return str(parse_cron_line(_text(given, "schedule", "0 3 * * *")))
    except InvalidCronLine as error:
        raise InvalidExpectation("schedule", str(error)) from None


def _duration(
    given: dict[str, object], name: str, least: int = _MILLISECOND
) -> int | None:
    if name not in given:
        return None
    text = _text(given, name, "1h30m")
    try:
        nanoseconds = parse_duration(text)
    except InvalidDuration as error:
        raise InvalidExpectation(name, str(error)) from None
    if not least <= nanoseconds <= _LONGEST:
        raise InvalidExpectation(
            name,
            f"{shown(text)} is out of bounds: write {format_duration(least)} to "
            f"{format_duration(_LONGEST)}",
        )
    return nanoseconds


def _known_tz(given: dict[str, object]) -> tuple[str, list[str]]:
    if "tz" not in given:
        return "UTC", []
    name = _text(given, "tz", "Europe/Berlin")
    if len(name) <= _MOST_ZONE_CHARACTERS and _zone(name) is not None:
        return name, []
    near = meant(name, _zone_names())
    hint = f"; {near}" if near else ""
    warning = f"expectation.tz: {shown(name)} is not a time zone known here, so that "
    return "UTC", [f"{warning}the schedule is read as UTC{hint}"]


@cache
def _zone_names() -> set[str]:
    return available_timezones()  # opens 600 files


def _text(given: dict[str, object], name: str, example: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise InvalidExpectation(
            name, f"must be text such as {quote(example)}, not {shown(value)}"
        )
    return value


def _per_instance(given: dict[str, object]) -> bool:
    value = given.get("per_instance", False)
    if not isinstance(value, bool):
        raise InvalidExpectation(
            "per_instance", f"must be true or false, not {shown(value)}"
        )
    return value
