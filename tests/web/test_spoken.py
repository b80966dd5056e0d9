"""Times, durations and sizes as pages say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pushrelay.web.spoken import (
    DAY,
    MILLISECOND,
    MINUTE,
    SECOND,
    duration,
    exact_duration,
    relative,
    size,
)

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
        (0, "0 s"),
        (-5, "0 s"),
        (0.0032, "3.2 ms"),
        (0.003, "3 ms"),
        (0.41, "410 ms"),
        (0.9996, "1 s"),
        (1.54, "1.5 s"),
        (9.94, "9.9 s"),
        (9.9996, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3599.6, "1 h"),
        (3600, "1 h"),
        (3629, "1 h"),
        (3631, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (2 * 86400 + 3 * 3600 + 1740, "2 d 3 h"),
        (45 * 86400 + 3 * 3600, "45 d"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds: float, said: str) -> None:
    assert duration(round(seconds * 10**9)) == said


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [
        (0, "0 s"),
        (90 * MINUTE, "1 h 30 min"),
        (DAY + MINUTE + SECOND + MILLISECOND, "1 d 1 min 1 s 1 ms"),
        (1_001, "1 µs 1 ns"),
    ],
)
def test_what_somebody_has_set_is_told_exactly(nanoseconds: int, said: str) -> None:
    assert exact_duration(nanoseconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (200 * 2**20, "200 MiB"),
        (2**60, "1048576 TiB"),
    ],
)
def test_a_size_is_told_in_the_unit_that_fits(number: int, said: str) -> None:
    assert size(number) == said
