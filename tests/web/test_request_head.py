"""The short way through request heads, compared with gunicorn's own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from gunicorn.asgi import protocol
from gunicorn.asgi.parser import ParseError, PythonProtocol
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.web.request_head import RelayParser

LIMITS = {"limit_request_fields": 9, "limit_request_field_size": 300}
PUSH = (
    b"PUT /metrics/job/x HTTP/1.1\r\nHost: relay:9091\r\nUser-Agent:curl/8\r\n"
    b"Content-Type: \t text/plain; version=0.0.4 \t\r\nContent-Length: 6\r\n\r\nbody 1"
)

names = st.one_of(
    st.sampled_from(
        [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-y_z"]
    ),
    st.sampled_from([b"", b"X ", b" X", b"X\t", b"X(", b"X:", b"\xff", b"X\x00"]),
    st.binary(max_size=3),
)
values = st.one_of(
    st.sampled_from([b"", b" a ", b"\ta\t b", b"7", b"chunked", b"close", b"\xe9"]),
    st.sampled_from([b"a\rb", b"a\nb", b"a\x00b", b"a\x7f", b"a\x1f", b"a" * 298]),
    st.binary(max_size=4),
)
ends = st.sampled_from([*[b"\r\n"] * 20, b"\n", b"\r", b"\r\n ", b"\r\n\r\n"])
fields = st.builds(
    lambda name, value, end: name + b":" + value + end, names, values, ends
)
heads = st.builds(
    lambda lines, rest: b"PUT / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n" + rest,
    st.lists(fields, max_size=11),
    st.sampled_from([b"", b"7 bytes", b"7 bytes and more", b"1\r\nx\r\n0\r\n\r\n"]),
)


def read(kind: type[PythonProtocol], pieces: list[bytes]) -> dict[str, Any]:
    """Return all that can be told of the parser after `pieces`."""
    body: list[bytes] = []
    parser = kind(on_body=body.append, on_headers_complete=lambda: False, **LIMITS)
    error = None
    for piece in pieces:
        try:
            parser.feed(piece)
        except ParseError as refusal:
            error = (type(refusal), str(refusal))
            break
    told = {
        "error": error,
        "body": body,
        "rest": parser.remaining(),
        "count": error or parser._header_count,
    }
    for name in ("headers", "content_length", "is_chunked", "should_keep_alive"):
        told[name] = getattr(parser, name)
    return told | {"is_complete": parser.is_complete}


@given(heads)
def test_a_head_is_read_as_gunicorn_reads_it(head: bytes) -> None:
    assert read(RelayParser, [head]) == read(PythonProtocol, [head])


@given(heads, st.lists(st.integers(0, 400), max_size=4))
def test_a_head_in_pieces_is_read_as_gunicorn_reads_it(
    head: bytes, cuts: list[int]
) -> None:
    places = [0, *sorted(cuts), len(head)]
    pieces = [head[a:b] for a, b in pairwise(places)]
    assert read(RelayParser, pieces) == read(PythonProtocol, pieces)


@pytest.mark.parametrize("place", [b"X%s: y\r\n", b"X: a%sb\r\n", b"X: %s\r\n"])
def test_every_byte_is_judged_as_gunicorn_judges_it(place: bytes) -> None:
    accepted = 0
    for byte in range(256):
        head = b"GET / HTTP/1.1\r\n" + place % bytes([byte]) + b"\r\n"
        told = read(RelayParser, [head])
        assert told == read(PythonProtocol, [head]), byte
        accepted += told["error"] is None
    assert 0 < accepted < 256


@pytest.mark.parametrize("count", [9, 10])
def test_the_number_of_fields_has_its_limit(count: int) -> None:
    head = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * count + b"\r\n"
    told = read(RelayParser, [head])
    assert told == read(PythonProtocol, [head])
    assert (told["error"] is None) is (count == 9)


def test_an_ordinary_head_takes_the_short_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = read(PythonProtocol, [PUSH])
    monkeypatch.delattr(PythonProtocol, "_parse_headers")
    told = read(RelayParser, [PUSH])
    assert told == expected
    assert told["headers"][2] == (b"content-type", b"text/plain; version=0.0.4")
    assert told["body"] == [b"body 1"]


def test_gunicorn_names_its_parser_where_the_worker_replaces_it() -> None:
    assert protocol.PythonProtocol in (PythonProtocol, RelayParser)
