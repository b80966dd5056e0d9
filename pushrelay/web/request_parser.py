"""gunicorn's parser of requests, without what lets a client occupy the event loop.

It looks at each byte of a header by itself, and at each chunk of a body too: eight
clients with long headers, or with chunks of a byte, kept pushes waiting for seconds. It
takes and refuses what gunicorn's does, but for bodies that are hardly more than chunk
sizes.
"""

from __future__ import annotations

import re

from gunicorn.asgi.parser import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    PythonProtocol,
)
from gunicorn.http.body import CHUNK_EXT_RE

FRAMING_BYTES = 64 * 1024
"""So much of a body may be chunk sizes, and twice as much as what they bring."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK_HEAD = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*(;[^\r\n]*))?\r\n")


class RelayParser(PythonProtocol):  # type: ignore[misc]  # gunicorn has no types
    """Parses the requests of a connection, one after the other."""

    _chunk_state: str

    def _is_valid_token(self, data: bytes) -> bool:
        return _TOKEN.fullmatch(data) is not None

    def _has_invalid_header_chars(self, value: bytes) -> bool:
        return _NOT_IN_A_VALUE.search(value) is not None

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
