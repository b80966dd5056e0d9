"""When cron lines come round: tables made by hand, and a clock that goes minute by
minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pushrelay.cron_line import parse_cron_line
from pushrelay.errors import InvalidCronLine

SECOND = 1_000_000_000
MINUTE = 60 * SECOND

BERLIN = "Europe/Berlin"  # 2026-03-29 and 2026-10-25, at 01:00 UTC
NEW_YORK = "America/New_York"  # 2026-03-08 and 2026-11-01, at 02:00
LORD_HOWE = "Australia/Lord_Howe"  # by half an hour


def at(written: str) -> int:
    """Return the nanoseconds of an ISO time; UTC if it does not say otherwise."""
    moment = datetime.fromisoformat(written)
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * SECOND


def slots(line: str, zone: str, after: int, number: int) -> list[int | None]:
    """Return the first slots later than `after`."""
    found: list[int | None] = []
    for _ in range(number):
        slot = parse_cron_line(line).next_slot(ZoneInfo(zone), after)
        found.append(slot)
        after = slot or after
    return found


# The line, from when on, and its next slots.
IN_UTC = [
    ("0 3 * * *", "2026-01-01T02:59:59", "2026-01-01T03:00 2026-01-02T03:00"),
    ("0 3 * * *", "2026-01-01T03:00:00", "2026-01-02T03:00"),
    ("*/5 * * * *", "2026-12-31T23:53", "2026-12-31T23:55 2027-01-01T00:00"),
    ("5/20 12 * * *", "2026-01-01", "2026-01-01T12:05 2026-01-01T12:25"),
    ("0 8-18/5 * * *", "2026-01-01", "2026-01-01T08:00 2026-01-01T13:00"),
    # leap days, also around a year that has none
    ("0 0 29 2 *", "2026-01-01", "2028-02-29 2032-02-29"),
    ("0 0 29 2 *", "2096-02-28", "2096-02-29 2104-02-29"),
    ("0 0 29 2 */8", "2026-01-01", "2032-02-29 2060-02-29 2088-02-29 2128-02-29"),
    # ends of months
    ("0 0 31 * *", "2026-01-01", "2026-01-31 2026-03-31 2026-05-31 2026-07-31"),
    ("0 0 30 1,2 *", "2026-01-01", "2026-01-30 2027-01-30"),
    ("0 0 28-31 2 *", "2026-02-28T12:00", "2027-02-28 2028-02-28 2028-02-29"),
    ("59 23 31 DEC *", "2026-01-01", "2026-12-31T23:59 2027-12-31T23:59"),
    # day of month or day of week: 13 February and March 2026 are Fridays
    ("0 0 13 * 5", "2026-03-01", "2026-03-06 2026-03-13 2026-03-20"),
    ("0 0 13 * 1", "2026-03-10", "2026-03-13 2026-03-16 2026-03-23"),
    # but both, where one begins with a star
    ("0 0 13 * */5", "2026-01-01", "2026-02-13 2026-03-13 2026-09-13"),
    ("0 0 */12 * 5", "2026-01-01", "2026-02-13 2026-03-13 2026-05-01"),
    ("0 0 * * 5", "2026-03-01", "2026-03-06 2026-03-13"),
    # Sundays
    ("0 0 * * 0", "2026-03-01", "2026-03-08 2026-03-15"),
    ("0 0 * * 7", "2026-03-01", "2026-03-08 2026-03-15"),
    ("0 0 * * sun", "2026-03-01", "2026-03-08 2026-03-15"),
    ("0 0 * * 5-7", "2026-03-01", "2026-03-06 2026-03-07 2026-03-08 2026-03-13"),
    ("0 0 * * Mon-Wed", "2026-03-01", "2026-03-02 2026-03-03 2026-03-04 2026-03-09"),
    # nicknames
    ("@hourly", "2026-03-01", "2026-03-01T01:00"),
    ("@daily", "2026-03-01", "2026-03-02"),
    ("@midnight", "2026-03-01", "2026-03-02"),
    ("@weekly", "2026-03-01", "2026-03-08"),
    ("@monthly", "2026-03-01", "2026-04-01"),
    ("@yearly", "2026-03-01", "2027-01-01"),
    ("@annually", "2026-03-01", "2027-01-01"),
]

# The zone as well.
CHANGING_CLOCKS = [
    # spring: fixed times that are skipped come right after the gap, all together
    (BERLIN, "30 2 * * *", "2026-03-28T12:00+01:00",
     "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00"),
    (BERLIN, "0,30 2,3 * * *", "2026-03-29T00:00+01:00",
     "2026-03-29T03:00+02:00 2026-03-29T03:30+02:00 2026-03-30T02:00+02:00"),
    (BERLIN, "0 3 * * *", "2026-03-29T00:00+01:00",
     "2026-03-29T03:00+02:00 2026-03-30T03:00+02:00"),
    # others follow the clock
    (BERLIN, "*/30 * * * *", "2026-03-29T01:00+01:00",
     "2026-03-29T01:30+01:00 2026-03-29T03:00+02:00 2026-03-29T03:30+02:00"),
    (BERLIN, "30 * * * *", "2026-03-29T01:00+01:00",
     "2026-03-29T01:30+01:00 2026-03-29T03:30+02:00"),
    (BERLIN, "15 */2 * * *", "2026-03-29T00:00+01:00",
     "2026-03-29T00:15+01:00 2026-03-29T04:15+02:00"),
    (BERLIN, "*/30 2 * * *", "2026-03-28T12:00+01:00", "2026-03-30T02:00+02:00"),
    # autumn: fixed times come once, the first time
    (BERLIN, "30 2 * * *", "2026-10-24T12:00+02:00",
     "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00"),
    (BERLIN, "30 2 * * *", "2026-10-25T02:10+01:00", "2026-10-26T02:30+01:00"),
    (BERLIN, "0 3 * * *", "2026-10-25T00:00+02:00", "2026-10-25T03:00+01:00"),
    (BERLIN, "*/30 2 * * *", "2026-10-25T00:00+02:00",
     "2026-10-25T02:00+02:00 2026-10-25T02:30+02:00 "
     "2026-10-25T02:00+01:00 2026-10-25T02:30+01:00 2026-10-26T02:00+01:00"),
    (BERLIN, "30 * * * *", "2026-10-25T02:00+02:00",
     "2026-10-25T02:30+02:00 2026-10-25T02:30+01:00 2026-10-25T03:30+01:00"),
    (BERLIN, "30 * * * *", "2026-10-25T02:10+01:00", "2026-10-25T02:30+01:00"),
    (NEW_YORK, "5 2 * * *", "2026-03-07T12:00-05:00",
     "2026-03-08T03:00-04:00 2026-03-09T02:05-04:00"),
    (NEW_YORK, "*/20 * * * *", "2026-03-08T01:40-05:00", "2026-03-08T03:00-04:00"),
    (NEW_YORK, "30 1 * * *", "2026-10-31T12:00-04:00",
     "2026-11-01T01:30-04:00 2026-11-02T01:30-05:00"),
    (NEW_YORK, "*/30 * * * *", "2026-11-01T01:00-04:00",
     "2026-11-01T01:30-04:00 2026-11-01T01:00-05:00 2026-11-01T01:30-05:00 "
     "2026-11-01T02:00-05:00"),
    # half an hour
    (LORD_HOWE, "15 2 * * *", "2026-10-03T12:00+10:30",
     "2026-10-04T02:30+11:00 2026-10-05T02:15+11:00"),
    (LORD_HOWE, "45 1 * * *", "2026-04-04T12:00+11:00",
     "2026-04-05T01:45+11:00 2026-04-06T01:45+10:30"),
    (LORD_HOWE, "*/15 1 * * *", "2026-04-05T01:20+11:00",
     "2026-04-05T01:30+11:00 2026-04-05T01:45+11:00 2026-04-05T01:30+10:30 "
     "2026-04-05T01:45+10:30 2026-04-06T01:00+10:30"),
    (LORD_HOWE, "*/10 2 * * *", "2026-04-05T01:20+11:00",
     "2026-04-05T02:00+10:30 2026-04-05T02:10+10:30"),
    # at midnight
    ("America/Santiago", "15 0 * * *", "2026-09-05T12:00-04:00",
     "2026-09-06T01:00-03:00 2026-09-07T00:15-03:00"),
    ("America/Havana", "30 0 * * *", "2026-10-31T12:00-04:00",
     "2026-11-01T00:30-04:00 2026-11-02T00:30-05:00"),
    ("America/Nuuk", "30 23 * * *", "2026-03-28T12:00-02:00",
     "2026-03-29T00:00-01:00 2026-03-29T23:30-01:00"),
    ("America/Nuuk", "0,30 0,23 * * *", "2026-03-28T12:00-02:00",
     "2026-03-29T00:00-01:00 2026-03-29T00:30-01:00 2026-03-29T23:00-01:00"),
    # a whole day
    ("Pacific/Apia", "0 12 * * *", "2011-12-29T00:00-10:00",
     "2011-12-29T12:00-10:00 2011-12-31T00:00+14:00 2011-12-31T12:00+14:00"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "after", "expected"), IN_UTC)
def test_a_line_comes_round(line: str, after: str, expected: str) -> None:
    moments = list(map(at, expected.split()))
    assert slots(line, "UTC", at(after), len(moments)) == moments


# runs.md: 20
@pytest.mark.parametrize(("zone", "line", "after", "expected"), CHANGING_CLOCKS)
def test_a_line_comes_round_while_clocks_change(
    zone: str, line: str, after: str, expected: str
) -> None:
    moments = list(map(at, expected.split()))
    assert slots(line, zone, at(after), len(moments)) == moments
    count = parse_cron_line(line).slots_between(
        ZoneInfo(zone), at(after), moments[-1], 100
    )
    assert count == len(moments)


def test_what_clocks_always_skip_never_comes() -> None:
    line = "*/30 2 25-31 3 */7"
    assert slots(line, BERLIN, at("2026-01-01"), 1) == [None]
    assert slots(line, "UTC", at("2026-01-01"), 1) == [at("2026-03-29T02:00")]


def test_a_slot_is_later_to_the_nanosecond() -> None:
    slot, following = at("2026-01-01T03:00"), at("2026-01-02T03:00")
    assert slots("0 3 * * *", "UTC", slot - 1, 1) == [slot]
    assert slots("0 3 * * *", "UTC", slot, 1) == [following]
    line = parse_cron_line("0 3 * * *")
    assert line.slots_between(UTC, slot - 1, slot, 9) == 1
    assert line.slots_between(UTC, slot - 1, slot - 1, 9) == 0
    assert line.slots_between(UTC, slot, following - 1, 9) == 0
    assert line.slots_between(UTC, following, slot, 9) == 0


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        (BERLIN, "2026-03-28", 24 * 60),
        (BERLIN, "2026-03-29", 23 * 60),
        (BERLIN, "2026-10-25", 25 * 60),
        (NEW_YORK, "2026-03-08", 23 * 60),
        (NEW_YORK, "2026-11-01", 25 * 60),
        (LORD_HOWE, "2026-04-05", 24 * 60 + 30),
    ],
)
def test_every_minute_of_a_day_is_counted(zone: str, day: str, minutes: int) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    begin, end = (
        int((midnight + timedelta(days=days)).timestamp()) * SECOND for days in (0, 1)
    )
    line = parse_cron_line("* * * * *")
    assert line.slots_between(ZoneInfo(zone), begin - 1, end - 1, 9999) == minutes


def test_counting_stops() -> None:
    line = parse_cron_line("* * * * *")
    begin, end = at("1970-01-01"), at("2262-01-01")
    assert line.slots_between(UTC, begin, end, 10_000) == 10_000
    assert line.slots_between(UTC, begin, begin + 9 * MINUTE, 10) == 9
    assert line.slots_between(UTC, begin, begin + 9 * MINUTE, 9) == 9
    assert line.slots_between(UTC, begin, begin + 9 * MINUTE, 8) == 8


REFUSED = [
    ("", '"" is not a cron line: there must be 5 fields and not 0, minute, hour, day '
         "of month, month, day of week; no seconds, no user, no command"),
    ("0 3 * *", '"0 3 * *" is not a cron line: there must be 5 fields and not 4, '
                "minute, hour, day of month, month, day of week; no seconds, no user, "
                "no command"),
    ("0 0 3 * * *", '"0 0 3 * * *" is not a cron line: there must be 5 fields and not '
                    "6, minute, hour, day of month, month, day of week; no seconds, no "
                    "user, no command"),
    ("60 3 * * *", '"60 3 * * *" is not a cron line: its minute is "60"; write *, '
                   "numbers from 0 to 59, ranges (1-5), lists (1,5) or steps (*/2)"),
    ("0 24 * * *", '"0 24 * * *" is not a cron line: its hour is "24"; write *, '
                   "numbers from 0 to 23, ranges (1-5), lists (1,5) or steps (*/2)"),
    ("0 3 0 * *", '"0 3 0 * *" is not a cron line: its day of month is "0"; write *, '
                  "numbers from 1 to 31, ranges (1-5), lists (1,5) or steps (*/2)"),
    ("0 3 * Mai *", '"0 3 * Mai *" is not a cron line: its month is "Mai"; write *, '
                    "numbers from 1 to 12 or JAN to DEC, ranges (1-5), lists (1,5) or "
                    "steps (*/2)"),
    ("0 3 * * 5-1", '"0 3 * * 5-1" is not a cron line: its day of week is "5-1"; write '
                    "*, numbers from 0 to 7 (0 and 7 are Sunday) or SUN to SAT, ranges "
                    "(1-5), lists (1,5) or steps (*/2)"),
    ("0 0 L * *", '"0 0 L * *" uses L or #, for the last or the nth day, and cron '
                  "itself does not know them; write the days on which the job is "
                  "started"),
    ("0 0 30 2 *", '"0 0 30 2 *" never comes round: none of its months has such a day'),
    ("0 3 * * \u0661", '"0 3 * * \u0661" has characters that are not ASCII'),
    ("@reboot", '"@reboot" has no time at which a run could be expected; leave it out'),
    ("@noon", '"@noon" is not a nickname; there are @hourly, @daily, @midnight, '
              "@weekly, @monthly, @yearly, @annually"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_refusal_says_what_is_wrong_and_what_is_right(
    text: str, message: str
) -> None:
    with pytest.raises(InvalidCronLine) as refused:
        parse_cron_line(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "* * * * * *",
        "0 3 * * * root",
        "0 3 lw * *",
        "0 3 * * 5L",
        "0 3 * * 1#2",
        "0 3 ? * *",
        "0 3 15W * *",
        "H 3 * * *",
        "*/0 * * * *",
        "-5 * * * *",
        "1,,2 * * * *",
        "1.5 * * * *",
        "1-2-3 * * * *",
        "~ * * * *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 30 2 */2",
        "@ daily",
        "@every 5m",
        "9" * 5000 + " * * * *",
        "* " * 100_000,
    ],
)
def test_what_cron_does_not_know_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidCronLine) as refused:
        parse_cron_line(text)
    assert len(str(refused.value)) < 500


def test_blanks_do_not_matter() -> None:
    assert str(parse_cron_line("  0\t3 * *   1-5\n")) == "0 3 * * 1-5"
    assert str(parse_cron_line(" @daily ")) == "0 0 * * *"


@given(st.text("0123456789*/,-@LW#?MONJA \t\n", max_size=20) | st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        line = parse_cron_line(text)
    except InvalidCronLine:
        return
    assert parse_cron_line(str(line)).next_slot(UTC, 0) == line.next_slot(UTC, 0)


def fields(least: int, most: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Return fields as they are written, with the numbers that they stand for."""
    numbers = st.integers(least, most)
    every = frozenset(range(least, most + 1))
    stars = st.just(("*", every))
    steps = st.integers(1, most).map(
        lambda step: (f"*/{step}", frozenset(range(least, most + 1, step)))
    )
    lists = st.frozensets(numbers, min_size=1, max_size=4).map(
        lambda chosen: (",".join(map(str, chosen)), chosen)
    )
    ranges = st.tuples(numbers, numbers).map(
        lambda ends: (
            f"{min(ends)}-{max(ends)}",
            frozenset(range(min(ends), max(ends) + 1)),
        )
    )
    return stars | steps | lists | ranges


