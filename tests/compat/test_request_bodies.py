"""Encodings, content types and framings of the body of a push."""

from __future__ import annotations

import gzip
import zlib

import cramjam
import pytest
from exposition_page import lines_of, pushed
from metric_messages import CONTENT_TYPE, COUNTER, delimited, family
from relay_process import HTTPClient

BODY = b"a 1\n"
GZIPPED = gzip.compress(BODY)
SNAPPY_FRAMED = bytes(cramjam.snappy.compress(BODY))
SNAPPY_BLOCK = bytes(cramjam.snappy.compress_raw(BODY))
PROTOBUF = delimited(family("a", COUNTER, {"counter": {"value": 1}}))

DECODED = {
    "gzip": ("gzip", GZIPPED),
    "gzip in capitals": ("GZIP", GZIPPED),
    "gzip in mixed case": ("GZip", GZIPPED),
    "gzip of two members": ("gzip", gzip.compress(b"a ") + gzip.compress(b"1\n")),
    "gzip without compression": ("gzip", gzip.compress(BODY, 0)),
    "framed snappy": ("snappy", SNAPPY_FRAMED),
    "framed snappy in capitals": ("SNAPPY", SNAPPY_FRAMED),
    "an encoding that is not known is ignored": ("zstd", BODY),
    "deflate is not known": ("deflate", BODY),
    "br is not known": ("br", BODY),
    "x-gzip is not known": ("x-gzip", BODY),
    "identity": ("identity", BODY),
    "a list of encodings is not known": ("gzip, gzip", BODY),
    "an empty encoding": ("", BODY),
}

NOT_DECODED = {
    "a plain body as gzip": ("gzip", b"some_metric 3.14\n", "gzip: invalid header\n"),
    "a short plain body as gzip": ("gzip", BODY, "unexpected EOF\n"),
    "an empty body as gzip": ("gzip", b"", "EOF\n"),
    "zlib as gzip": ("gzip", zlib.compress(BODY * 9), "gzip: invalid header\n"),
    "gzip that was cut": ("gzip", GZIPPED[:-9], "unexpected EOF\n"),
    "gzip without its trailer": ("gzip", GZIPPED[:-8], "unexpected EOF\n"),
    "gzip with a wrong checksum": (
        "gzip",
        GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:],
        "gzip: invalid checksum\n",
    ),
    "gzip with garbage after it": ("gzip", GZIPPED + b"garbage", ""),
    "a block of snappy": ("snappy", SNAPPY_BLOCK, "snappy: corrupt input\n"),
    "a plain body as snappy": ("snappy", BODY * 9, "snappy: corrupt input\n"),
    "snappy that was cut": ("snappy", SNAPPY_FRAMED[:-2], ""),
    "snappy with a wrong checksum": (
        "snappy",
        SNAPPY_FRAMED.replace(b"a 1\n", b"a 2\n"),
        "",
    ),
    "gzip under no encoding": ("identity", GZIPPED, "text format parsing error"),
    "gzip under an unknown encoding": ("x-gzip", GZIPPED, "text format parsing error"),
}

PROTOBUF_TYPES = [
    CONTENT_TYPE,
    CONTENT_TYPE.replace(" ", ""),
    CONTENT_TYPE.replace("application/vnd", "Application/VND"),
    CONTENT_TYPE.replace("proto=", "Proto=").replace("encoding=", "ENCODING="),
    "application/vnd.google.protobuf; encoding=delimited; "
    "proto=io.prometheus.client.MetricFamily",
    'application/vnd.google.protobuf; proto="io.prometheus.client.MetricFamily"; '
    'encoding="delimited"',
    CONTENT_TYPE + "; charset=utf-8",
    CONTENT_TYPE + "; escaping=allow-utf-8; q=0.5",
]

TEXT_TYPES = [
    "text/plain; version=0.0.4; charset=utf-8",
    "text/plain; version=1.0.0",
    "text/plain",
    "application/openmetrics-text; version=1.0.0",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "nonsense",
    "text/plain; version",
    ";;;",
    "",
    "application/vnd.google.protobuf",
    "application/vnd.google.protobuf; encoding=delimited",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily",
    CONTENT_TYPE.replace("delimited", "text"),
    CONTENT_TYPE.replace("delimited", "compact-text"),
    CONTENT_TYPE.replace("delimited", "Delimited"),
    CONTENT_TYPE.replace("MetricFamily", "metricfamily"),
    CONTENT_TYPE.replace("application/vnd.google", "application/x"),
]


@pytest.mark.parametrize(("encoding", "body"), DECODED.values(), ids=DECODED)
def test_decodes(relay: HTTPClient, encoding: str, body: bytes) -> None:
    response = relay.put("/metrics/job/x", body, {"Content-Encoding": encoding})
    assert (response.status, response.text) == (200, "")
    assert lines_of(pushed(relay.page())) == ["a 1 untyped"]


