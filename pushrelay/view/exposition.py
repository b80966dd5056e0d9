"""Writes the exposition: a snapshot of the view and the relay's own metrics.

What the relay says of itself changes with every scrape, what groups pushed changes
block by block. So an exposition is a chain of pieces, and the expensive ones
(compressed text, protobuf) are made once for a block and kept with it. Compressed
pieces are raw deflate that ends on a byte boundary; they follow each other in one
gzip member, because some clients stop reading after the first member.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
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
from pushrelay.exposition.transcoder import transcode
from pushrelay.groups import Holder, StoredFamily
from pushrelay.matchers import Selector
from pushrelay.model import MetricFamily, MetricType
from pushrelay.shards import Shard
from pushrelay.view.blocks import Block, in_pieces, joined, shape_of
from pushrelay.view.parts import Piece
from pushrelay.view.rendering import Deflated, Rendering, deflate
from pushrelay.view.selection import of_shard, select
from pushrelay.view.snapshot import FamilySnapshot, Snapshot

SMALL_TEXT = 256 * 1024
SMALL_REWRITTEN = 16 * 1024
SMALL_FAMILIES = 1_000
"""Up to this much, an exposition may be written on the event loop."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_DEFLATE_END = b"\x03\x00"


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
        self._format = format_
        self._kind = format_.kind
        self._writer = _WRITERS[format_.kind](format_.escaping)

    def only(
        self, selectors: Sequence[Selector], *, strictly: bool = False
    ) -> Exposition:
        """Return that of the groups that any of `selectors` matches, and of nothing
        else; strictly: as for `select`."""
        chosen = select(self._snapshot, selectors, strictly=strictly)
        return Exposition(chosen, (), self._format)

    def of(self, shard: Shard) -> Exposition:
        """Return that of what `shard` has; the relay's own is in the first."""
        if shard.of == 1:
            return self
        own = self._own if shard.is_first else ()
        return Exposition(of_shard(self._snapshot, shard), own, self._format)

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
            if isinstance(chunk, bytes):
                yield chunk
            else:
                yield from self._writer.rendering(chunk).plain(chunk)

    def gzip_chunks(self) -> Iterator[bytes]:
        """Yield it as one gzip member."""
        crc = length = 0
        yield _GZIP_HEADER
        for part in self._deflated():
            yield part.data
            crc = isal_zlib.crc32_combine(crc, part.crc, part.length)
            length += part.length
        yield _DEFLATE_END + struct.pack("<II", crc, length & 0xFFFFFFFF)

    def _chunks(self) -> Iterator[bytes | Piece]:
        for family in _merge(self._snapshot, self._own):
            yield from self._writer.family(family)

    def _deflated(self) -> Iterator[Deflated]:
        small: list[bytes] = []
        for chunk in self._chunks():
            part: bytes | Deflated
            if isinstance(chunk, bytes):
                part = chunk
            else:
                part = self._writer.rendering(chunk).compressed(chunk)
            if isinstance(part, bytes):
                small.append(part)
                continue
            if small:
                yield deflate(small)
                small = []
            yield part
        yield deflate(small)


@dataclass(frozen=True, slots=True)
class _Family:
    """A family as it is exposed."""

    name: str
    type: MetricType
    help: str
    own: MetricFamily | None
    blocks: tuple[Piece, ...]


class _TextWriter:
    """The text format: lines, in the order they come."""

    def __init__(self, escaping: Escaping) -> None:
        self._escaping = escaping
        self._quoted = Rendering("text", Block.text, is_dear=False)
        self._escaped = Rendering(("text", escaping), self._escape, is_dear=True)

    def family(self, family: _Family) -> Iterator[bytes | Piece]:
        yield render_header(family.name, family.type, family.help, self._escaping)
        if family.own is not None:
            yield b"".join(render_series(family.own, self._escaping))
        yield from family.blocks

    def rendering(self, block: Piece) -> Rendering:
        if block.utf8_names and self._escaping is not Escaping.ALLOW_UTF8:
            return self._escaped
        return self._quoted

    def _escape(self, block: Block) -> Iterator[bytes]:
        return in_pieces(map(self._series, block.families()))

    def _series(self, family: StoredFamily) -> bytes:
        if not family.shape.utf8_names:
            return family.series
        exposed = from_stored(family, pushed_order=False)
        return b"".join(render_series(exposed, self._escaping))


class _ProtobufWriter:
    """Delimited messages: a family's length comes before its first byte."""

    def __init__(self, escaping: Escaping) -> None:
        self._escaping = escaping
        self._legacy = Rendering("protobuf", self._encode, is_dear=True)
        self._escaped = Rendering(("protobuf", escaping), self._encode, is_dear=True)

    def family(self, family: _Family) -> Iterator[bytes | Piece]:
        head = encode_header(family.name, family.type, family.help, self._escaping)
        if family.own is not None:
            head += encode_metrics(family.own, self._escaping)
        metrics = [self.rendering(block).length(block) for block in family.blocks]
        yield delimit(len(head) + sum(metrics)) + head
        yield from family.blocks

    def rendering(self, block: Piece) -> Rendering:
        return self._escaped if block.utf8_names else self._legacy

    def _encode(self, block: Block) -> Iterator[bytes]:
        """Encode each run of groups by one way, the short one where it will do."""
        for type_, groups in groupby(block.groups, partial(_transcoded_type, block)):
            # Nobody asks it for its keys and its size.
            run = Block(block.name, (), tuple(groups), 0, block.utf8_names)
            if type_ is None:
                yield from in_pieces(map(self._metrics, run.families()))
                continue
            for series in joined(run.lines()):
                yield transcode(series, run.name, type_)

    def _metrics(self, family: StoredFamily) -> bytes:
        exposed = from_stored(family, pushed_order=False)
        return encode_metrics(exposed, self._escaping)


class _ProtobufTextWriter(_ProtobufWriter):
    """The protobuf messages in protobuf's own text form."""

    compact = False

    def family(self, family: _Family) -> Iterator[bytes]:
        chunks = super().family(family)
        delimited = [
            chunk if isinstance(chunk, bytes) else self._joined(chunk)
            for chunk in chunks
        ]
        yield to_text(b"".join(delimited), self.compact).encode()

    def _joined(self, block: Piece) -> bytes:
        return b"".join(self.rendering(block).plain(block))


class _ProtobufCompactWriter(_ProtobufTextWriter):
    compact = True


_WRITERS: dict[FormatKind, type[_TextWriter | _ProtobufWriter]] = {
    FormatKind.TEXT: _TextWriter,
    FormatKind.PROTOBUF_DELIMITED: _ProtobufWriter,
    FormatKind.PROTOBUF_TEXT: _ProtobufTextWriter,
    FormatKind.PROTOBUF_COMPACT: _ProtobufCompactWriter,
}


def _transcoded_type(block: Block, group: Holder) -> MetricType | None:
    """Return the type of the block's family in `group`, None if its text is not enough
    to encode it."""
    if block.utf8_names and shape_of(group, block.name).utf8_names:
        return None
    payload = group.payload
    at = payload.layout.index.get(block.name)
    if at is None:
        return MetricType.GAUGE  # Evidence.
    if payload.messages is not None and payload.messages[at] is not None:
        return None
    return payload.layout.families[at].type


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
