"""JSON objects are read exactly or refused."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidJSON
from pushrelay.strict_json import parse_object


def test_numbers_are_what_is_written() -> None:
    body = b'{"a": 1795378800.123456789012345678901234567890, "b": [-7, 1e400]}'
    assert parse_object(body) == {
        "a": Decimal("1795378800.123456789012345678901234567890"),
        "b": [Decimal(-7), Decimal("1e400")],
    }


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": "b"}') == {"a": "b"}


REFUSED = [
    (b"", "is not JSON, line 1, column 1: Expecting value"),
    (b'{"a": 1,\n "b" 2}', "is not JSON, line 2, column 6: Expecting ':' delimiter"),
    (b'{"a": "\n"}', "is not JSON, line 1, column 8: Invalid control character"),
    (b"{} {}", "is not JSON, line 1, column 4: Extra data"),
    (b'{"a": "\xff"}', "is not UTF-8 at byte 8"),
    (b"[1]", "must be a JSON object, not an array"),
    (b"null", "must be a JSON object, not null"),
    (b"12", "must be a JSON object, not 12"),
    (b'{"a": NaN}', "is not JSON: NaN is no number there"),
    (b'{"a": [-Infinity]}', "is not JSON: -Infinity is no number there"),
    (b'{"a": {"b": 1, "c": 2, "b": 1}}', 'has "b" twice in one object'),
    (b'{"a": 1e99999999999999999999}',
     'has a number out of bounds: "1e99999999999999999999"'),
    (b'{"a":' + b"[" * 100_000, "is nested too deeply"),
    (b'{"a":' * 100_000, "is nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_a_refusal_says_where_and_why(body: bytes, message: str) -> None:
    with pytest.raises(InvalidJSON) as refused:
        parse_object(body)
    assert str(refused.value) == message


def test_long_numbers_and_names_cost_little_and_are_not_repeated() -> None:
    digits = b"9" * 1_000_000
    assert parse_object(b'{"a": ' + digits + b"}") == {"a": Decimal(digits.decode())}
    with pytest.raises(InvalidJSON) as refused:
        parse_object(b'{"%b": 1, "%b": 1}' % (digits, digits))
    assert len(str(refused.value)) < 200


@given(st.binary() | st.text().map(str.encode))
def test_whatever_comes_is_an_object_or_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body), dict)
    except InvalidJSON as error:
        str(error).encode()


words = st.text(max_size=5)


@given(
    st.dictionaries(
        words,
        st.recursive(
            st.none() | st.booleans() | words | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
            ),
            max_leaves=10,
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(document: dict[str, object]) -> None:
    assert parse_object(json.dumps(document).encode()) == document


def test_other_threads_go_on_while_a_very_large_object_is_read() -> None:
    members = ",".join(f'"name{number}":""' for number in range(1_000_000))
    reading = Thread(target=parse_object, args=(f"{{{members}}}".encode(),))

    began = last = time.perf_counter()
    longest = 0.0
    reading.start()
    while reading.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now

    assert longest < (last - began) / 4


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ('{"a": [1.5, null, {"b": "\\u00e9"}]', None),
        ('{"a": NaN', "NaN"),
        ('{"a": 1, "a": 2', "twice"),
        ('{"a": ' + "[" * 100_000, "deeply"),
        ('{"a" 1', "line 1, column 6"),
        ('{"a": ,', "line 1, column 7"),
        ('{"a": 1' + "e9" + "9" * 30, "out of bounds"),
    ],
)
def test_a_large_object_is_read_like_a_small_one(
    written: str, error: str | None
) -> None:
    large = (written + "}" + " " * 2**20).encode()
    small = (written + "}").encode()

    if error is None:
        assert parse_object(large) == parse_object(small)
    else:
        for body in (large, small):
            with pytest.raises(InvalidJSON, match=error):
                parse_object(body)