@pytest.mark.parametrize(
    ("encoding", "body", "text"), NOT_DECODED.values(), ids=NOT_DECODED
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_refuses(
    relay: HTTPClient, method: str, encoding: str, body: bytes, text: str
) -> None:
    headers = {"Content-Encoding": encoding}
    response = relay.request(method, "/metrics/job/x", body, headers)
    assert response.status == 400
    assert response.text.startswith(text)
    assert relay.groups() == []


def test_an_empty_snappy_body_is_an_empty_push(relay: HTTPClient) -> None:
    response = relay.put("/metrics/job/x", b"", {"Content-Encoding": "snappy"})
    assert response.status == 200
    assert relay.grouping_keys() == [{"job": "x"}]


@pytest.mark.parametrize("encoding", ["gzip", "snappy"])
def test_protobuf_is_decoded_too(relay: HTTPClient, encoding: str) -> None:
    compressed = {
        "gzip": gzip.compress(PROTOBUF),
        "snappy": bytes(cramjam.snappy.compress(PROTOBUF)),
    }
    headers = {"Content-Encoding": encoding, "Content-Type": CONTENT_TYPE}
    assert relay.put("/metrics/job/x", compressed[encoding], headers).status == 200
    assert lines_of(pushed(relay.page())) == ["a 1 counter"]


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready"])
def test_other_paths_decode_bodies_too(relay: HTTPClient, path: str) -> None:
    response = relay.get(path, {"Content-Encoding": "gzip"})
    assert (response.status, response.text) == (400, "EOF\n")


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/api/v1/status"])
def test_the_query_api_ignores_encodings(relay: HTTPClient, path: str) -> None:
    assert relay.get(path, {"Content-Encoding": "gzip"}).status == 200


def test_the_admin_api_ignores_encodings(relay: HTTPClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    response = relay.request("PUT", "/api/v1/admin/wipe", headers=headers)
    assert response.status == 202


@pytest.mark.parametrize("content_type", PROTOBUF_TYPES)
def test_is_read_as_protobuf(relay: HTTPClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert relay.put("/metrics/job/x", PROTOBUF, headers).status == 200
    assert lines_of(pushed(relay.page())) == ["a 1 counter"]


@pytest.mark.parametrize("content_type", TEXT_TYPES)
def test_is_read_as_text(relay: HTTPClient, content_type: str) -> None:
    response = relay.put("/metrics/job/x", BODY, {"Content-Type": content_type})
    assert (response.status, response.text) == (200, "")
    assert lines_of(pushed(relay.page())) == ["a 1 untyped"]


def test_a_push_without_a_body_is_empty(relay: HTTPClient) -> None:
    assert relay.request("PUT", "/metrics/job/x").status == 200
    assert relay.grouping_keys() == [{"job": "x"}]


@pytest.mark.parametrize(
    "chunks",
    [
        [BODY],
        [b"a", b" 1", b"\n"],
        [bytes([byte]) for byte in BODY],
        [b"# " + b"x" * 100_000 + b"\n", BODY],
        [],
    ],
    ids=["one", "three", "bytes", "long", "none"],
)
def test_chunks_are_joined(relay: HTTPClient, chunks: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    headers = {"Transfer-Encoding": "chunked"}
    response = relay.put("/metrics/job/x", body + b"0\r\n\r\n", headers)
    assert response.status == 200
    assert lines_of(pushed(relay.page())) == (["a 1 untyped"] if chunks else [])


def test_extensions_and_trailers_of_chunks_are_ignored(relay: HTTPClient) -> None:
    body = b"2;name=value\r\na \r\n2\r\n1\n\r\n0\r\nX-Trailer: yes\r\n\r\n"
    headers = {"Transfer-Encoding": "chunked"}
    assert relay.put("/metrics/job/x", body, headers).status == 200
    assert lines_of(pushed(relay.page())) == ["a 1 untyped"]


def test_chunks_may_be_gzipped(relay: HTTPClient) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(GZIPPED), GZIPPED)
    headers = {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}
    assert relay.put("/metrics/job/x", body, headers).status == 200
    assert lines_of(pushed(relay.page())) == ["a 1 untyped"]


def test_a_chunk_with_a_bad_length_is_refused(relay: HTTPClient) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    response = relay.put("/metrics/job/x", b"zz\r\na 1\n\r\n0\r\n\r\n", headers)
    assert response.status == 400
    assert relay.groups() == []


def test_an_expectation_is_met(relay: HTTPClient) -> None:
    headers = {"Expect": "100-continue"}
    response = relay.put("/metrics/job/x", BODY, headers)
    assert response.status == 200
    assert relay.grouping_keys() == [{"job": "x"}]


def test_the_body_of_a_delete_is_ignored(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", BODY)
    assert relay.request("DELETE", "/metrics/job/x", b"nonsense").status == 202
    assert relay.groups() == []


def test_a_large_push_is_taken(relay: HTTPClient) -> None:
    series = 20_000
    lines = (
        f'a{{number="{number}",filler="{"x" * 50}"}} 1\n' for number in range(series)
    )
    assert relay.put("/metrics/job/x", "".join(lines)).status == 200
    assert len(pushed(relay.page())) == series
