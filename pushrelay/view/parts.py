"""What a shard shows of blocks.

Which groups of a block are in which shard is found once, and kept as long as no group
comes or goes; what was compressed for a shard, as long as the block looks the same. So
a shard of which little changed costs little. Both are kept for one number of shards at
a time, the last that was asked for: nobody can fill the memory by asking for many.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

from pushrelay.shards import Shard, shard_number
from pushrelay.view.blocks import Block, shape_of

_SHARDS = "shards"
"""What both are kept as with a block."""


class Part:
    """The groups at `places` of `block`, which are those that `shard` has."""

    __slots__ = ("_block", "_made", "_places", "_shard")

    def __init__(self, block: Block, shard: Shard, places: array[int]) -> None:
        self._block = block
        self._shard = shard
        self._places = places
        self._made: dict[Any, Any] = {}

    @property
    def utf8_names(self) -> bool:
        """Whether a name in it may need escaping."""
        return self._block.utf8_names

    @property
    def has_metrics(self) -> bool:
        """Whether a group has a metric of the family."""
        block, groups = self._block, self._block.groups
        return any(shape_of(groups[place], block.name).size for place in self._places)

    def as_block(self) -> Block:
        """Return a block of these groups. Nobody asks it for its keys and its size."""
        block, groups = self._block, self._block.groups
        held = tuple([groups[place] for place in self._places])
        return Block(block.name, (), held, 0, block.utf8_names)

    def kept(self, key: object) -> Any:
        """Return what was kept as `key`, None if nothing was."""
        of, kept = self._block.derived.get(_SHARDS, (0, {}))
        found = kept.get((self._shard.number, key)) if of == self._shard.of else None
        return self._made.get(key) if found is None else found

    def keep(self, key: object, made: Any) -> None:
        """Keep what was made of it: what is small only as long as this is there, for
        there may be very many."""
        if isinstance(made, bytes):
            self._made[key] = made
            return
        of, kept = self._block.derived.get(_SHARDS, (0, {}))
        if of != self._shard.of:
            kept = {}
            self._block.derived[_SHARDS] = (self._shard.of, kept)
        kept[self._shard.number, key] = made


Piece = Block | Part
"""What a family shows is in pieces."""


class _Places:
    """Which groups of a block are in which of `of` shards."""

    __slots__ = ("_numbers", "_places", "of")

    def __init__(self, block: Block, of: int) -> None:
        self.of = of
        numbers = [shard_number(group.key, of) for group in block.groups]
        # For a thousand shards, these take as little as for two.
        self._places = array("H", sorted(range(len(numbers)), key=numbers.__getitem__))
        self._numbers = array("H", sorted(numbers))

    def in_shard(self, number: int) -> array[int]:
        """Return where in the block the groups are that the shard has."""
        start = bisect_left(self._numbers, number)
        return self._places[start : bisect_right(self._numbers, number, start)]


def parts_of(pieces: Iterable[Piece], shard: Shard) -> tuple[Part, ...]:
    """Return what `shard` has of `pieces`."""
    parts = []
    for piece in pieces:
        block = piece.as_block()
        places = block.of_keys.get(_SHARDS)
        if places is None or places.of != shard.of:
            places = block.of_keys[_SHARDS] = _Places(block, shard.of)
        if found := places.in_shard(shard.number):
            parts.append(Part(block, shard, found))
    return tuple(parts)
