from __future__ import annotations

import gzip
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition.compression import check_encoding, decode_body

BODY = b"".join(b'some_metric{shard="%d"} 3.5\n' % shard for shard in range(10_000))
LARGE = 2**30
STREAM = b"\xff\x06\x00\x00sNaPpY"


def snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(data))


def chunk(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "little") + content


def gzipped(data: bytes) -> bytes:
    """Return `data` compressed, the same whenever it is done: ids of tests have it."""
    return gzip.compress(data, mtime=0)


GZIPPED, SNAPPED = gzipped(BODY), snappy(BODY)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", GZIPPED),
        ("GZip", GZIPPED),
        (" gzip ", GZIPPED),
        ("gzip", gzipped(BODY[:100]) + gzipped(BODY[100:])),
        ("gzip", gzipped(b"") + GZIPPED + gzipped(b"")),
        ("snappy", SNAPPED),
        ("Snappy", SNAPPED),
        ("snappy", snappy(BODY[:100]) + snappy(BODY[100:])),
        ("snappy", STREAM + SNAPPED),
        ("snappy", STREAM + chunk(0xFE, b"pad") + SNAPPED),
        ("snappy", SNAPPED + chunk(0x80, b"to be skipped") + chunk(0xFD, b"")),
    ],
)
def test_a_known_encoding_is_undone(encoding: str, encoded: bytes) -> None:
    assert decode_body(encoded, encoding, LARGE) == BODY


@pytest.mark.parametrize(
    "encoding",
    [None, "", "identity", "deflate", "zstd", "br", "x-gzip", "gzip, gzip", "gzip,"],
)
def test_any_other_encoding_is_ignored(encoding: str | None) -> None:
    assert decode_body(GZIPPED, encoding, LARGE) == GZIPPED
    check_encoding(BODY, encoding)


