from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.cli.pushgateway import _nanoseconds
from pushrelay.web.query_api import rfc3339

LATEST = 253_402_300_799 * 10**9
"""The end of the year 9999."""


@given(st.integers(0, LATEST))
def test_a_time_stamp_is_read_to_the_nanosecond(at: int) -> None:
    assert _nanoseconds(rfc3339(at)) == at


@pytest.mark.parametrize(
    ("time_stamp", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T20:30:00.25-03:30", 0.25),
        ("2026-11-25T20:08:58.5+01:00", 1795633738.5),
    ],
)
def test_a_time_stamp_has_a_zone(time_stamp: str, seconds: float) -> None:
    assert _nanoseconds(time_stamp) == seconds * 10**9


@given(st.text(alphabet="0123456789-:TZ.+ "))
def test_other_text_is_no_time_stamp(text: str) -> None:
    try:
        _nanoseconds(text)
    except ValueError:
        return
    assert text.endswith("Z") or text[-6] in "+-"
