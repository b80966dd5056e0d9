"""Times and durations as pages say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pushrelay.web.pages.spoken import duration, relative

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (2 * 86400 - 1, "47 h ago"),
        (2 * 86400, "2 d ago"),
        (400 * 86400, "400 d ago"),
        # The moment that a page is told from has whole seconds.
        (-0.9, "0 s ago"),
        (-1, "in 1 s"),
        (-90, "in 1 min"),
    ],
)
def test_how_long_ago_is_told_in_one_unit(seconds: float, said: str) -> None:
    assert relative(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.41, "410 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.9996, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3659, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds: float, said: str) -> None:
    assert duration(round(seconds * 10**9)) == said
