"""gunicorn's parser of requests, without what lets a client occupy the event loop.

It looks at each byte of a header by itself, and at each chunk of a body too, and looks
for the end of each line twice: eight clients with long headers, or with chunks of a
byte, kept pushes waiting for seconds. It
takes and refuses what gunicorn's does, but for bodies that are hardly more than chunk
sizes.
"""

from __future__ import annotations

import re
import string

from gunicorn.asgi.parser import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    ParseError,
    PythonProtocol,
)
from gunicorn.http.body import CHUNK_EXT_RE

FRAMING_BYTES = 64 * 1024
"""So much of a body may be chunk sizes, and twice as much as what they bring."""

_IN_A_TOKEN = (
    b"!#$%&'*+-.^_`|~" + string.digits.encode() + string.ascii_letters.encode()
)
_NOT_IN_A_VALUE = bytes(sorted({*range(0x20), 0x7F} - {ord("\t")}))
_CR = ord("\r")
_CHUNK_HEAD = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*(;[^\r\n]*))?\r\n")


class RelayParser(PythonProtocol):  # type: ignore[misc]  # gunicorn has no types
    """Parses the requests of a connection, one after the other."""

    _buffer: bytearray
    _chunk_state: str
    _scan_from: int

    # To leave bytes out is the quickest way to look for them: a tenth of what a regular
    # expression takes, and a value may have 128 kB.

    def _is_valid_token(self, data: bytes) -> bool:
        return bool(data) and not data.translate(None, _IN_A_TOKEN)

    def _has_invalid_header_chars(self, value: bytes) -> bool:
        return len(value.translate(None, _NOT_IN_A_VALUE)) != len(value)

    def _find_line(self, limit: int, error: Exception) -> int:
        """Return where the CRLF is that ends the next line, or -1 if it is not here.

        Raises ParseError at a line that ends otherwise, and `error` at one of more than
        `limit` bytes.
        """
        buffer = self._buffer
        end = buffer.find(b"\n", self._scan_from)
        if end < 0:
            if len(buffer) > limit + 1:
                raise error
            self._scan_from = len(buffer)
            return -1
        if end == 0 or buffer[end - 1] != _CR:
            raise ParseError("a line ends without a CR before its LF")
        self._scan_from = 0
        return end - 1

    def _finalize_headers(self) -> None:
        self._framing = self._brought = 0
        super()._finalize_headers()

    def _parse_chunked_body(self) -> bool:
        """Take the chunks that are here, and hand them on as one."""
        if self._chunk_state != "trailer":
            pieces: list[bytes] = []
            end = self._take_chunks(pieces)
            del self._buffer[:end]
            if pieces:
                brought = b"".join(pieces)
                self._count(end - len(brought), len(brought))
                self._on_body(brought)
            else:
                self._count(end, 0)
        # What is left is the end, or an incomplete line, or a wrong one.
        is_left = self._chunk_state in ("size", "trailer")
        return is_left and bool(super()._parse_chunked_body())

    def _count(self, framing: int, brought: int) -> None:
        self._framing += framing
        self._brought += brought
        if self._framing > FRAMING_BYTES + 2 * self._brought:
            raise InvalidChunkSize("the chunks are too small for what they bring")

    def _take_chunks(self, pieces: list[bytes]) -> int:
        """Add what chunks bring to `pieces`; return where the rest of the buffer
        begins."""
        buffer, position, end = self._buffer, 0, len(self._buffer)
        while position < end:
            if self._chunk_state == "data":
                piece = bytes(buffer[position : position + self._chunk_remaining])
                pieces.append(piece)
                position += len(piece)
                self._chunk_remaining -= len(piece)
                if self._chunk_remaining:
                    break
                self._chunk_state = "crlf"
            elif self._chunk_state == "crlf":
                if end - position < 2:
                    break
                if buffer[position : position + 2] != b"\r\n":
                    raise ChunkMissingTerminator("chunk data not terminated by CRLF")
                position += 2
                self._chunk_state = "size"
            else:
                head = _CHUNK_HEAD.match(buffer, position)
                if head is None:
                    break
                position = head.end()
                self._begin_chunk(head)
                if self._chunk_state == "trailer":
                    break
        return position

    def _begin_chunk(self, head: re.Match[bytes]) -> None:
        if head[2] is not None and not CHUNK_EXT_RE.fullmatch(head[2]):
            raise InvalidChunkExtension("invalid chunk extension")
        self._scan_from = 0
        self._chunk_remaining = int(head[1], 16)
        self._chunk_state = "data" if self._chunk_remaining else "trailer"
