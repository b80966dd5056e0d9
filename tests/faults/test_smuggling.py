"""No request hides in the body of another, however the head says where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from raw_clients import Clients, received, statuses
from relay_process import RelayProcess

pytestmark = pytest.mark.system

HIDDEN = (
    b"PUT /metrics/job/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nx 1\n"
)
SIZE = str(len(HIDDEN)).encode()
AS_CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
NO_CHUNK = b"0\r\n\r\n"
BEHIND_NO_CHUNK = str(len(NO_CHUNK + HIDDEN)).encode()
CHUNKED = b"Transfer-Encoding: chunked"


def push(*fields: bytes, body: bytes = HIDDEN, version: bytes = b"1.1") -> bytes:
    """Return a push with these header fields, one a line."""
    head = [b"PUT /metrics/job/seen HTTP/" + version, b"Host: x", *fields, b"", b""]
    return b"\r\n".join(head) + body


def chunked(body: bytes) -> bytes:
    return push(CHUNKED, body=body + NO_CHUNK + HIDDEN)


AMBIGUOUS = {
    "a length and chunks, of which there are none": push(
        b"Content-Length: " + BEHIND_NO_CHUNK, CHUNKED, body=NO_CHUNK + HIDDEN
    ),
    "chunks and a length, which is shorter": push(
        CHUNKED, b"Content-Length: 4", body=AS_CHUNK
    ),
    "two lengths": push(b"Content-Length: 0", b"Content-Length: " + SIZE),
    "two lengths, the other way round": push(
        b"Content-Length: " + SIZE, b"Content-Length: 0"
    ),
    "the same length twice": push(
        b"Content-Length: " + SIZE, b"Content-Length: " + SIZE
    ),
    "a list of lengths": push(b"Content-Length: 0, " + SIZE),
    "a length with a sign": push(b"Content-Length: +0"),
    "a negative length": push(b"Content-Length: -1"),
    "a length in hexadecimal": push(b"Content-Length: 0x0"),
    "a length with an underscore": push(b"Content-Length: 0_0"),
    "a length with a space in it": push(b"Content-Length: 0 0"),
    "an empty length": push(b"Content-Length:"),
    "a length with a space before the colon": push(b"Content-Length : " + SIZE),
    "a length on a line that goes on": push(b"X: y", b" Content-Length: " + SIZE),
    "a length on a line with a tab before it": push(b"\tContent-Length: " + SIZE),
    "a length behind a bare LF": push(b"X: y\nContent-Length: " + SIZE),
    "a length behind a bare CR": push(b"X: y\rContent-Length: " + SIZE),
    "a length with a NUL in its name": push(b"Content-\0Length: " + SIZE),
    "a length with a NUL in its value": push(b"Content-Length: 0\0" + SIZE),
    "a NUL in another field": push(b"X: a\0b", b"Content-Length: " + SIZE),
    "a field without a name": push(b": x", b"Content-Length: " + SIZE),
    "a field without a colon": push(b"Content-Length", b"X: y"),
    "a head that ends with bare LFs": push().replace(b"\r\n\r\n", b"\n\n", 1),
    "a head with bare LFs only": push().replace(b"\r\n", b"\n"),
    "chunks in HTTP/1.0": push(CHUNKED, body=AS_CHUNK, version=b"1.0"),
    "chunks in HTTP/2.0": push(CHUNKED, body=AS_CHUNK, version=b"2.0"),
    "an unknown coding": push(b"Transfer-Encoding: xchunked", body=AS_CHUNK),
    "chunks twice": push(b"Transfer-Encoding: chunked, chunked", body=AS_CHUNK),
    "chunks in two fields": push(CHUNKED, CHUNKED, body=AS_CHUNK),
    "chunks, and then not": push(CHUNKED, b"Transfer-Encoding: identity"),
    "chunks that are compressed": push(b"Transfer-Encoding: chunked, gzip"),
    "a coding that is not chunks": push(b"Transfer-Encoding: gzip"),
    "chunks with a vertical tab": push(b"Transfer-Encoding: \x0bchunked"),
    "chunks in quotes": push(b'Transfer-Encoding: "chunked"', body=AS_CHUNK),
    "chunks with a semicolon": push(b"Transfer-Encoding: chunked;", body=AS_CHUNK),
    "chunks with a space before the colon": push(
        b"Transfer-Encoding : chunked", body=AS_CHUNK
    ),
    "chunks on a line that goes on": push(b"Transfer-Encoding:", b" chunked"),
    "two hosts": push(b"Host: y", b"Content-Length: " + SIZE),
    "a negative chunk": chunked(b"-1\r\nx\r\n"),
    "a chunk with a sign": chunked(b"+1\r\nx\r\n"),
    "a chunk in hexadecimal, twice": chunked(b"0x1\r\nx\r\n"),
    "a chunk with an underscore": chunked(b"0_1\r\nx\r\n"),
    "a chunk with a space before its size": chunked(b" 1\r\nx\r\n"),
    "a chunk with a space behind its size": chunked(b"1 \r\nx\r\n"),
    "a chunk without a size": chunked(b"\r\nx\r\n"),
    "a chunk with a size that ends with LF": chunked(b"1\nx\r\n"),
    "a chunk that ends with LF": chunked(b"1\r\nx\n"),
    "a chunk that is longer than it says": chunked(b"1\r\nxx\r\n"),
    "a chunk that is shorter than it says": chunked(b"9\r\nx\r\n"),
    "an extension that is none": chunked(b"1;a b\r\nx\r\n"),
    "an extension with a bare LF": chunked(b"1;a\nb\r\nx\r\n"),
    "an extension with a bare CR": chunked(b"1;a\rb\r\nx\r\n"),
    "an extension behind the end": chunked(b"1\r\nx\r\n0;a b\r\n"),
    "a length in the trailer": push(
        CHUNKED, body=b"0\r\nContent-Length: " + SIZE + b"\r\n\r\n" + HIDDEN
    ),
    "chunks in the trailer": push(
        CHUNKED, body=b"0\r\n" + CHUNKED + b"\r\n\r\n" + HIDDEN
    ),
    "a chunk of all memory there is": chunked(b"FFFFFFFFFFFFFFFFFF\r\nx\r\n"),
    "a length of all memory there is": push(b"Content-Length: 99999999999999999999"),
}

UNREAD = {
    # Answered for their heads alone: what becomes of the body?
    "a probe": (b"GET /-/healthy", 200),
    "a scrape": (b"GET /metrics", 200),
    "an unknown path": (b"PUT /nope", 404),
    "a wrong method": (b"POST /metrics", 405),
    "a path that is not clean": (b"PUT /metrics//job/x", 307),
    "a path that names no group": (b"PUT /metrics/job/a/odd", 400),
    "the end, which is not allowed": (b"PUT /-/quit", 403),
    "options": (b"OPTIONS /metrics", 200),
    "a head that is not there": (b"HEAD /metrics", 405),
}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    flags = ("--limit.idle-seconds=0.5", "--limit.body-bytes=1000000")
    with RelayProcess(tmp_path_factory.mktemp("relay"), *flags) as relay:
        yield relay


@pytest.fixture
def clients(relay: RelayProcess) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(relay, stack)


def names_of_jobs(relay: RelayProcess) -> set[str]:
    return {key["job"] for key in relay.grouping_keys()}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=list(AMBIGUOUS))
def test_what_could_be_two_requests_is_refused_and_the_end_of_the_connection(
    relay: RelayProcess, clients: Clients, sent: bytes
) -> None:
    answers = received(clients.send(sent + HIDDEN))
    [status] = statuses(answers)
    assert 400 <= status <= 501, answers
    assert not {"hidden", "seen"} & names_of_jobs(relay)


@pytest.mark.parametrize(("line", "status"), UNREAD.values(), ids=list(UNREAD))
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunks"])
def test_a_body_that_nobody_reads_is_no_request(
    relay: RelayProcess, clients: Clients, line: bytes, status: int, in_chunks: bool
) -> None:
    fields, body = b"Content-Length: " + SIZE, HIDDEN
    if in_chunks:
        fields, body = CHUNKED, AS_CHUNK
    head = b"%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (line, fields)
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = received(clients.send(head + body + last))
    # The connection may be at its end, or go on behind the body.
    assert statuses(answers) in ([status], [status, 200])
    assert "hidden" not in names_of_jobs(relay)


@pytest.mark.parametrize(
    "fields",
    [b"Content-Length: 2000000", b"Expect: 100-continue\r\nContent-Length: 2000000"],
    ids=["sent", "announced"],
)
def test_a_body_that_is_too_long_to_be_read_is_no_request(
    relay: RelayProcess, clients: Clients, fields: bytes
) -> None:
    client = clients.send(push(fields, body=HIDDEN * 10))
    assert statuses(received(client)) == [413]
    assert "hidden" not in names_of_jobs(relay)


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ],
    ids=["HTTP/2", "WebSocket"],
)
def test_there_is_no_other_protocol_to_change_to(
    relay: RelayProcess, clients: Clients, upgrade: bytes
) -> None:
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    sent = b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n" + last
    answers = received(clients.send(sent))
    assert 101 not in statuses(answers)
    assert relay.put("/metrics/job/served", "x 1\n").status == 200


def test_well_formed_chunks_are_a_body(relay: RelayProcess, clients: Clients) -> None:
    body = (
        b'3;name=value; q="a;b"\r\nx 1\r\n00000001 ;x\r\n\n\r\n'
        + b"".join(b"1\r\n%c\r\n" % byte for byte in b"y 2\n")
        + b"0\r\nX-Trailer: ignored\r\n\r\n"
    )
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    client = clients.send(push(CHUNKED, body=body).replace(b"seen", b"chunks") + last)
    assert statuses(received(client)) == [200, 200]
    page = relay.page()
    assert 'x{instance="",job="chunks"} 1\n' in page
    assert 'y{instance="",job="chunks"} 2\n' in page


def test_the_relay_has_nothing_to_complain_about(relay: RelayProcess) -> None:
    assert "traceback" not in relay.log.lower()
    assert "internal error" not in relay.log
