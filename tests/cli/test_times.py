from __future__ import annotations

from datetime import UTC, timedelta, timezone

import click
import pytest

from pushrelay.cli.times import ago, ahead, api_time, length, moment, short_moment

NOW = 1_700_000_000 * 10**9
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s ago"),
        (0.4, "0s ago"),
        (59.9, "59s ago"),
        (3599, "59m59s ago"),
        (3600, "1h ago"),
        (5432, "1h30m ago"),
        (86399, "23h59m ago"),
        (86400 * 90 + 7300, "90d2h ago"),
    ],
)
def test_ages_are_as_precise_as_one_wants_to_read(seconds: float, shown: str) -> None:
    assert ago(1_700_000_000 - seconds, NOW) == shown


def test_what_never_was_is_never() -> None:
    assert ago(None, NOW) == "never"
    assert moment(None, UTC) == "-"
    assert length(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "in 0s"),
        (3 * 3600, "in 3h"),
        (3 * 3600 - 0.25, "in 3h"),
        (3 * 3600 - 1, "in 2h59m"),
        (90061, "in 1d1h"),
        (-0.5, "0s late"),
        (-7261, "2h1m late"),
    ],
)
def test_what_is_ahead_may_be_late(seconds: float, shown: str) -> None:
    assert ahead(1_700_000_000 + seconds, NOW) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0ms"),
        (0.0042, "4ms"),
        (1, "1.0s"),
        (41.25, "41.2s"),
        (59.96, "60.0s"),
        (60, "1m"),
        (3599.6, "1h"),
        (9000, "2h30m"),
    ],
)
def test_lengths(seconds: float, shown: str) -> None:
    assert length(seconds) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (1_700_000_000, "11-14 23:13:20"),
        (1_700_000_000 - 181 * 86400, "05-17 23:13:20"),
        (1_700_000_000 - 183 * 86400, "2023-05-15 23:13"),
        (1_700_000_000 + 183 * 86400, "2024-05-15 23:13"),
        (None, "-"),
        (1e300, "1e+300"),
    ],
)
def test_short_moments_are_without_the_year_or_the_seconds(
    at: float | None, shown: str
) -> None:
    assert short_moment(at, NOW, BERLIN) == shown


def test_moments_are_of_a_zone() -> None:
    assert moment(1_700_000_000.9, UTC) == "2023-11-14 22:13:20"
    assert moment(1_700_000_000.9, BERLIN) == "2023-11-14 23:13:20"
    assert moment(1e18, UTC) == "1e+18"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("7d", "7d"),
        ("1700000000.25", "1700000000.25"),
        ("2023-11-14T22:13:20Z", "1700000000.000000"),
        ("2023-11-14 23:13:20", "1700000000.000000"),
        ("2023-11-14 23:13:20.5+01:00", "1700000000.500000"),
        ("2023-11-14", "1699916400.000000"),
    ],
)
def test_times_are_sent_as_the_api_takes_them(text: str, sent: str) -> None:
    assert api_time(text, BERLIN) == sent


@pytest.mark.parametrize(
    "text", ["", "yesterday", "20231114", "2023-11-31", "03:00", "2023-W46", "-1h"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no time: write"):
        api_time(text, BERLIN)


def test_without_a_zone_it_is_that_of_the_machine() -> None:
    here = float(api_time("2023-11-14 22:13:20", None))
    assert moment(here, None) == "2023-11-14 22:13:20"
