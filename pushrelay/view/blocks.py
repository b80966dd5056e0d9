"""The groups of one family, sorted, in immutable blocks.

A push replaces one block; a scrape keeps references to all of them and reads them
outside of any lock. What was made of a block (compressed text, protobuf) is kept with
it and so is made anew only for the block that changed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from pushrelay.model import StoredFamily

BLOCK_GROUPS = 256
"""Groups in a block when it is built; it is split at twice as many."""

PieceChange = tuple[bytes, StoredFamily | None]
"""A canonical grouping key and what its group holds from now on; None is nothing."""

_key = itemgetter(0)


class Block:
    """Neighbouring groups' pieces of one family. Never changed once it is made.

    keys: canonical grouping keys, sorted. pieces: what each of these groups holds.
    series: how many metrics they have. size: bytes of series text.
    utf8_names: whether a name in it may need escaping.
    derived: what others made of the pieces, by their key.
    """

    __slots__ = ("derived", "keys", "pieces", "series", "size", "utf8_names")

    def __init__(
        self,
        keys: tuple[bytes, ...],
        pieces: tuple[StoredFamily, ...],
        series: int,
        size: int,
        utf8_names: bool,
    ) -> None:
        self.keys = keys
        self.pieces = pieces
        self.series = series
        self.size = size
        self.utf8_names = utf8_names
        self.derived: dict[Any, Any] = {}

    @staticmethod
    def of(keys: tuple[bytes, ...], pieces: tuple[StoredFamily, ...]) -> Block:
        """Return a block of `pieces`, which `keys` belong to."""
        series = sum([piece.size for piece in pieces])
        size = sum([len(piece.series) for piece in pieces])
        utf8_names = any(piece.utf8_names for piece in pieces)
        return Block(keys, pieces, series, size, utf8_names)

    def changed(self, changes: list[PieceChange]) -> Block:
        """Return the block after `changes`; its `keys` are these if none came or went.

        changes: not many, since each may move what stands after it.
        """
        keys: tuple[bytes, ...] | list[bytes] = self.keys
        pieces = list(self.pieces)
        series, size, utf8_names = self.series, self.size, self.utf8_names
        for key, piece in changes:
            at = bisect_left(keys, key)
            is_held = at < len(keys) and keys[at] == key
            if is_held:
                series -= pieces[at].size
                size -= len(pieces[at].series)
            if piece is not None:
                series += piece.size
                size += len(piece.series)
                utf8_names = utf8_names or piece.utf8_names
            if is_held and piece is not None:
                pieces[at] = piece
                continue
            if isinstance(keys, tuple):
                keys = list(keys)
            keys[at : at + is_held] = [] if piece is None else [key]
            pieces[at : at + is_held] = [] if piece is None else [piece]
        return Block(
            keys if keys is self.keys else tuple(keys),
            tuple(pieces),
            series,
            size,
            utf8_names,
        )

    def halves(self) -> tuple[Block, Block]:
        """Return two blocks that together are this one."""
        half = len(self.keys) // 2
        return (
            Block.of(self.keys[:half], self.pieces[:half]),
            Block.of(self.keys[half:], self.pieces[half:]),
        )


class BlockList:
    """A family's pieces by canonical grouping key.

    series: how many metrics they have. size: bytes of their series text.
    """

    __slots__ = ("_blocks", "_first_keys", "_snapshot", "series", "size")

    def __init__(self, pieces: Iterable[tuple[bytes, StoredFamily]] = ()) -> None:
        self._blocks: list[Block] = []
        self._snapshot: tuple[Block, ...] | None = None
        ordered = sorted(pieces, key=_key)
        for start in range(0, len(ordered), BLOCK_GROUPS):
            keys, parts = zip(*ordered[start : start + BLOCK_GROUPS], strict=True)
            self._blocks.append(Block.of(keys, parts))
        self._first_keys = [block.keys[0] for block in self._blocks]
        self.series = sum([block.series for block in self._blocks])
        self.size = sum([block.size for block in self._blocks])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in order, as they are now."""
        if self._snapshot is None:
            self._snapshot = tuple(self._blocks)
        return self._snapshot

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def update(self, changes: list[PieceChange]) -> None:
        """Add, replace and remove pieces; a block is made anew once for all of its."""
        self._snapshot = None
        ordered = sorted(changes, key=_key) if len(changes) > 1 else changes
        # From the end, where replacing a block moves no block that is still to come.
        end = len(ordered)
        while end:
            # What comes before the first block goes into it.
            at = bisect_right(self._first_keys, ordered[end - 1][0], 1) - 1
            start = 0
            if at and end > 1:
                start = bisect_left(ordered, self._first_keys[at], 0, end, key=_key)
            if end - start > BLOCK_GROUPS:
                # More at once would let the block grow out of measure.
                start = end - BLOCK_GROUPS
            self._change(at, ordered[start:end])
            end = start

    def _change(self, at: int, changes: list[PieceChange]) -> None:
        old = self._blocks[at] if self._blocks else _EMPTY
        new = old.changed(changes)
        self.series += new.series - old.series
        self.size += new.size - old.size
        if new.keys is old.keys and self._blocks:
            self._blocks[at] = new
            return
        large = len(new.keys) > 2 * BLOCK_GROUPS
        parts = new.halves() if large else (new,) if new.keys else ()
        self._blocks[at : at + 1] = parts
        self._first_keys[at : at + 1] = [block.keys[0] for block in parts]


_EMPTY = Block.of((), ())
