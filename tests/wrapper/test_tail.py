"""The end of the output, whole characters of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.wrapper.tail import Tail


def tail_of(most: int, *parts: bytes) -> str:
    tail = Tail(most)
    for part in parts:
        tail.add(part)
    return tail.text()


@st.composite
def in_parts(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    whole = draw(data)
    cuts = draw(st.lists(st.integers(0, len(whole))))
    ends = sorted({0, len(whole), *cuts})
    return [whole[start:end] for start, end in pairwise(ends)]


@given(in_parts(st.text().map(str.encode)), st.integers(1, 30))
def test_it_is_as_many_whole_characters_as_fit(parts: list[bytes], most: int) -> None:
    text = b"".join(parts).decode()
    fitting = [text[n:] for n in range(len(text) + 1) if len(text[n:].encode()) <= most]
    assert tail_of(most, *parts) == fitting[0]


@given(in_parts(st.binary()), st.integers(1, 30))
def test_of_bytes_that_are_no_text_few_are_left_out(
    parts: list[bytes], most: int
) -> None:
    last = b"".join(parts)[-most:]
    possible = {last[n:].decode(errors="replace") for n in range(4)}
    assert tail_of(most, *parts) in possible


@pytest.mark.parametrize(
    ("data", "most", "text"),
    [
        (b"", 3, ""),
        (b"abc", 3, "abc"),
        (b"abcd", 3, "bcd"),
        ("ä€".encode(), 5, "ä€"),
        ("ä€".encode(), 4, "€"),
        ("ä€".encode(), 3, "€"),
        ("ä€".encode(), 2, ""),
        ("😀x".encode(), 4, "x"),
        # What was not cut off is no rest of anything.
        (b"\x80abc", 4, "\ufffdabc"),
        (b"abc\xe2\x82", 5, "abc\ufffd"),
        (b"\x80" * 9, 5, "\ufffd\ufffd"),
    ],
)
def test_it_is_cut_between_characters(data: bytes, most: int, text: str) -> None:
    assert tail_of(most, data) == text
    assert tail_of(most, *(bytes([byte]) for byte in data)) == text


def test_it_does_not_grow_with_the_output() -> None:
    tail = Tail(10)
    for _ in range(1000):
        tail.add(b"0123456")
        assert len(tail._kept) <= 27
