"""Nothing that a client sends can spoil the next push or scrape."""

from __future__ import annotations

import base64
import gzip
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import cramjam
import pytest
from compat.metric_messages import COUNTER, GAUGE, HEADERS, delimited, family, labels
from prometheus_client.parser import text_string_to_metric_families
from relay_process import HTTPClient, RelayProcess, StartRelay

pytestmark = pytest.mark.system

BODY_BYTES = 100_000
SERIES = 1_000
LABELS = 20
VALUE_BYTES = 1_000
TARGET_BYTES = 80_000
FLAGS = (
    "--web.enable-admin-api",
    f"--limit.body-bytes={BODY_BYTES}",
    f"--limit.series={SERIES}",
    f"--limit.labels={LABELS}",
    f"--limit.label-value-bytes={VALUE_BYTES}",
    f"--limit.target-bytes={TARGET_BYTES}",
)
GZIP = {"Content-Encoding": "gzip"}
SNAPPY = {"Content-Encoding": "snappy"}
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.fixture(scope="module")
def shared_relay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("relay"), *FLAGS) as relay:
        yield relay


@pytest.fixture
def relay(shared_relay: RelayProcess) -> Iterator[RelayProcess]:
    """A relay with one group, which must be well afterwards."""
    shared_relay.wipe()
    assert shared_relay.put("/metrics/job/before", "before 1\n").status == 200
    yield shared_relay
    check_health(shared_relay)


def check_health(relay: HTTPClient) -> None:
    """Check that pushes and scrapes in all formats work."""
    assert relay.put("/metrics/job/after", "after 1\n").status == 200
    page = relay.page()
    assert 'before{instance="",job="before"} 1\n' in page
    assert 'after{instance="",job="after"} 1\n' in page
    assert list(text_string_to_metric_families(page))
    assert relay.get("/metrics", {"Accept": HEADERS["Content-Type"]}).status == 200
    compressed = relay.get("/metrics", {"Accept-Encoding": "gzip"})
    assert list(
        text_string_to_metric_families(gzip.decompress(compressed.body).decode())
    )
    assert relay.get("/-/healthy").status == 200
    assert relay.groups()


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


class Bad(NamedTuple):
    """A push that is refused with `status`; booked: as a failure of its group."""

    status: int
    path: str = "/metrics/job/bad"
    body: bytes = b"x 1\n"
    headers: Mapping[str, str] = MappingProxyType({})
    booked: bool = False


COUNTED = family("x", COUNTER, {"counter": {"value": 1}})
GOOD = delimited(COUNTED)

