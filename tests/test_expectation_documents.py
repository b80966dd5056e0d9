"""Expectations as documents state them, and what is wrong with documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidExpectation
from pushrelay.expectation_documents import parse_expectation, to_document
from pushrelay.schedule import Expectation

MILLISECOND, SECOND = 10**6, 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 24 * 3600 * SECOND
YEAR = 365 * DAY

DOCUMENTS = [
    (
        {
            "schedule": " 0 3 *  * 1-5",
            "tz": "Europe/Berlin",
            "grace": "30m",
            "max_runtime": "2h",
        },
        Expectation(
            schedule="0 3 * * 1-5",
            tz="Europe/Berlin",
            grace=30 * MINUTE,
            max_runtime=2 * HOUR,
        ),
    ),
    ({"schedule": "@daily"}, Expectation(schedule="0 0 * * *", grace=5 * MINUTE)),
    ({"on_calendar": " Mon..Fri  03:00", "tz": "Europe/Berlin"},
     Expectation(on_calendar="Mon..Fri 03:00", tz="Europe/Berlin")),
    ({"on_calendar": "Daily"}, Expectation(on_calendar="*-*-* 00:00:00")),
    ({"every": "1s", "grace": "0"}, Expectation(every=SECOND, grace=0)),
    ({"every": "10y", "per_instance": True},
     Expectation(every=10 * YEAR, per_instance=True)),
    ({"max_runtime": "1ms"}, Expectation(max_runtime=MILLISECOND)),
    ({"min_interval": "1d", "every": None}, Expectation(min_interval=DAY)),
    ({"every": "1h", "schedule": None, "tz": None, "grace": None},
     Expectation(every=HOUR)),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expectation"), DOCUMENTS)
def test_a_document_states_an_expectation(
    document: dict[str, object], expectation: Expectation
) -> None:
    assert parse_expectation(document) == (expectation, [])


def test_an_expectation_is_stated_without_what_it_does_not_say() -> None:
    nightly = Expectation(schedule="0 3 * * *", grace=30 * MINUTE)
    assert to_document(nightly) == {
        "schedule": "0 3 * * *",
        "tz": "UTC",
        "grace": "30m",
    }
    assert to_document(Expectation(max_runtime=HOUR, per_instance=True)) == {
        "max_runtime": "1h",
        "per_instance": True,
    }


@pytest.mark.parametrize(
    ("tz", "hint"),
    [
        ("Europe/Berlim", "; did you mean Europe/Berlin?"),
        ("europe/berlin", "; did you mean Europe/Berlin?"),
        ("America", ""),
        ("", ""),
        ("/etc/passwd", ""),
        ("../UTC", "; did you mean UTC?"),
        ("\udc80", ""),
        (
            "Etc/GMT 1",
            "UTC; did you mean Etc/GMT+1? write + as %2B, or use --data-urlencode",
        ),
        ("Etc/GMT 99", ""),
    ],
)
def test_a_zone_that_is_not_known_warns_and_means_utc(tz: str, hint: str) -> None:
    expectation, warnings = parse_expectation({"schedule": "0 3 * * *", "tz": tz})
    assert expectation == Expectation(schedule="0 3 * * *", tz="UTC")
    shown = "\\x80" if tz == "\udc80" else tz
    text = f'expectation.tz: "{shown}" is not a time zone known here, so that the '
    (warning,) = warnings
    assert warning.startswith(text + "schedule is read as UTC")
    assert warning.endswith(hint)


SLOTS = {"schedule": "0 3 * * *"}
SAYS_NOTHING = (
    "says nothing; write schedule, on_calendar, every, max_runtime or min_interval"
)
REFUSED = [
    ({}, f"expectation: {SAYS_NOTHING}"),
    ({"schedule": None, "on_calendar": None}, f"expectation: {SAYS_NOTHING}"),
    ({"per_instance": True}, f"expectation: {SAYS_NOTHING}"),
    ({**SLOTS, "every": "1h"}, 'expectation.every: "1h" stands beside schedule; write '
                               "one of them"),
    ({**SLOTS, "on_calendar": "daily", "every": "1h"},
     'expectation.on_calendar: "daily" stands beside schedule; write one of them'),
    ({"on_calendar": "daily", "every": "1h"}, 'expectation.every: "1h" stands beside '
                                              "on_calendar; write one of them"),
    ({"max_runtime": "1h", "grace": "5m"}, 'expectation.grace: "5m" needs schedule, '
                                           "on_calendar or every beside it"),
    ({"tz": "UTC"}, 'expectation.tz: "UTC" needs schedule or on_calendar beside it'),
    ({"every": "1h", "tz": "UTC"}, 'expectation.tz: "UTC" needs schedule or '
                                   "on_calendar beside it"),
    ({"shedule": "0 3 * * *"}, 'expectation: there is no field "shedule"; did you mean '
                               "schedule?"),
    ({**SLOTS, "x": 1}, 'expectation: there is no field "x"; write schedule, every, '
                        "on_calendar, grace, tz, max_runtime, min_interval, "
                        "per_instance"),
    ({"schedule": "0 3 * *"}, 'expectation.schedule: "0 3 * *" is not a cron line: '
                              "there must be 5 fields and not 4, minute, hour, day of "
                              "month, month, day of week; no seconds, no user, no "
                              "command"),
    ({"schedule": "0 0 30 2 *"}, 'expectation.schedule: "0 0 30 2 *" never comes '
                                 "round: none of its months has such a day"),
    ({"on_calendar": "*-02-30"}, 'expectation.on_calendar: "*-02-30" never comes '
                                 "round: there is no such day"),
    ({"on_calendar": "*-*-* 03:60"}, 'expectation.on_calendar: "*-*-* 03:60" is not a '
                                     "calendar expression: its minute cannot be read; "
                                     "write *, numbers from 0 to 59, ranges (1..5), "
                                     "lists (1,5) or steps (1/2)"),
    ({"on_calendar": 5}, "expectation.on_calendar: must be text such as "
                         '"Mon..Fri *-*-* 03:00", not 5'),
    ({"schedule": 5}, 'expectation.schedule: must be text such as "0 3 * * *", not 5'),
    ({"every": 3600}, 'expectation.every: must be text such as "1h30m", not 3600'),
    ({"every": "1.5h"}, 'expectation.every: "1.5h" is not a duration: write whole '
                        "numbers with their units, the larger units first, such as "
                        "1h30m or 26h; the units are y, w, d, h, m, s and ms"),
    ({"every": "999ms"}, 'expectation.every: "999ms" is out of bounds: write 1s to '
                         "10y"),
    ({"every": "10y1ms"}, 'expectation.every: "10y1ms" is out of bounds: write 1s to '
                          "10y"),
    ({**SLOTS, "grace": "11y"}, 'expectation.grace: "11y" is out of bounds: write 0s '
                                "to 10y"),
    ({"max_runtime": "0"}, 'expectation.max_runtime: "0" is out of bounds: write 1ms '
                           "to 10y"),
    ({"min_interval": "0s"}, 'expectation.min_interval: "0s" is out of bounds: write '
                             "1ms to 10y"),
    ({**SLOTS, "grace": ["5m"]}, 'expectation.grace: must be text such as "1h30m", not '
                                 "an array"),
    ({**SLOTS, "tz": False}, 'expectation.tz: must be text such as "Europe/Berlin", '
                             "not false"),
    ({**SLOTS, "per_instance": "yes"}, "expectation.per_instance: must be true or "
                                       'false, not "yes"'),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), REFUSED)
def test_a_refusal_names_the_field_the_value_and_what_is_right(
    document: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidExpectation) as refused:
        parse_expectation(document)
    assert str(refused.value) == message
    field = refused.value.field
    where = f"expectation.{field}" if field else "expectation"
    assert f"{where}: {refused.value.problem}" == message


@pytest.mark.parametrize(
    ("field", "other", "text"),
    [
        ("schedule", "on_calendar", "Mon..Fri *-*-* 03:00"),
        ("schedule", "on_calendar", "daily"),
        ("on_calendar", "schedule", "0 3 * * *"),
        ("on_calendar", "schedule", "@daily"),
    ],
)
def test_who_takes_one_syntax_for_the_other_is_told(
    field: str, other: str, text: str
) -> None:
    with pytest.raises(InvalidExpectation) as refused:
        parse_expectation({field: text})
    hint = f". It can be read as {other}: is that what you mean?"
    assert str(refused.value).endswith(hint)


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    for field in ("schedule", "on_calendar", "every", "per_instance", "x" * 100_000):
        with pytest.raises(InvalidExpectation) as refused:
            parse_expectation({field: "x" * 100_000})
        assert len(str(refused.value)) < 500


lengths = st.integers(1, 10 * YEAR // MILLISECOND).map(MILLISECOND.__mul__)
limits = {"max_runtime": st.none() | lengths, "min_interval": st.none() | lengths}
graces = st.just(0) | lengths
cron_lines = st.builds(
    Expectation,
    schedule=st.sampled_from(["0 3 * * *", "*/5 * * * *", "0 0 29 2 *"]),
    tz=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    grace=graces,
    per_instance=st.booleans(),
    **limits,
)
calendars = st.builds(
    Expectation,
    on_calendar=st.sampled_from(["Mon..Fri 03:00", "*-*-* *:0/5", "*-02~01"]),
    tz=st.sampled_from(["UTC", "Europe/Berlin"]),
    grace=graces,
    **limits,
)
intervals = st.builds(
    Expectation,
    every=st.integers(1000, 10 * YEAR // MILLISECOND).map(MILLISECOND.__mul__),
    grace=graces,
    **limits,
)


@given(cron_lines | calendars | intervals)
def test_what_is_stated_is_read_back(expectation: Expectation) -> None:
    assert parse_expectation(to_document(expectation)) == (expectation, [])
