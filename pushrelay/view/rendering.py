"""What a block of groups looks like in one format, made once and kept with the block.

Kept is the compressed form, a sixth of the text: it is what scrapers ask for, and what
is needed plain is faster inflated than made again. Plain text alone is not kept, for
joining the groups' series is as cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from isal import isal_zlib

from pushrelay.view.blocks import PIECE_BYTES, Block
from pushrelay.view.parts import Piece

LARGE_BLOCK = 8 * 1024
"""Bytes from which a block is compressed on its own. Compressing many small pieces one
by one would cost more time and yield more bytes."""

LARGE_PART = 512
"""The same for what a shard has of a block. A shard has more pieces than the whole for
as much text, and to write them anew for each scrape would cost still more."""

_RAW = -15
"""Window bits of a deflate stream without header and trailer."""


@dataclass(frozen=True, slots=True)
class Deflated:
    """Raw deflate data that ends on a byte boundary, with what gzip's trailer needs."""

    data: bytes
    crc: int
    length: int


@dataclass(frozen=True, slots=True)
class Rendering:
    """A way to write a block.

    key: tells it apart from other ways, among what is kept with a block.
    write: does it, piece by piece: a block may hold a gigabyte.
    is_dear: whether that takes much longer than inflating.
    """

    key: object
    write: Callable[[Block], Iterable[bytes]]
    is_dear: bool

    def plain(self, block: Piece) -> Iterator[bytes]:
        """Yield `block` written in this way."""
        if not self.is_dear:
            yield from self.write(block.as_block())
            return
        kept = self._kept(block)
        if isinstance(kept, bytes):
            yield kept
        else:
            yield from _inflated(kept)

    def compressed(self, block: Piece) -> Deflated | bytes:
        """Return the same compressed; a small block as it is."""
        return self._kept(block)

    def length(self, block: Piece) -> int:
        """Return the bytes of what `plain` yields."""
        kept = self._kept(block)
        return len(kept) if isinstance(kept, bytes) else kept.length

    def _kept(self, block: Piece) -> Deflated | bytes:
        kept: Deflated | bytes | None = block.kept(self.key)
        if kept is None:
            kept = self._make(block)
            if self.is_dear or isinstance(kept, Deflated):
                block.keep(self.key, kept)
        return kept

    def _make(self, block: Piece) -> Deflated | bytes:
        pieces = iter(self.write(block.as_block()))
        least = LARGE_BLOCK if isinstance(block, Block) else LARGE_PART
        first = b""
        for piece in pieces:
            first += piece
            if len(first) >= least:
                return deflate(chain([first], pieces))
        return first


def deflate(pieces: Iterable[bytes]) -> Deflated:
    """Return `pieces`, joined and compressed."""
    stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _RAW)
    deflated, crc, length = [], 0, 0
    for piece in pieces:
        deflated.append(stream.compress(piece))
        crc = isal_zlib.crc32(piece, crc)
        length += len(piece)
    deflated.append(stream.flush(isal_zlib.Z_FULL_FLUSH))
    return Deflated(b"".join(deflated), crc, length)


def _inflated(deflated: Deflated) -> Iterator[bytes]:
    stream = isal_zlib.decompressobj(_RAW)
    left, missing = deflated.data, deflated.length
    # Not until nothing is left: the stream may have taken all of it and hold back what
    # was too much for a piece.
    while missing:
        piece = stream.decompress(left, PIECE_BYTES)
        yield piece
        left, missing = stream.unconsumed_tail, missing - len(piece)
