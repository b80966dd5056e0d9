"""Expectations as JSON objects state them, and job rules with the same words.

{"schedule": "0 3 * * *", "tz": "Europe/Berlin", "grace": "30m"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache
from zoneinfo import available_timezones

from pushrelay.calendar_expression import parse_calendar_expression
from pushrelay.clock_times import ClockTimes
from pushrelay.cron_line import parse_cron_line
from pushrelay.durations import format_duration, parse_duration
from pushrelay.errors import InvalidDuration, InvalidExpectation, InvalidRequest
from pushrelay.quoting import quote
from pushrelay.schedule import DEFAULT_GRACE, Expectation, zone_of
from pushrelay.shown import meant, shown

_MILLISECOND = 1_000_000
_SECOND = 1000 * _MILLISECOND
_LONGEST = 10 * 365 * 24 * 3600 * _SECOND
_MOST_ZONE_CHARACTERS = 100

_SYNTAXES: dict[str, tuple[Callable[[str], ClockTimes], str]] = {
    "schedule": (parse_cron_line, "0 3 * * *"),
    "on_calendar": (parse_calendar_expression, "Mon..Fri *-*-* 03:00"),
}
"""The fields that state times of day: how they are read, and an example."""

_SLOTS = [*_SYNTAXES, "every"]
"""The fields that say when runs are expected."""


def parse_expectation(
    document: Mapping[str, object], *, needs_known_tz: bool = False
) -> tuple[Expectation, list[str]]:
    """Return the expectation that a JSON object states, and warnings for a person.

    A field that is null is one that is left out. Raises InvalidExpectation. Unless it
    must be known, a time zone that is not only makes a warning, and the schedule is
    read as UTC: better a job that is expected at a wrong hour than one that nobody
    waits for.
    """
    given = {name: value for name, value in document.items() if value is not None}
    _refuse_unknown(given)
    _refuse_contradictions(given)
    tz, warnings = _known_tz(given, needs_known_tz)
    grace = _duration(given, "grace", least=0)
    expectation = Expectation(
        schedule=_clock_times(given, "schedule"),
        every=_duration(given, "every", least=_SECOND),
        on_calendar=_clock_times(given, "on_calendar"),
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
    for name in _SYNTAXES:
        if (text := getattr(expectation, name)) is not None:
            document[name] = text
            document["tz"] = expectation.tz
    durations = ["every", "grace", "max_runtime", "min_interval"]
    if not expectation.has_slots:
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
    slots = [name for name in _SLOTS if name in given]
    if len(slots) > 1:
        first, second, *_ = slots
        problem = f"{shown(given[second])} stands beside {first}; write one of them"
        raise InvalidExpectation(second, problem)
    if "grace" in given and not slots:
        raise InvalidExpectation(
            "grace",
            f"{shown(given['grace'])} needs schedule, on_calendar or every beside it",
        )
    if "tz" in given and not given.keys() & _SYNTAXES.keys():
        raise InvalidExpectation(
            "tz", f"{shown(given['tz'])} needs schedule or on_calendar beside it"
        )
    if not slots and not given.keys() & {"max_runtime", "min_interval"}:
        raise InvalidExpectation(
            "",
            "says nothing; write schedule, on_calendar, every, max_runtime or "
            "min_interval",
        )


def _clock_times(given: dict[str, object], name: str) -> str | None:
    """Return the text of a field in one of the two syntaxes, in its normal form."""
    if name not in given:
        return None
    parse, example = _SYNTAXES[name]
    text = _text(given, name, example)
    try:
        return str(parse(text))
    except InvalidRequest as error:
        raise InvalidExpectation(name, f"{error}{_hint(text, name)}") from None


def _hint(text: str, wrong: str) -> str:
    for name, (parse, _) in _SYNTAXES.items():
        if name != wrong:
            with suppress(InvalidRequest):
                parse(text)
                return f". It can be read as {name}: is that what you mean?"
    return ""


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


def _known_tz(given: dict[str, object], is_needed: bool) -> tuple[str, list[str]]:
    if "tz" not in given:
        return "UTC", []
    name = _text(given, "tz", "Europe/Berlin")
    if len(name) <= _MOST_ZONE_CHARACTERS and zone_of(name) is not None:
        return name, []
    near = _meant_zone(name)
    hint = f"; {near}" if near else ""
    problem = f"{shown(name)} is not a time zone known here"
    if is_needed:
        raise InvalidExpectation("tz", problem + hint)
    return "UTC", [
        f"expectation.tz: {problem}, so that the schedule is read as UTC{hint}"
    ]


def _meant_zone(name: str) -> str:
    """Return a question for the zone that may be meant by `name`; empty if there is
    none."""
    # In a form, a plus that nobody encoded is a blank.
    with_plus = name[:_MOST_ZONE_CHARACTERS].replace(" ", "+")
    if with_plus != name and zone_of(with_plus) is not None:
        return f"did you mean {with_plus}? write + as %2B, or use --data-urlencode"
    return meant(name, _zone_names())


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
