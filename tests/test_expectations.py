"""What is expected of a job when several say so, and since when."""

from __future__ import annotations

import pytest

from pushrelay.expectations import JobExpectation, Source
from pushrelay.schedule import Expectation

HOUR = 3600 * 10**9
KNOWN, LATER = 1000, 2000

CALENDAR = Expectation(on_calendar="Mon 03:00", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("before", "after", "since"),
    [
        # other slots count from when they are told
        (CALENDAR, Expectation(on_calendar="Tue 03:00", tz="Europe/Berlin"), LATER),
        (CALENDAR, Expectation(on_calendar="Mon 03:00", tz="UTC"), LATER),
        (CALENDAR, Expectation(schedule="0 3 * * 1", tz="Europe/Berlin"), LATER),
        (CALENDAR, Expectation(every=HOUR), LATER),
        (Expectation(max_runtime=HOUR), CALENDAR, LATER),
        # the same slots do not begin anew
        (CALENDAR, CALENDAR, KNOWN),
        (
            CALENDAR,
            Expectation(
                on_calendar="Mon 03:00",
                tz="Europe/Berlin",
                grace=HOUR,
                max_runtime=HOUR,
                per_instance=True,
            ),
            KNOWN,
        ),
    ],
)
def test_slots_count_from_when_they_became_what_they_are(
    before: Expectation, after: Expectation, since: int
) -> None:
    job = JobExpectation(rule=before, since=KNOWN).told(Source.RULE, after, LATER)
    assert job.effective == after
    assert job.since == since


def test_who_speaks_of_slots_first_decides_about_them() -> None:
    limit = Expectation(max_runtime=HOUR)
    job = JobExpectation(api=limit, rule=CALENDAR)
    assert job.slots_from is Source.RULE
    assert job.effective == Expectation(
        on_calendar="Mon 03:00", tz="Europe/Berlin", max_runtime=HOUR
    )
