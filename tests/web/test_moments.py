"""Moments in parameters."""

from __future__ import annotations

import pytest

from pushrelay.errors import InvalidRequest
from pushrelay.web.moments import coming_moment, past_moment
from pushrelay.web.parameters import Parameters

SECOND = 10**9
NOW = 1_795_000_000 * SECOND


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("0", 0),
        ("1795378800.25", 1_795_378_800_250_000_000),
        ("1795378800.1234567891", 1_795_378_800_123_456_789),
        ("2026-11-22T20:20:00Z", 1_795_378_800 * SECOND),
        ("2026-11-22t20:20:00.000000001z", 1_795_378_800 * SECOND + 1),
        ("2026-11-22%2021:50:00%2B01:30", 1_795_378_800 * SECOND),
        ("2026-11-22T21:20:00+01:00", 1_795_378_800 * SECOND),
        ("2026-11-22T19:20:00-01:00", 1_795_378_800 * SECOND),
        ("1969-12-31T23:59:59.5Z", -SECOND // 2),
    ],
)
def test_a_moment_is_written_in_several_ways(written: str, moment: int) -> None:
    parameters = Parameters(f"at={written}")
    assert past_moment(parameters, "at", NOW) == moment
    assert coming_moment(parameters, "at", NOW) == moment


def test_a_duration_is_a_time_from_now() -> None:
    parameters = Parameters("at=1h30m")
    assert past_moment(parameters, "at", NOW) == NOW - 5400 * SECOND
    assert coming_moment(parameters, "at", NOW) == NOW + 5400 * SECOND
    assert past_moment(parameters, "other", NOW) is None


@pytest.mark.parametrize(
    "written",
    [
        *("", "soon", "-1", "1e9", "2026-11-22", "2026-11-22T20:20Z"),
        *("2026-11-22T20:20:00", "2026-13-22T20:20:00Z", "2026-11-22T20:20:00%2B99:00"),
        *(
            "9999-12-31T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "999999999999999",
            "1" * 5000,
        ),
        *("٣", "7 d", "NaN"),
    ],
)
def test_what_is_no_moment_is_refused(written: str) -> None:
    parameters = Parameters(f"at={written}")
    for read in (past_moment, coming_moment):
        with pytest.raises(
            InvalidRequest, match="write Unix seconds, RFC 3339 such as"
        ):
            read(parameters, "at", NOW)
