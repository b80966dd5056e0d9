"""Undoes the `Content-Encoding` of a pushed body.

Known are gzip (RFC 1952) and snappy in its framing format
(github.com/google/snappy, framing_format.txt). The error texts are those of Go's
packages, as the Pushgateway answers them.
"""

from __future__ import annotations

import zlib

import cramjam

from pushrelay.errors import InvalidRequest, LimitExceeded

_GZIP_WBITS = 31
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES = 10
# Small, since what follows a member is copied once for each member.
_GZIP_STEP = 16 * 1024

_SNAPPY_HEADER_BYTES = 4
_SNAPPY_CHECKSUM_BYTES = 4
_SNAPPY_BLOCK_BYTES = 64 * 1024
_SNAPPY_COMPRESSED = 0x00
_SNAPPY_PLAIN = 0x01


def decode_body(body: bytes, content_encoding: str | None, max_bytes: int) -> bytes:
    """Return `body` without its encoding; as it is if the encoding is not known.

    Of a body that is larger than `max_bytes` no more than a byte beyond them is
    inflated; it raises LimitExceeded. Raises InvalidRequest for a broken body.
    """
    encoding = _coding(content_encoding)
    if encoding == "gzip":
        return _gunzip(body, max_bytes)
    if encoding == "snappy":
        return _unsnappy(body, max_bytes)
    if len(body) > max_bytes:
        raise LimitExceeded(
            "body_bytes", f"the body is larger than the limit of {max_bytes} bytes"
        )
    return body


def check_encoding(body: bytes, content_encoding: str | None) -> None:
    """Raise InvalidRequest if `body` is said to be gzip and does not begin so. For
    requests whose body does not matter: they fail for this all the same."""
    if _coding(content_encoding) == "gzip":
        _check_gzip_header(body, 0)


def _coding(content_encoding: str | None) -> str:
    return (content_encoding or "").strip().lower()


def _too_large(max_bytes: int) -> LimitExceeded:
    return LimitExceeded(
        "body_bytes",
        f"the decompressed body is larger than the limit of {max_bytes} bytes",
    )


def _check_gzip_header(body: bytes, start: int) -> None:
    header = body[start : start + _GZIP_HEADER_BYTES]
    if len(header) < _GZIP_HEADER_BYTES:
        raise InvalidRequest("unexpected EOF" if header else "EOF")
    if not header.startswith(_GZIP_MAGIC):
        raise InvalidRequest("gzip: invalid header")


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    left = max_bytes
    position = 0
    while position < len(body) or not position:
        _check_gzip_header(body, position)
        position, left = _inflate_member(body, position, left, pieces)
        if left < 0:
            raise _too_large(max_bytes)
    return b"".join(pieces)


def _inflate_member(
    body: bytes, position: int, left: int, pieces: list[bytes]
) -> tuple[int, int]:
    """Append to `pieces` what the gzip member at `position` holds.

    Returns the position behind the member and what is left of `left` bytes, which is
    -1 if there is more in the member.
    """
    member = zlib.decompressobj(_GZIP_WBITS)
    while not member.eof:
        if position >= len(body):
            raise InvalidRequest("unexpected EOF")
        step = body[position : position + _GZIP_STEP]
        try:
            piece = member.decompress(step, left + 1)
        except zlib.error as error:
            raise InvalidRequest(_gzip_error_text(str(error))) from error
        pieces.append(piece)
        position += len(step) - len(member.unused_data)
        left -= len(piece)
        if left < 0:
            break
    return position, left


def _gzip_error_text(error: str) -> str:
    if "incorrect data check" in error or "incorrect length check" in error:
        return "gzip: invalid checksum"
    if "header" in error or "compression method" in error:
        return "gzip: invalid header"
    return "flate: corrupt input"


def _unsnappy(body: bytes, max_bytes: int) -> bytes:
    try:
        if _snappy_size(body) > max_bytes:
            raise _too_large(max_bytes)
        return bytes(memoryview(cramjam.snappy.decompress(body)))
    except cramjam.DecompressionError as error:
        raise InvalidRequest("snappy: corrupt input") from error


def _snappy_size(body: bytes) -> int:
    """Return how much the stream holds by the lengths in its chunks; checks nothing.

    A stream that lies is refused later: no chunk may hold more than 64 KiB, nor
    anything but what it says.
    """
    size = position = 0
    while position + _SNAPPY_HEADER_BYTES <= len(body):
        kind = body[position]
        start = position + _SNAPPY_HEADER_BYTES
        length = int.from_bytes(body[position + 1 : start], "little")
        content = start + _SNAPPY_CHECKSUM_BYTES
        position = start + length
        if kind == _SNAPPY_COMPRESSED:
            size += _snappy_block_size(body[content : min(position, content + 10)])
        elif kind == _SNAPPY_PLAIN:
            size += max(0, length - _SNAPPY_CHECKSUM_BYTES)
    return size


def _snappy_block_size(start_of_block: bytes) -> int:
    declared: int = cramjam.snappy.decompress_raw_len(start_of_block)
    return min(declared, _SNAPPY_BLOCK_BYTES)