WINDOWS = [
    (BERLIN, "2026-03-20"),
    (BERLIN, "2026-10-16"),
    (NEW_YORK, "2026-03-01"),
    (NEW_YORK, "2026-10-24"),
    (LORD_HOWE, "2026-03-28"),
    (LORD_HOWE, "2026-09-26"),
    ("America/Santiago", "2026-08-30"),
    ("America/Nuuk", "2026-03-20"),
    ("UTC", "2028-02-20"),
]


@cache
def minutes_of(zone: str, day: str) -> list[tuple[int, datetime]]:
    """Return the minutes of two weeks, each with what clocks show."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    moments = [begin + timedelta(minutes=passed) for passed in range(14 * 24 * 60)]
    return [
        (
            int(moment.timestamp()) * SECOND,
            moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None),
        )
        for moment in moments
    ]


Field = tuple[str, frozenset[int]]


def naive_slots(chosen: list[Field], zone: str, day: str) -> list[int]:
    """Return the slots of two weeks as a cron daemon finds them that wakes up each
    minute and looks at the clock on the wall."""
    (minute, _), (hour, _), (day_of_month, _), _, (day_of_week, _) = chosen
    minutes, hours, days, months, weekdays = [numbers for _, numbers in chosen]
    is_fixed = not minute.startswith("*") and not hour.startswith("*")
    must_be_both = day_of_month.startswith("*") or day_of_week.startswith("*")

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours:
            return False
        fits = [wall.day in days, bool({wall.isoweekday() % 7} & weekdays)]
        return wall.month in months and (all if must_be_both else any)(fits)

    found = []
    latest = minutes_of(zone, day)[0][1] - timedelta(minutes=1)
    for moment, wall in minutes_of(zone, day):
        walls = [wall]
        if is_fixed:
            # What was skipped is made up for, what has been is not done again.
            passed = (wall - latest) // timedelta(minutes=1)
            walls = [latest + timedelta(minutes=n + 1) for n in range(passed)]
        if any(map(matches, walls)):
            found.append(moment)
        latest = max(latest, wall)
    return found


@settings(max_examples=60)
@given(
    st.tuples(
        fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)
    ).map(list),
    st.sampled_from(WINDOWS),
    st.booleans(),
)
def test_a_line_comes_round_as_the_clock_on_the_wall_says(
    chosen: list[Field], window: tuple[str, str], in_all_months: bool
) -> None:
    if in_all_months:
        chosen[3] = ("*", frozenset(range(1, 13)))
    try:
        line = parse_cron_line(" ".join(text for text, _ in chosen))
    except InvalidCronLine as error:
        assume("never comes round" not in str(error))
        raise
    zone = ZoneInfo(window[0])
    begin, end = minutes_of(*window)[0][0] - 1, minutes_of(*window)[-1][0]
    expected = naive_slots(chosen, *window)
    found = []
    slot = line.next_slot(zone, begin)
    while slot is not None and slot <= end:
        found.append(slot)
        slot = line.next_slot(zone, slot)
    assert found == expected
    assert line.slots_between(zone, begin, end, 10**6) == len(expected)
