"""Bytes in addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.url_base64 import from_base64, to_base64


@given(st.binary(max_size=50))
def test_what_is_written_stands_in_an_address_and_is_read_again(data: bytes) -> None:
    written = to_base64(data)
    assert set(written) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
    assert from_base64(written) == data


def test_padding_may_be_there() -> None:
    assert from_base64("eA==") == from_base64("eA") == b"x"


@pytest.mark.parametrize("written", ["a", "a b c d", "ü", "====", "eA=x"])
def test_what_is_no_base64_of_addresses_is_an_error(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_base64(written)
