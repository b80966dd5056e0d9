"""Writes the exposition: a snapshot of the view and the relay's own metrics.

What the relay says of itself changes with every scrape, what groups pushed changes
block by block. So an exposition is a chain of pieces, and the expensive ones
(compressed text, protobuf) are made once for a block and kept with it. Compressed
pieces are raw deflate that ends on a byte boundary; they follow each other in one
gzip member, because some clients stop reading after the first member.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter

from isal import isal_zlib

from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.negotiation import FormatKind, ScrapeFormat
from pushrelay.exposition.protobuf_encoder import (
    delimit,
    encode_header,
    encode_metrics,
    to_text,
)
from pushrelay.exposition.stored import from_stored
from pushrelay.exposition.text_renderer import render_header, render_series
from pushrelay.model import MetricFamily, MetricType, StoredFamily
from pushrelay.view.blocks import Block
from pushrelay.view.snapshot import FamilySnapshot, Snapshot

LARGE_BLOCK = 8 * 1024
"""Bytes of series text from which a block is compressed on its own. Compressing many
small pieces one by one would cost more time and yield more bytes."""

SMALL_TEXT = 256 * 1024
SMALL_REWRITTEN = 16 * 1024
SMALL_FAMILIES = 1_000
"""Up to this much, an exposition may be written on the event loop."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_DEFLATE_END = b"\x03\x00"


@dataclass(frozen=True, slots=True)
class Deflated:
    """Raw deflate data that ends on a byte boundary, with what gzip's trailer needs."""

    data: bytes
    crc: int
    length: int


class Exposition:
    """The exposition of `snapshot` and of the relay's `own` families in one format.

    own: families with at least one metric each, in any order. Where a group pushed one
        of the same name, own metrics come first and own help wins.
    """

    def __init__(
        self, snapshot: Snapshot, own: Iterable[MetricFamily], format_: ScrapeFormat
    ) -> None:
        self._snapshot = snapshot
        self._own = list(own)
        self._kind = format_.kind
        self._writer = _WRITERS[format_.kind](format_.escaping)

    @property
    def is_small(self) -> bool:
        """Whether writing it takes but a few milliseconds."""
        families = len(self._snapshot.families)
        if families > SMALL_FAMILIES or self._snapshot.size > SMALL_TEXT:
            return False
        is_kept_text = self._kind is FormatKind.TEXT and not any(
            block.utf8_names
            for family in self._snapshot.families
            for block in family.blocks
        )
        return is_kept_text or self._snapshot.size <= SMALL_REWRITTEN

    def chunks(self) -> Iterator[bytes]:
        """Yield it piece by piece."""
        for chunk in self._chunks():
            yield chunk if isinstance(chunk, bytes) else self._writer.block(chunk)

    def gzip_chunks(self) -> Iterator[bytes]:
        """Yield it as one gzip member."""
        crc = length = 0
        yield _GZIP_HEADER
        for part in self._deflated():
            yield part.data
            crc = isal_zlib.crc32_combine(crc, part.crc, part.length)
            length += part.length
        yield _DEFLATE_END + struct.pack("<II", crc, length & 0xFFFFFFFF)

    def _chunks(self) -> Iterator[bytes | Block]:
        for family in _merge(self._snapshot, self._own):
            yield from self._writer.family(family)

    def _deflated(self) -> Iterator[Deflated]:
        small: list[bytes] = []
        for chunk in self._chunks():
            if isinstance(chunk, Block) and chunk.size >= LARGE_BLOCK:
                if small:
                    yield _deflate(b"".join(small))
                    small = []
                yield self._deflated_block(chunk)
            else:
                small.append(
                    chunk if isinstance(chunk, bytes) else self._writer.block(chunk)
                )
        yield _deflate(b"".join(small))

    def _deflated_block(self, block: Block) -> Deflated:
        key = (Deflated, self._writer.key(block))
        deflated: Deflated | None = block.derived.get(key)
        if deflated is None:
            deflated = block.derived[key] = _deflate(self._writer.block(block))
        return deflated


