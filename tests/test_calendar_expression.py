"""When calendar expressions come round: tables as systemd 252 has it, and the library's
own way from one time to the next."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import BaseIterator

from pushrelay.calendar_expression import parse_calendar_expression
from pushrelay.errors import InvalidCalendarExpression

SECOND = 10**9

BERLIN = "Europe/Berlin"  # 2026-03-29 and 2026-10-25, at 01:00 UTC
NEW_YORK = "America/New_York"  # 2026-03-08 and 2026-11-01, at 02:00


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def at(written: str) -> int:
    """Return the nanoseconds of an ISO time; UTC if it does not say otherwise."""
    moment = datetime.fromisoformat(written)
    return nanoseconds(moment.replace(tzinfo=moment.tzinfo or UTC))


# Who asks systemd in the second of the two hours is told that 02:30 is to come.
LATE = (BERLIN, "02:30", "2026-10-25T02:10+01:00", "2026-10-26T02:30+01:00")

# The zone, the expression, from when on, and its next slots.
SLOTS = [
    ("UTC", "Mon..Fri *-*-* 03:00:00", "2026-01-01T03:00",
     "2026-01-02T03:00 2026-01-05T03:00"),
    ("UTC", "03:00", "2026-01-01T02:59:59", "2026-01-01T03:00 2026-01-02T03:00"),
    ("UTC", "*:0/20", "2026-12-31T23:41", "2027-01-01T00:00 2027-01-01T00:20"),
    ("UTC", "Sat,Sun 8..18/5:00", "2026-01-03T09:00",
     "2026-01-03T13:00 2026-01-03T18:00 2026-01-04T08:00"),
    ("UTC", "Mon *-*-1..7 00:00", "2026-01-01", "2026-01-05 2026-02-02 2026-03-02"),
    ("UTC", "minutely", "2026-03-01", "2026-03-01T00:01"),
    ("UTC", "hourly", "2026-03-01", "2026-03-01T01:00"),
    ("UTC", "daily", "2026-03-01", "2026-03-02"),
    ("UTC", "weekly", "2026-03-01", "2026-03-02 2026-03-09"),
    ("UTC", "monthly", "2026-03-01", "2026-04-01"),
    ("UTC", "quarterly", "2026-03-01", "2026-04-01 2026-07-01"),
    ("UTC", "semiannually", "2026-03-01", "2026-07-01 2027-01-01"),
    ("UTC", "yearly", "2026-03-01", "2027-01-01"),
    # years
    ("UTC", "2028-*-01", "2026-03-01", "2028-01-01 2028-02-01"),
    ("UTC", "26,29-12-24 18:00", "2026-03-01", "2026-12-24T18:00 2029-12-24T18:00"),
    # leap days, also around a year that has none
    ("UTC", "*-02-29", "2026-01-01", "2028-02-29 2032-02-29"),
    ("UTC", "*-02-29", "2096-02-28", "2096-02-29 2104-02-29"),
    ("UTC", "Sun *-02-29", "2026-01-01", "2032-02-29 2060-02-29 2088-02-29 2128-02-29"),
    # ends of months
    ("UTC", "*-*-31", "2026-01-01", "2026-01-31 2026-03-31 2026-05-31"),
    ("UTC", "*-*~01", "2026-01-31", "2026-02-28 2026-03-31 2026-04-30"),
    ("UTC", "*-02~01", "2026-03-01", "2027-02-28 2028-02-29"),
    ("UTC", "Mon *-05~07/1", "2026-01-01", "2026-05-25 2027-05-31"),
    ("UTC", "*-12-31 23:59", "2026-01-01", "2026-12-31T23:59 2027-12-31T23:59"),
    # spring: what is skipped does not come
    (BERLIN, "02:30", "2026-03-28T12:00+01:00", "2026-03-30T02:30+02:00"),
    (BERLIN, "03:00", "2026-03-28T12:00+01:00",
     "2026-03-29T03:00+02:00 2026-03-30T03:00+02:00"),
    (BERLIN, "*:0/30", "2026-03-29T01:00+01:00",
     "2026-03-29T01:30+01:00 2026-03-29T03:00+02:00 2026-03-29T03:30+02:00"),
    (BERLIN, "02,03:0/30", "2026-03-29T00:00+01:00",
     "2026-03-29T03:00+02:00 2026-03-29T03:30+02:00 2026-03-30T02:00+02:00"),
    (BERLIN, "Sun 02:30", "2026-03-23T00:00+01:00", "2026-04-05T02:30+02:00"),
    (NEW_YORK, "02:05", "2026-03-07T12:00-05:00", "2026-03-09T02:05-04:00"),
    (NEW_YORK, "hourly", "2026-03-08T00:00-05:00",
     "2026-03-08T01:00-05:00 2026-03-08T03:00-04:00"),
    # autumn: what is doubled comes once
    (BERLIN, "02:30", "2026-10-24T12:00+02:00",
     "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00"),
    LATE,
    (BERLIN, "*:0/30", "2026-10-25T02:00+02:00",
     "2026-10-25T02:30+02:00 2026-10-25T03:00+01:00"),
    (NEW_YORK, "01:30", "2026-10-31T12:00-04:00",
     "2026-11-01T01:30-04:00 2026-11-02T01:30-05:00"),
    (NEW_YORK, "*:00/30", "2026-11-01T00:50-04:00",
     "2026-11-01T01:00-04:00 2026-11-01T01:30-04:00 2026-11-01T02:00-05:00"),
]  # fmt: skip


# runs.md: 20
@pytest.mark.parametrize(("zone", "text", "after", "expected"), SLOTS)
def test_an_expression_comes_round(
    zone: str, text: str, after: str, expected: str
) -> None:
    moments = list(map(at, expected.split()))
    expression, tz = parse_calendar_expression(text), ZoneInfo(zone)
    slot: int | None = at(after)
    for moment in moments:
        assert slot is not None
        slot = expression.next_slot(tz, slot)
        assert slot == moment
    assert expression.slots_between(tz, at(after), moments[-1], 99) == len(moments)
    assert expression.slots_between(tz, at(after), moments[-1] - 1, 99) < len(moments)


def test_after_its_last_year_nothing_is_expected() -> None:
    once = parse_calendar_expression("2026-12-24 18:00")
    assert once.next_slot(UTC, at("2026-12-24T18:00")) is None
    assert once.slots_between(UTC, 0, at("2199-01-01"), 9) == 0
    assert once.slots_between(UTC, at("2026-01-01"), at("2199-01-01"), 9) == 1


def test_what_clocks_always_skip_never_comes() -> None:
    skipped = parse_calendar_expression("Sun *-03-25..31 02:00")
    zone, begin = ZoneInfo(BERLIN), at("2026-01-01")
    assert skipped.next_slot(zone, begin) is None
    assert skipped.slots_between(zone, begin, at("2199-01-01"), 9) == 0
    assert skipped.next_slot(UTC, at("2026-01-01")) == at("2026-03-29T02:00")


REFUSED = [
    ("*-*-* 24:00", '"*-*-* 24:00" is not a calendar expression: its hour cannot be '
                    "read; write *, numbers from 0 to 23, ranges (1..5), lists (1,5) "
                    "or steps (1/2)"),
    ("*-13-01", '"*-13-01" is not a calendar expression: its month cannot be read; '
                "write *, numbers from 1 to 12, ranges (1..5), lists (1,5) or steps "
                "(1/2)"),
    ("*-*-0", '"*-*-0" is not a calendar expression: its day-of-month cannot be read; '
              "write *, numbers from 1 to 31, ranges (1..5), lists (1,5) or steps "
              "(1/2), or ~1 for the last"),
    ("2200-01-01", '"2200-01-01" is not a calendar expression: its year cannot be '
                   "read; write *, numbers from 1970 to 2199, ranges (1..5), lists "
                   "(1,5) or steps (1/2)"),
    ("dayly", '"dayly" is not a calendar expression: its day-of-week cannot be read; '
              "write Mon to Sun, ranges (Mon..Fri) or lists (Mon,Thu), or one of "
              "minutely, hourly, daily, monthly, weekly, yearly, annually, quarterly, "
              "semiannually"),
    ("", '"" is not a calendar expression: write a day of the week, a date and a time, '
         "or some of them, as in Mon..Fri *-*-* 03:00, or one of minutely, hourly, "
         "daily, monthly, weekly, yearly, annually, quarterly, semiannually"),
    ("*:*:30", '"*:*:30" says seconds, and runs are expected to the minute; write 00 '
               "for them or leave them out"),
    ("*:*:0/10", '"*:*:0/10" says seconds, and runs are expected to the minute; write '
                 "00 for them or leave them out"),
    ("03:00 Europe/Berlin", '"03:00 Europe/Berlin" has "Europe/Berlin" after its first '
                            "word, where only a date and a time can stand; a time zone "
                            "is written in tz beside it"),
    ("daily UTC", '"daily UTC" has "UTC" after its first word, where only a date and a '
                  "time can stand; a time zone is written in tz beside it"),
    ("*-02-30", '"*-02-30" never comes round: there is no such day'),
    ("Mon 2026-01-01", '"Mon 2026-01-01" never comes round: there is no such day'),
    ("\u017fun 03:00", '"\u017fun 03:00" has characters that are not ASCII'),
    ("0" * 301, f'"{"0" * 100}..." has more than 300 characters'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_refusal_says_what_is_wrong_and_what_is_right(
    text: str, message: str
) -> None:
    with pytest.raises(InvalidCalendarExpression) as refused:
        parse_calendar_expression(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "0 3 * * *",
        "Fri..Mon 03:00",
        "*-*-* 03:00:00.5",
        "*-*-*/0",
        "1,,2:00",
        "*-*-~29",
        "~" * 300,
        "Mon" + "," * 298,
        "9" * 300,
        "03:00\n04:00",
        "-1:00",
        "*-2,4,6,9,11-31",
    ],
)
def test_what_systemd_does_not_know_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidCalendarExpression) as refused:
        parse_calendar_expression(text)
    assert len(str(refused.value)) < 500


@given(st.text("0123456789*/,.-~: MonSu", max_size=20) | st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        expression = parse_calendar_expression(text)
    except InvalidCalendarExpression:
        return
    again = parse_calendar_expression(str(expression))
    assert str(again) == str(expression)
    assert again.next_slot(UTC, 0) == expression.next_slot(UTC, 0)


def test_blanks_and_nicknames_have_one_form() -> None:
    assert str(parse_calendar_expression(" Mon \t03:00\n")) == "Mon 03:00"
    assert str(parse_calendar_expression(" Weekly ")) == "Mon *-*-* 00:00:00"


@pytest.mark.parametrize(
    ("text", "most"),
    [("minutely", 10_000), ("Sun *-02-29", 10_000), ("2199-*-* *:*", 10_000)],
)
def test_neither_looking_nor_counting_takes_long(text: str, most: int) -> None:
    expression, zone = parse_calendar_expression(text), ZoneInfo(BERLIN)
    begin = time.perf_counter()
    expression.next_slot(zone, at("2026-01-01"))
    expression.slots_between(zone, at("2026-01-01"), at("2026-12-31"), most)
    assert time.perf_counter() - begin < 1


hours = st.sampled_from(["*", "0", "1", "2", "3", "1..3", "0,2", "0/2", "2/1", "1,3"])
expressions = st.builds(
    "{} *-{}{} {}:{}".format,
    st.sampled_from(["", "Sun", "Sat..Sun", "Mon,Sun"]),
    st.sampled_from(["*", "3", "10,11", "3..11"]),
    st.sampled_from(["-*", "-1", "-25,29", "-1..8", "~03", "~7/1"]),
    hours,
    st.sampled_from(["0", "30", "*", "0/20", "15..45", "5,59"]),
)


@settings(max_examples=100)
@given(
    expressions,
    st.sampled_from(
        [
            (BERLIN, "2026-03-25"),
            (BERLIN, "2026-10-21"),
            (NEW_YORK, "2026-03-04"),
            (NEW_YORK, "2026-10-28"),
            ("Australia/Lord_Howe", "2026-10-01"),
            ("America/Nuuk", "2026-03-25"),
        ]
    ),
)
def test_the_slots_are_those_of_the_library(text: str, window: tuple[str, str]) -> None:
    zone = ZoneInfo(window[0])
    begin = datetime.fromisoformat(window[1]).replace(tzinfo=zone)
    end = nanoseconds(begin + timedelta(days=10))
    times = map(nanoseconds, BaseIterator(text, begin))
    expected = list(takewhile(lambda slot: slot <= end, times))
    expression = parse_calendar_expression(text)
    found = []
    slot = expression.next_slot(zone, nanoseconds(begin))
    while slot is not None and slot <= end:
        found.append(slot)
        slot = expression.next_slot(zone, slot)
    assert found == expected
    count = expression.slots_between(zone, nanoseconds(begin), end, 10**6)
    assert count == len(expected)


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize(
    ("zone", "text", "after", "expected"), [row for row in SLOTS if row != LATE]
)
def test_the_tables_are_what_systemd_says(
    zone: str, text: str, after: str, expected: str
) -> None:
    begin = datetime.fromtimestamp(at(after) // SECOND, UTC)
    number = len(expected.split())
    said = subprocess.run(
        [
            "systemd-analyze",
            "calendar",
            f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC",
            f"--iterations={number}",
            text,
        ],
        env={"TZ": zone, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    utc = re.findall(r": \w{3} ([\d-]{10} [\d:]{8}) UTC", said)
    assert list(map(at, utc)) == list(map(at, expected.split()))
