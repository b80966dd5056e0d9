"""The groups of one family, sorted, in immutable blocks.

A push replaces one block; a scrape keeps references to all of them and reads them
outside of any lock. What was made of a block (compressed text, protobuf) is kept with
it and so is made anew only for the block that changed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

from pushrelay.model import StoredFamily

BLOCK_GROUPS = 256
"""Groups in a block when it is built; it is split at twice as many."""


class Block:
    """Neighbouring groups' pieces of one family. Never changed once it is made.

    keys: canonical grouping keys, sorted. pieces: what each of these groups holds.
    size: bytes of series text. utf8_names: whether a name in it may need escaping.
    derived: what others made of the pieces, by their key.
    """

    __slots__ = ("derived", "keys", "pieces", "size", "utf8_names")

    def __init__(
        self,
        keys: tuple[bytes, ...],
        pieces: tuple[StoredFamily, ...],
        size: int,
        utf8_names: bool,
    ) -> None:
        self.keys = keys
        self.pieces = pieces
        self.size = size
        self.utf8_names = utf8_names
        self.derived: dict[Any, Any] = {}

    @staticmethod
    def of(keys: tuple[bytes, ...], pieces: tuple[StoredFamily, ...]) -> Block:
        """Return a block of `pieces`, which `keys` belong to."""
        size = sum([len(piece.series) for piece in pieces])
        return Block(keys, pieces, size, any(piece.utf8_names for piece in pieces))

    def with_piece(self, position: int, piece: StoredFamily) -> Block:
        """Return a block where `piece` stands at `position`."""
        pieces = list(self.pieces)
        size = self.size + len(piece.series) - len(pieces[position].series)
        pieces[position] = piece
        utf8_names = self.utf8_names or piece.utf8_names
        return Block(self.keys, tuple(pieces), size, utf8_names)


class BlockList:
    """A family's pieces by canonical grouping key.

    series: how many metrics they have. size: bytes of their series text.
    """

    __slots__ = ("_blocks", "_first_keys", "_snapshot", "series", "size")

    def __init__(self, pieces: Iterable[tuple[bytes, StoredFamily]] = ()) -> None:
        self._blocks: list[Block] = []
        self._snapshot: tuple[Block, ...] | None = None
        ordered = sorted(pieces, key=lambda entry: entry[0])
        for start in range(0, len(ordered), BLOCK_GROUPS):
            keys, parts = zip(*ordered[start : start + BLOCK_GROUPS], strict=True)
            self._blocks.append(Block.of(keys, parts))
        self._first_keys = [block.keys[0] for block in self._blocks]
        self.series = sum(piece.size for _, piece in ordered)
        self.size = sum(block.size for block in self._blocks)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in order, as they are now."""
        if self._snapshot is None:
            self._snapshot = tuple(self._blocks)
        return self._snapshot

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def put(self, key: bytes, piece: StoredFamily) -> None:
        """Add or replace the piece of the group `key`."""
        self._snapshot = None
        self.series += piece.size
        self.size += len(piece.series)
        if not self._blocks:
            self._insert(0, [Block.of((key,), (piece,))])
            return
        at, block, position = self._find(key)
        keys, pieces = block.keys, block.pieces
        if position < len(keys) and keys[position] == key:
            self._discount(pieces[position])
            self._blocks[at] = block.with_piece(position, piece)
            return
        keys = (*keys[:position], key, *keys[position:])
        pieces = (*pieces[:position], piece, *pieces[position:])
        half = len(keys) // 2 if len(keys) > 2 * BLOCK_GROUPS else len(keys)
        del self._blocks[at], self._first_keys[at]
        halves = [(keys[:half], pieces[:half]), (keys[half:], pieces[half:])]
        self._insert(at, [Block.of(*part) for part in halves if part[0]])

    def remove(self, key: bytes) -> None:
        """Remove the piece of the group `key`, which must be there."""
        self._snapshot = None
        at, block, position = self._find(key)
        self._discount(block.pieces[position])
        keys = block.keys[:position] + block.keys[position + 1 :]
        pieces = block.pieces[:position] + block.pieces[position + 1 :]
        del self._blocks[at], self._first_keys[at]
        if keys:
            self._insert(at, [Block.of(keys, pieces)])

    def _discount(self, piece: StoredFamily) -> None:
        self.series -= piece.size
        self.size -= len(piece.series)

    def _find(self, key: bytes) -> tuple[int, Block, int]:
        at = max(bisect_right(self._first_keys, key) - 1, 0)
        block = self._blocks[at]
        return at, block, bisect_left(block.keys, key)

    def _insert(self, at: int, blocks: list[Block]) -> None:
        self._blocks[at:at] = blocks
        self._first_keys[at:at] = [block.keys[0] for block in blocks]