@dataclass(frozen=True, slots=True)
class _Family:
    """A family as it is exposed."""

    name: str
    type: MetricType
    help: str
    own: MetricFamily | None
    blocks: tuple[Block, ...]


class _TextWriter:
    """The text format: lines, in the order they come."""

    def __init__(self, escaping: Escaping) -> None:
        self._escaping = escaping

    def key(self, block: Block) -> object:
        """Return what tells apart the ways in which `block` may be written."""
        return ("text", self._escaping if block.utf8_names else None)

    def family(self, family: _Family) -> Iterator[bytes | Block]:
        yield render_header(family.name, family.type, family.help, self._escaping)
        if family.own is not None:
            yield b"".join(render_series(family.own, self._escaping))
        yield from family.blocks

    def block(self, block: Block) -> bytes:
        if not block.utf8_names or self._escaping is Escaping.ALLOW_UTF8:
            return b"".join([piece.series for piece in block.pieces])
        escaped: bytes | None = block.derived.get(self.key(block))
        if escaped is None:
            escaped = b"".join([self._series(piece) for piece in block.pieces])
            block.derived[self.key(block)] = escaped
        return escaped

    def _series(self, piece: StoredFamily) -> bytes:
        if not piece.utf8_names:
            return piece.series
        exposed = from_stored(replace(piece, pushed_order=None))
        return b"".join(render_series(exposed, self._escaping))


class _ProtobufWriter:
    """Delimited messages: a family's length comes before its first byte."""

    def __init__(self, escaping: Escaping) -> None:
        self._escaping = escaping

    def key(self, block: Block) -> object:
        return ("protobuf", self._escaping if block.utf8_names else None)

    def family(self, family: _Family) -> Iterator[bytes | Block]:
        head = encode_header(family.name, family.type, family.help, self._escaping)
        if family.own is not None:
            head += encode_metrics(family.own, self._escaping)
        length = len(head) + sum([len(self.block(block)) for block in family.blocks])
        yield delimit(length) + head
        yield from family.blocks

    def block(self, block: Block) -> bytes:
        key = self.key(block)
        encoded: bytes | None = block.derived.get(key)
        if encoded is None:
            encoded = b"".join([self._metrics(piece) for piece in block.pieces])
            block.derived[key] = encoded
        return encoded

    def _metrics(self, piece: StoredFamily) -> bytes:
        exposed = from_stored(replace(piece, pushed_order=None))
        return encode_metrics(exposed, self._escaping)


class _ProtobufTextWriter(_ProtobufWriter):
    """The protobuf messages in protobuf's own text form."""

    compact = False

    def family(self, family: _Family) -> Iterator[bytes]:
        chunks = super().family(family)
        delimited = [c if isinstance(c, bytes) else self.block(c) for c in chunks]
        yield to_text(b"".join(delimited), self.compact).encode()


class _ProtobufCompactWriter(_ProtobufTextWriter):
    compact = True


_WRITERS: dict[FormatKind, type[_TextWriter | _ProtobufWriter]] = {
    FormatKind.TEXT: _TextWriter,
    FormatKind.PROTOBUF_DELIMITED: _ProtobufWriter,
    FormatKind.PROTOBUF_TEXT: _ProtobufTextWriter,
    FormatKind.PROTOBUF_COMPACT: _ProtobufCompactWriter,
}


def _merge(snapshot: Snapshot, own: Iterable[MetricFamily]) -> list[_Family]:
    mine = {family.name: family for family in own}
    merged = [
        _family(mine.pop(pushed.name, None), pushed) for pushed in snapshot.families
    ]
    merged += [_family(family, None) for family in mine.values()]
    return sorted(merged, key=attrgetter("name"))


def _family(own: MetricFamily | None, pushed: FamilySnapshot | None) -> _Family:
    leading = own or pushed
    assert leading is not None  # noqa: S101  # one of the two is given
    blocks = pushed.blocks if pushed else ()
    return _Family(leading.name, leading.type, leading.help, own, blocks)


def _deflate(data: bytes) -> Deflated:
    stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    deflated = stream.compress(data) + stream.flush(isal_zlib.Z_FULL_FLUSH)
    return Deflated(deflated, isal_zlib.crc32(data), len(data))
