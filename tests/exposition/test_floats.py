from __future__ import annotations

import re
import struct
from math import copysign, inf, isinf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition.floats import format_float, format_go_value, parse_float

WRITTEN = {
    0.0: "0",
    1.0: "1",
    -1.0: "-1",
    -2.5: "-2.5",
    12345.678: "12345.678",
    100000.0: "100000",
    123456.0: "123456",
    999999.0: "999999",
    999999.9999999999: "999999.9999999999",
    1e6: "1e+06",
    -1e6: "-1e+06",
    1234567.0: "1.234567e+06",
    1234567.5: "1.2345675e+06",
    123456789.0: "1.23456789e+08",
    1583872347.7166057: "1.5838723477166057e+09",
    2.0**53: "9.007199254740992e+15",
    1e16: "1e+16",
    1.5e16: "1.5e+16",
    1e21: "1e+21",
    1e100: "1e+100",
    1.7976931348623157e308: "1.7976931348623157e+308",
    0.1 + 0.2: "0.30000000000000004",
    0.0001: "0.0001",
    0.00012: "0.00012",
    0.00009: "9e-05",
    1e-5: "1e-05",
    -1.25e-7: "-1.25e-07",
    5e-324: "5e-324",
    inf: "+Inf",
    -inf: "-Inf",
}


@pytest.mark.parametrize(("value", "text"), WRITTEN.items())
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert format_float(value) == text
    assert format_go_value(value) == text


@pytest.mark.parametrize("value", [0, -7, 999_999, 10**6, -1_234_567, 2**64])
def test_integers_are_written_as_the_floats_that_they_are(value: int) -> None:
    assert format_float(value) == format_float(float(value))


def test_nan_is_written_without_a_sign() -> None:
    assert format_float(nan) == format_float(-nan) == format_go_value(nan) == "NaN"


def test_only_the_query_api_shows_the_sign_of_zero() -> None:
    assert format_float(-0.0) == "0"
    assert format_go_value(-0.0) == "-0"


def test_the_query_api_shows_integers_in_full() -> None:
    assert format_go_value(2**64 - 1) == "18446744073709551615"
    assert format_go_value(0) == "0"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("+1", 1.0),
        ("-1", -1.0),
        ("007", 7.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("5.e1", 50.0),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("-1.5e-3", -0.0015),
        ("1e-400", 0.0),
        ("0e99999999999999999999", 0.0),
        ("inf", inf),
        ("+Inf", inf),
        ("-INF", -inf),
        ("Infinity", inf),
        ("+infinity", inf),
        ("-iNfInItY", -inf),
    ],
)
def test_numbers_are_read_as_go_reads_them(text: str, value: float) -> None:
    assert parse_float(text) == value


@pytest.mark.parametrize("text", ["nan", "NaN", "NAN"])
def test_nan_is_read_in_any_case(text: str) -> None:
    assert isnan(parse_float(text))


def test_the_sign_of_zero_is_read() -> None:
    assert copysign(1, parse_float("-0")) == -1


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "+",
        "-",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "--1",
        "+-1",
        "1.2.3",
        "1 ",
        " 1",
        "1\n",
        "1_000",
        "0x10",
        "0x1p-2",
        "+nan",
        "-nan",
        "nan(1)",
        "infinit",
        "infinityx",
        "1e400",
        "-1e400",
        "1e99999999999999999999",
        "\u0661",
        "\uff11",
        "1,5",
    ],
)
def test_what_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|out of range"):
        parse_float(text)


@given(st.floats())
def test_a_written_number_reads_back_as_the_same(value: float) -> None:
    for written in (format_float(value), format_go_value(value)):
        back = parse_float(written)
        assert back == value or (isnan(back) and isnan(value))


@given(st.floats(allow_nan=False))
def test_the_query_api_keeps_every_bit(value: float) -> None:
    back = parse_float(format_go_value(value))
    assert struct.pack("<d", back) == struct.pack("<d", value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_exponent_is_shown_below_minus_4_and_above_5(value: float) -> None:
    exponent = int(f"{value:.16e}".partition("e")[2]) if value else 0
    assert ("e" in format_float(value)) == (not -4 <= exponent <= 5)


@given(st.text(max_size=12))
def test_reading_any_text_ends_in_a_number_or_a_value_error(text: str) -> None:
    try:
        value = parse_float(text)
    except ValueError:
        return
    assert isinstance(value, float)


GO_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|nan|[+-]?inf(?:inity)?",
    re.IGNORECASE | re.ASCII,
)


@given(
    st.one_of(
        st.text("0123456789.eE+-_ xnaifty\t\n\u0661\xa0", max_size=8),
        st.floats().map(repr),
    )
)
def test_what_is_read_is_a_number_of_go(text: str) -> None:
    if GO_NUMBER.fullmatch(text) is None:
        with pytest.raises(ValueError, match="not a number"):
            parse_float(text)
    elif isinf(float(text)) and "i" not in text.lower():
        with pytest.raises(ValueError, match="out of range"):
            parse_float(text)
    else:
        value = parse_float(text)
        assert value == float(text) or isnan(value)