BAD = {
    # The path.
    "a job that is not UTF-8": Bad(400, "/metrics/job/%ff"),
    "a label value that is not UTF-8": Bad(400, "/metrics/job/bad/l/%c3%28"),
    "a label value that is not UTF-8 in base64": Bad(
        400, "/metrics/job/bad/l@base64/_w"
    ),
    "a surrogate in a label value": Bad(400, "/metrics/job/bad/l/%ed%a0%80"),
    "a label name that is not UTF-8": Bad(400, "/metrics/job/bad/%ff/v"),
    "a job that is no base64": Bad(400, "/metrics/job@base64/a"),
    "a label of Prometheus": Bad(400, "/metrics/job/bad/__name__/x"),
    "a lone component": Bad(400, "/metrics/job/bad%2Fl"),
    "a target over the limit": Bad(414, "/metrics/job/bad/l/" + "v" * TARGET_BYTES),
    "a query over the limit": Bad(414, "/metrics/job/bad?" + "v" * TARGET_BYTES),
    # The body as text.
    "a label value that is not UTF-8 in text": Bad(400, body=b'x{l="\xff"} 1\n'),
    "a name that is not UTF-8": Bad(400, body=b"x\xff 1\n"),
    "a quoted name that is not UTF-8": Bad(400, body=b'{"\xff"} 1\n'),
    "a help that is not UTF-8": Bad(400, body=b"# HELP x \xff\nx 1\n"),
    "a surrogate in a help": Bad(400, body=b"# HELP x \xed\xa0\x80\nx 1\n"),
    "UTF-16": Bad(400, body="x 1\n".encode("utf-16")),
    "NUL": Bad(400, body=b"\0\n"),
    "no line end": Bad(400, body=b"x 1"),
    "random bytes": Bad(400, body=random.Random(1).randbytes(5000)),
    "a number too large": Bad(400, body=b"x 1e999\n"),
    "a number with underscores": Bad(400, body=b"x 1_0\n"),
    "an endless number": Bad(400, body=b"x " + b"9" * 5000 + b"x\n"),
    "a bound that is no number": Bad(
        400, body=b'# TYPE h histogram\nh_bucket{le="x"} 1\n'
    ),
    "a body over the limit": Bad(413, body=b"#" * (BODY_BYTES + 1)),
    "more series than the limit": Bad(
        413, body=b"".join(b'x{l="%d"} 1\n' % n for n in range(SERIES + 1))
    ),
    "more labels than the limit": Bad(
        400, body=b"x{%s} 1\n" % b",".join(b'l%d=""' % n for n in range(LABELS + 1))
    ),
    "a label value over the limit": Bad(
        400, body=b'x{l="%s"} 1\n' % (b"v" * (VALUE_BYTES + 1))
    ),
    # What is read and refused.
    "a series twice": Bad(400, body=b"x 1\nx 2\n", booked=True),
    "a timestamp": Bad(400, body=b"x 1 1\n", booked=True),
    "a name of the relay": Bad(400, body=b"pushrelay_groups 1\n", booked=True),
    # The body in protobuf.
    "a truncated length": Bad(400, body=b"\xff", headers=HEADERS),
    "an endless length": Bad(400, body=b"\xff" * 20, headers=HEADERS),
    "a length beyond the end": Bad(
        400, body=b"\xff\xff\xff\x7f" + GOOD, headers=HEADERS
    ),
    "a length that is too short": Bad(
        400, body=bytes([GOOD[0] - 1]) + GOOD[1:], headers=HEADERS
    ),
    "a truncated message": Bad(400, body=GOOD[:-3], headers=HEADERS),
    "text for protobuf": Bad(400, body=b"x 1\n" * 30, headers=HEADERS),
    "random bytes for protobuf": Bad(
        400, body=random.Random(2).randbytes(5000), headers=HEADERS
    ),
    "a family without a name": Bad(
        400, body=delimited(family("", GAUGE, {"gauge": {"value": 1}})), headers=HEADERS
    ),
    "an unknown type": Bad(
        400, body=delimited(family("x", 99, {"gauge": {"value": 1}})), headers=HEADERS
    ),
    "a value of another type": Bad(
        400,
        body=delimited(family("x", GAUGE, {"counter": {"value": 1}})),
        headers=HEADERS,
        booked=True,
    ),
    "a label name of Prometheus in protobuf": Bad(
        400,
        body=delimited(
            family("x", COUNTER, {"counter": {"value": 1}, "label": labels(__a="b")})
        ),
        headers=HEADERS,
        booked=True,
    ),
    "more series than the limit in protobuf": Bad(
        413,
        body=delimited(family("x", COUNTER, *[{} for _ in range(SERIES + 1)])),
        headers=HEADERS,
    ),
    # Encodings.
    "no gzip": Bad(400, headers=GZIP),
    "nothing for gzip": Bad(400, body=b"", headers=GZIP),
    "gzip of garbage": Bad(400, body=gzip.compress(b"\xff\xfe\n"), headers=GZIP),
    "garbage after a gzip head": Bad(
        400, body=gzip.compress(b"")[:10] + os.urandom(500), headers=GZIP
    ),
    "truncated gzip": Bad(400, body=gzip.compress(b"x 1\n" * 99)[:-9], headers=GZIP),
    "gzip with a wrong checksum": Bad(
        400, body=gzip.compress(b"x 1\n")[:-8] + bytes(8), headers=GZIP
    ),
    "gzip that inflates over the limit": Bad(
        413, body=gzip.compress(b"#" * 100 * BODY_BYTES), headers=GZIP
    ),
    "gzip in gzip": Bad(400, body=gzip.compress(gzip.compress(b"x 1\n")), headers=GZIP),
    "no snappy": Bad(400, headers=SNAPPY),
    "snappy without frames": Bad(
        400, body=bytes(cramjam.snappy.compress_raw(b"x 1\n")), headers=SNAPPY
    ),
    "truncated snappy": Bad(
        400, body=bytes(cramjam.snappy.compress(b"x 1\n" * 99))[:-3], headers=SNAPPY
    ),
    "random bytes for snappy": Bad(
        400, body=random.Random(3).randbytes(500), headers=SNAPPY
    ),
    "snappy of garbage": Bad(
        400, body=bytes(cramjam.snappy.compress(b"\xff\n")), headers=SNAPPY
    ),
    "snappy that inflates over the limit": Bad(
        413, body=bytes(cramjam.snappy.compress(b"#" * 9 * BODY_BYTES)), headers=SNAPPY
    ),
    # Framing.
    "chunks over the limit": Bad(
        413, body=chunked(*[b"#" * 9_999] * 20), headers=CHUNKED
    ),
    "chunks of broken lines": Bad(400, body=chunked(b"x ", b"y\n"), headers=CHUNKED),
    "no length of a chunk": Bad(400, body=b"zz\r\nx 1\n\r\n0\r\n\r\n", headers=CHUNKED),
    "an unknown transfer encoding": Bad(
        501, body=b"x 1\n", headers={"Transfer-Encoding": "x"}
    ),
    "a length that is no number": Bad(400, headers={"Content-Length": "x"}),
    "a negative length": Bad(400, headers={"Content-Length": "-1"}),
    "two lengths": Bad(400, headers={"content-length": "4", "CONTENT-LENGTH": "5"}),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_refused_and_without_effect(relay: RelayProcess, bad: Bad) -> None:
    headers = {"Host": relay.address, "Connection": "close", **bad.headers}
    lengths = {"Content-Length", "content-length", "Transfer-Encoding"}
    if not lengths & headers.keys():
        headers["Content-Length"] = str(len(bad.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"PUT {bad.path} HTTP/1.1\r\n{lines}\r\n".encode()

    response = relay.send(head + bad.body)

    assert response.status == bad.status, response.text
    jobs = {key["job"] for key in relay.grouping_keys()}
    assert jobs == ({"before", "bad"} if bad.booked else {"before"})
    if bad.booked:
        group = relay.group(job="bad")
        assert group is not None
        assert group["last_push_successful"] is False
        assert "x" not in group


def test_a_body_that_ends_too_early_is_dropped(relay: RelayProcess) -> None:
    for framing in (b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"):
        with socket.create_connection((relay.host, relay.port), timeout=10) as client:
            head = b"PUT /metrics/job/bad HTTP/1.1\r\nHost: x\r\n" + framing
            client.sendall(head + b"\r\n4\r\nx 1\n")
    time.sleep(0.05)
    assert {key["job"] for key in relay.grouping_keys()} == {"before"}


def test_a_push_whose_client_did_not_wait_disturbs_nobody(relay: RelayProcess) -> None:
    for number in range(50):
        with socket.create_connection((relay.host, relay.port), timeout=10) as client:
            request = f"PUT /metrics/job/gone-{number} HTTP/1.1\r\nHost: x\r\n"
            client.sendall(
                f"{request}Content-Length: 4\r\n\r\nx {number % 10}\n".encode()
            )


@pytest.mark.parametrize(
    "value",
    ["<script>alert(1)</script>", "\x00", "\n\r\t", "é🦆", "\u2028\ufeff", "%2F"],
)
def test_strange_values_are_kept_and_harmless(relay: RelayProcess, value: str) -> None:
    encoded = base64.urlsafe_b64encode(value.encode()).decode()
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    target = f"/metrics/job/odd/l@base64/{encoded}"
    body = f'# HELP odd {escaped}\nodd{{m="{escaped}"}} 1\n'
    assert relay.put(target, body).status == 200
    sample = f'odd{{instance="",job="odd",l="{escaped}",m="{escaped}"}} 1\n'
    assert sample in relay.page()
    assert relay.group(job="odd", l=value) is not None
    assert relay.get("/").status == 200
    assert relay.delete(target).status == 202
    assert relay.group(job="odd", l=value) is None


def test_a_body_as_large_as_the_default_limit_is_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    limit = 64 * 1024 * 1024
    with RelayProcess(tmp_path_factory.mktemp("relay")) as relay:
        assert relay.put("/metrics/job/before", "before 1\n").status == 200
        body = b"large 1\n#".ljust(limit - 1, b"#") + b"\n"
        assert relay.put("/metrics/job/large", body).status == 200
        assert 'large{instance="",job="large"} 1\n' in relay.page()
        head = (
            f"PUT /metrics/job/large HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}"
        )
        assert relay.send(f"{head}\r\n\r\n".encode()).status == 413
        check_health(relay)


@pytest.mark.parametrize("host", ["[::1", "a?b", "a#c", "a/b", "a b", "<script>"])
def test_a_malformed_host_is_refused(relay: RelayProcess, host: str) -> None:
    for path in ("/", "/api/v1/status", "/metrics"):
        assert relay.get(path, {"Host": host}).status == 400


def test_http_1_0_without_a_host_is_served(relay: RelayProcess) -> None:
    response = relay.send(b"GET / HTTP/1.0\r\n\r\n")
    assert response.status == 200


def test_a_limit_below_what_is_read_at_once_holds_for_what_is_inflated(
    start_relay: StartRelay,
) -> None:
    relay = start_relay("--limit.body-bytes=1000")
    body = gzip.compress(b"#" * 5_000 + b"\nx 1\n")
    response = relay.put("/metrics/job/x", body, {"Content-Encoding": "gzip"})
    assert response.status == 413
    assert relay.groups() == []