@pytest.mark.parametrize(
    ("encoding", "encoded", "message"),
    [
        ("gzip", b"", "EOF"),
        ("gzip", b"\x1f", "unexpected EOF"),
        ("gzip", b"short", "unexpected EOF"),
        ("gzip", BODY, "gzip: invalid header"),
        ("gzip", GZIPPED[:2] + b"\x07" + GZIPPED[3:], "gzip: invalid header"),
        ("gzip", GZIPPED[:3] + b"\xe0" + GZIPPED[4:], "gzip: invalid header"),
        ("gzip", GZIPPED[:10], "unexpected EOF"),
        ("gzip", GZIPPED[:-1], "unexpected EOF"),
        ("gzip", GZIPPED[:-8], "unexpected EOF"),
        ("gzip", GZIPPED[:-8] + bytes(8), "gzip: invalid checksum"),
        ("gzip", GZIPPED[:-4] + bytes(4), "gzip: invalid checksum"),
        ("gzip", GZIPPED + b"rubbish", "unexpected EOF"),
        ("gzip", GZIPPED + b"more rubbish", "gzip: invalid header"),
        ("gzip", GZIPPED[:10] + b"\xff" * 10, "flate: corrupt input"),
        ("snappy", BODY, "snappy: corrupt input"),
        ("snappy", bytes(cramjam.snappy.compress_raw(BODY)), "snappy: corrupt input"),
        ("snappy", SNAPPED[len(STREAM) :], "snappy: corrupt input"),
        ("snappy", SNAPPED[:-1], "snappy: corrupt input"),
        ("snappy", SNAPPED + b"\x00", "snappy: corrupt input"),
        ("snappy", STREAM + chunk(0x00, b""), "snappy: corrupt input"),
        ("snappy", STREAM + chunk(0x01, b"abc"), "snappy: corrupt input"),
        ("snappy", STREAM + chunk(0x01, b"0000abc"), "snappy: corrupt input"),
        ("snappy", STREAM + chunk(0x02, b"abc"), "snappy: corrupt input"),
        (
            "snappy",
            STREAM + chunk(0x00, b"0000" + b"\xff" * 9),
            "snappy: corrupt input",
        ),
    ],
)
def test_a_broken_body_is_refused(encoding: str, encoded: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_body(encoded, encoding, LARGE)

    assert str(caught.value) == message


def test_a_snappy_body_without_anything_is_empty() -> None:
    assert decode_body(b"", "snappy", LARGE) == b""
    assert decode_body(STREAM, "snappy", LARGE) == b""


@pytest.mark.parametrize("encoding", ["gzip", "snappy"])
def test_a_body_may_be_as_large_as_the_limit(encoding: str) -> None:
    encoded = {"gzip": GZIPPED, "snappy": SNAPPED}[encoding]

    assert decode_body(encoded, encoding, len(BODY)) == BODY
    with pytest.raises(LimitExceeded) as caught:
        decode_body(encoded, encoding, len(BODY) - 1)
    assert caught.value.limit == "body_bytes"


def test_an_empty_body_fits_into_a_limit_of_nothing() -> None:
    assert decode_body(gzipped(b""), "gzip", 0) == b""
    with pytest.raises(LimitExceeded):
        decode_body(gzipped(b"a"), "gzip", 0)


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzipped(bytes(2**26))),
        ("gzip", gzipped(bytes(2**20)) * 64),
        ("snappy", snappy(bytes(2**26))),
        # What the lengths say is enough to refuse it.
        ("snappy", STREAM + chunk(0x00, b"0000\x80\x80\x04") * 1000 + chunk(0x01, b"")),
    ],
    ids=["gzip", "gzip of many members", "snappy", "snappy that lies"],
)
def test_a_bomb_is_not_inflated(encoding: str, bomb: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(LimitExceeded):
        decode_body(bomb, encoding, 2**20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2**22


def test_many_members_take_time_in_proportion() -> None:
    assert decode_body(gzipped(b"") * 50_000, "gzip", 10) == b""


@pytest.mark.parametrize("encoding", ["gzip", "snappy"])
@given(data=st.data())
def test_a_cut_body_is_never_taken_for_a_whole_one(
    encoding: str, data: st.DataObject
) -> None:
    encoded = {"gzip": gzipped, "snappy": snappy}[encoding](BODY[:1000])
    cut = data.draw(st.integers(len(STREAM) + 1, len(encoded) - 1))

    with pytest.raises(InvalidRequest):
        decode_body(encoded[:cut], encoding, LARGE)


@pytest.mark.parametrize("encoding", ["gzip", "snappy"])
@given(data=st.data())
def test_a_changed_byte_is_an_error_or_without_effect(
    encoding: str, data: st.DataObject
) -> None:
    encoded = bytearray({"gzip": gzipped, "snappy": snappy}[encoding](BODY[:1000]))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= 1 << data.draw(st.integers(0, 7))

    try:
        decoded = decode_body(bytes(encoded), encoding, LARGE)
    except InvalidRequest:
        return
    # A chunk whose type became "skip me" is skipped.
    assert decoded in (BODY[:1000], b"")


@pytest.mark.parametrize("start", [b"", gzipped(b"a"), STREAM])
@given(rest=st.binary())
def test_rubbish_is_refused(start: bytes, rest: bytes) -> None:
    for encoding in ("gzip", "snappy"):
        try:
            decoded = decode_body(start + rest, encoding, 100)
        except (InvalidRequest, LimitExceeded):
            continue
        assert len(decoded) <= 100


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "EOF"), (b"\x1f\x8b", "unexpected EOF"), (BODY, "gzip: invalid header")],
)
def test_a_body_that_does_not_matter_must_begin_like_gzip(
    body: bytes, message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_encoding(body, "GZIP")

    assert str(caught.value) == message


def test_no_more_than_the_header_of_such_a_body_is_looked_at() -> None:
    check_encoding(GZIPPED[:10], "gzip")
    check_encoding(b"rubbish", "snappy")


def test_gzip_headers_may_have_all_optional_parts() -> None:
    flags = 0x02 | 0x04 | 0x08 | 0x10
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    header += b"\x03\x00abc" + b"name\x00" + b"comment\x00"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")

    assert decode_body(header + GZIPPED[10:], "gzip", LARGE) == BODY
