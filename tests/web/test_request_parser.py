"""The parser of requests takes and refuses what gunicorn's does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from gunicorn.asgi.parser import ParseError, PythonProtocol
from hypothesis import example, given
from hypothesis import strategies as st

from pushrelay.web.request_parser import FRAMING_BYTES, RelayParser

HEAD = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

PIECES = st.sampled_from(
    [
        *(b"0", b"1", b"a", b"F", b"00003", b"\r\n", b"\n", b"\r", b" ", b"\t", b";"),
        *(b"x", b'"', b"=", b"-", b"1\r\nx\r\n", b"3;a=b\r\nabc\r\n", b"0\r\n\r\n"),
        *(b"0\r\nX: y\r\n\r\n", b"0\r\nContent-Length: 1\r\n\r\n", b"2 ;a\r\nxy\r\n"),
    ]
)


def outcome(kind: type, data: bytes, cuts: list[int]) -> tuple[object, ...]:
    """Return what a parser of this kind makes of `data`, which comes in parts."""
    bodies: list[bytes] = []
    parser = kind(on_body=bodies.append)
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    try:
        for start, end in pairwise(edges):
            parser.feed(data[start:end])
    except ParseError as error:
        return ("refused", type(error))
    rest = parser.remaining()
    return parser.is_complete, b"".join(bodies), rest, dict(parser.headers)


@given(st.lists(PIECES, max_size=12), st.lists(st.integers(1, 120), max_size=6))
@example([b"1\r\nx\r\n", b"0\r\n\r\n", b"GET"], [])
@example([b"0\r\n\r\n"], [len(HEAD) + 1, len(HEAD) + 3])
def test_chunks_mean_what_they_mean_to_gunicorn(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = HEAD + b"".join(pieces)
    assert outcome(RelayParser, data, cuts) == outcome(PythonProtocol, data, cuts)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_fields_are_what_they_are_to_gunicorn(name: bytes, value: bytes) -> None:
    data = b"GET / HTTP/1.1\r\n" + name + b":" + value + b"\r\n\r\n"
    assert outcome(RelayParser, data, []) == outcome(PythonProtocol, data, [])


def test_every_byte_of_a_field_is_judged_as_gunicorn_judges_it() -> None:
    relay, gunicorn = RelayParser(), PythonProtocol()
    for byte in (bytes([number]) for number in range(256)):
        for data in (byte, b"a" + byte, byte + b"a", b""):
            assert relay._is_valid_token(data) == gunicorn._is_valid_token(data)
            assert relay._has_invalid_header_chars(
                data
            ) == gunicorn._has_invalid_header_chars(data)


LINES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"a", b":", b"GET / HTTP/1.1\r\n", b"x: y\r\n", b"z" * 5000]
)


@given(st.lists(LINES, max_size=10), st.lists(st.integers(1, 60), max_size=6))
@example([b"GET / HTTP/1.1\r\n", b"a", b":", b"\r", b"\n", b"\r\n"], [18, 19, 20, 21])
@example([b"GET / HTTP/1.1\r\n", b"a", b":", b"\n", b"\r\n"], [18])
def test_lines_end_where_they_do_for_gunicorn(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(pieces)
    assert outcome(RelayParser, data, cuts) == outcome(PythonProtocol, data, cuts)


def test_many_chunks_are_handed_on_as_one() -> None:
    bodies: list[bytes] = []
    parser = RelayParser(on_body=bodies.append)
    parser.feed(HEAD)
    parser.feed(b"9\r\nsome text\r\n" * 1000)
    assert bodies == [b"some text" * 1000]


@pytest.mark.parametrize(
    "chunk", [b"1\r\n#\r\n", b'1;a="' + b"x" * 1000 + b'"\r\n#\r\n']
)
def test_a_body_must_be_more_than_chunk_sizes(chunk: bytes) -> None:
    parser = RelayParser(on_body=lambda _: None)
    parser.feed(HEAD)
    parser.feed(chunk * (FRAMING_BYTES // len(chunk) // 2))
    with pytest.raises(ParseError, match="too small"):
        parser.feed(chunk * FRAMING_BYTES)


def test_lines_as_chunks_are_a_body_however_many() -> None:
    parser = RelayParser(on_body=lambda _: None)
    parser.feed(HEAD)
    for _ in range(1000):
        parser.feed(b"4\r\nx 1\n\r\n" * 100)
    parser.feed(b"0\r\n\r\n")
    assert parser.is_complete
