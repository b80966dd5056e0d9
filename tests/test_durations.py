from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promtool import accepted, needs_promtool

from pushrelay.durations import format_duration, parse_duration
from pushrelay.errors import InvalidDuration

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
LONGEST = (2**63 - 1) // MILLISECOND * MILLISECOND

# As written, in nanoseconds, and as a running Prometheus 2.42 prints it.
DURATIONS = [
    ("0", 0, "0s"),
    ("0s", 0, "0s"),
    ("0h0ms", 0, "0s"),
    ("1ms", MILLISECOND, "1ms"),
    ("0s1ms", MILLISECOND, "1ms"),
    ("1500ms", 1500 * MILLISECOND, "1s500ms"),
    ("5400s", 5400 * SECOND, "1h30m"),
    ("90m", 5400 * SECOND, "1h30m"),
    ("1h0m", 3600 * SECOND, "1h"),
    ("24h", 86400 * SECOND, "1d"),
    ("26h", 93600 * SECOND, "1d2h"),
    ("0000000000000000000000026h", 93600 * SECOND, "1d2h"),
    ("90061001ms", 90_061_001 * MILLISECOND, "1d1h1m1s1ms"),
    ("7d", 7 * 86400 * SECOND, "1w"),
    ("1w1d", 8 * 86400 * SECOND, "8d"),
    ("2w1h", (14 * 24 + 1) * 3600 * SECOND, "14d1h"),
    ("30d", 30 * 86400 * SECOND, "30d"),
    ("52w", 52 * 7 * 86400 * SECOND, "52w"),
    ("365d", 365 * 86400 * SECOND, "1y"),
    ("1y1d", 366 * 86400 * SECOND, "366d"),
    ("1y1w", 372 * 86400 * SECOND, "372d"),
    ("292y", 292 * 365 * 86400 * SECOND, "292y"),
    ("9223372036854ms", 9_223_372_036_854 * MILLISECOND, "106751d23h47m16s854ms"),
]

NO_DURATIONS = [
    "",
    " ",
    "1",
    "00",
    "90",
    "-1h",
    "+1h",
    "1.5h",
    "1h 30m",
    " 1h",
    "1h\n",
    "30m1h",
    "1h1h",
    "1ms1s",
    "1H",
    "1M",
    "1us",
    "1month",
    "h",
    "1hm",
    "1m30",
    "0x1h",
    "1_000s",
    "\u0661h",
    "1h\0",
    "9" * 5000 + "h",
]

TOO_LONG = ["293y", "292y52w", "9223372036855ms", "99999999999999999999h"]


@pytest.mark.parametrize(("written", "nanoseconds", "_"), DURATIONS)
def test_a_duration_is_nanoseconds(written: str, nanoseconds: int, _: str) -> None:
    assert parse_duration(written) == nanoseconds


@pytest.mark.parametrize(("_", "nanoseconds", "printed"), DURATIONS)
def test_a_duration_is_printed_as_prometheus_does(
    _: str, nanoseconds: int, printed: str
) -> None:
    assert format_duration(nanoseconds) == printed


@pytest.mark.parametrize("written", NO_DURATIONS)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(InvalidDuration, match="is not a duration: write whole numbers"):
        parse_duration(written)


@pytest.mark.parametrize("written", TOO_LONG)
def test_a_duration_that_prometheus_cannot_hold_is_refused(written: str) -> None:
    with pytest.raises(InvalidDuration) as refused:
        parse_duration(written)
    assert str(refused.value) == (
        f'the duration "{written}" is too long: the longest is 292y'
    )


def test_a_refusal_quotes_the_value_and_says_what_is_right() -> None:
    with pytest.raises(InvalidDuration) as refused:
        parse_duration("1.5h")
    assert str(refused.value) == (
        '"1.5h" is not a duration: write whole numbers with their units, the larger '
        "units first, such as 1h30m or 26h; the units are y, w, d, h, m, s and ms"
    )


def test_a_refusal_does_not_repeat_a_long_text() -> None:
    with pytest.raises(InvalidDuration) as refused:
        parse_duration("x" * 100_000)
    assert len(str(refused.value)) < 400


def test_parts_of_a_millisecond_are_left_out() -> None:
    assert format_duration(2 * MILLISECOND - 1) == "1ms"
    assert format_duration(MILLISECOND - 1) == "0s"


@given(st.integers(0, LONGEST // MILLISECOND))
def test_a_printed_duration_is_read_back(milliseconds: int) -> None:
    nanoseconds = milliseconds * MILLISECOND
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.text("0123456789ywdhms", max_size=12) | st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        nanoseconds = parse_duration(text)
    except InvalidDuration:
        return
    assert 0 <= nanoseconds <= LONGEST


@pytest.mark.system
@needs_promtool
def test_promtool_takes_and_refuses_the_same(tmp_path: Path) -> None:
    # In PromQL a range cannot be zero, and some texts are another expression.
    taken = [written for written, nanoseconds, _ in DURATIONS if nanoseconds]
    refused = [written for written in NO_DURATIONS if written.isalnum()]
    refused = [written for written in refused if not written.isdecimal()] + TOO_LONG
    assert accepted(list(map(ranged, taken + refused)), tmp_path) == list(
        map(ranged, taken)
    )


def ranged(written: str) -> str:
    """Return an expression with the duration `written`."""
    return f"count_over_time(up[{written}])"
