"""Small bodies that stand for large ones take no memory beyond the limit."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cramjam
import pytest
from relay_process import REPOSITORY

LIMIT = 1 << 20
SIZE = 256 << 20
MOST = 16 << 20
"""Far less than SIZE; what the interpreter itself takes varies."""

STREAM = b"\xff\x06\x00\x00sNaPpY"

DECODE = f"""
import resource, sys
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition.compression import decode_body

encoding, body = sys.argv[1], sys.stdin.buffer.read()
decode_body(b"", "identity", 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_body(body, encoding, {LIMIT})
except (LimitExceeded, InvalidRequest) as error:
    print(type(error).__name__)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def gzip_bomb() -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [deflate.compress(bytes(1 << 20)) for _ in range(SIZE >> 20)]
    return b"".join(parts) + deflate.flush()


def block(declared: int, content: bytes) -> bytes:
    """Return a compressed chunk of a snappy stream that says that it holds so much."""
    length = b""
    while declared > 127:
        length += bytes([declared & 127 | 128])
        declared >>= 7
    data = bytes(4) + length + bytes([declared]) + content
    return b"\x00" + len(data).to_bytes(3, "little") + data


def snapped() -> bytes:
    return bytes(cramjam.snappy.compress(bytes(64 << 10)))


BOMBS = {
    "gzip": ("gzip", gzip_bomb, "LimitExceeded"),
    "gzip of many members": (
        "gzip",
        lambda: gzip.compress(bytes(1 << 20), 1) * (SIZE >> 20),
        "LimitExceeded",
    ),
    "gzip in gzip": ("gzip", lambda: gzip.compress(gzip_bomb()), "LimitExceeded"),
    "gzip with a name without an end": (
        "gzip",
        lambda: gzip.compress(b"")[:3] + b"\x08" + bytes(6) + b"n" * (8 << 20),
        "InvalidRequest",
    ),
    "snappy": ("snappy", lambda: snapped() * (SIZE >> 16), "LimitExceeded"),
    "snappy that says too much": (
        "snappy",
        lambda: STREAM + block(2**32 - 1, b"\x00x"),
        "InvalidRequest",
    ),
    "snappy that says too little": (
        "snappy",
        # Each is a literal and a copy of it that goes on for longer than was said.
        lambda: STREAM + block(1, b"\x00x" + b"\xfe\x01\x00" * 20_000) * 16,
        "InvalidRequest",
    ),
}
"""Encodings, what makes the bodies, and what becomes of them."""


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
def test_a_bomb_takes_no_memory(bomb: tuple[str, Callable[[], bytes], str]) -> None:
    encoding, make, expected = bomb
    body = make()
    if expected == "LimitExceeded" and encoding == "gzip":
        assert len(body) < 8 << 20
    result = subprocess.run(
        [sys.executable, "-c", DECODE, encoding],
        cwd=Path(REPOSITORY),
        input=body,
        capture_output=True,
        check=True,
    )
    outcome, grown = result.stdout.split()
    assert outcome.decode() == expected
    assert int(grown) < MOST
