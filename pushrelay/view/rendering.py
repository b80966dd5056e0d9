"""What a block of groups looks like in one format, made once and kept with the block.

Kept is the compressed form, a sixth of the text: it is what scrapers ask for, and what
is needed plain is faster inflated than made again. Plain text alone is not kept, for
joining the groups' series is as cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isal import isal_zlib

from pushrelay.view.blocks import Block

LARGE_BLOCK = 8 * 1024
"""Bytes from which a block is compressed on its own. Compressing many small pieces one
by one would cost more time and yield more bytes."""

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
    write: does it. is_dear: whether that takes much longer than inflating.
    """

    key: object
    write: Callable[[Block], bytes]
    is_dear: bool

    def plain(self, block: Block) -> bytes:
        """Return `block` written in this way."""
        if not self.is_dear:
            return self.write(block)
        kept = self._kept(block)
        if isinstance(kept, bytes):
            return kept
        return bytes(isal_zlib.decompressobj(_RAW).decompress(kept.data))

    def compressed(self, block: Block) -> Deflated | bytes:
        """Return the same compressed; a small block as it is."""
        return self._kept(block)

    def length(self, block: Block) -> int:
        """Return the bytes of what `plain` returns."""
        kept = self._kept(block)
        return len(kept) if isinstance(kept, bytes) else kept.length

    def _kept(self, block: Block) -> Deflated | bytes:
        kept: Deflated | bytes | None = block.derived.get(self.key)
        if kept is None:
            written = self.write(block)
            kept = deflate(written) if len(written) >= LARGE_BLOCK else written
            if self.is_dear or isinstance(kept, Deflated):
                block.derived[self.key] = kept
        return kept


def deflate(data: bytes) -> Deflated:
    """Return `data` compressed."""
    stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _RAW)
    deflated = stream.compress(data) + stream.flush(isal_zlib.Z_FULL_FLUSH)
    return Deflated(deflated, isal_zlib.crc32(data), len(data))
