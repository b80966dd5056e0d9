"""What a shard shows of blocks.

Which groups of a block are in which shard is found once, and kept with the block like
the compressed text of each shard: as long as a block does not change, a shard costs no
more than to look these up. That is kept for one number of shards at a time, the last
that was asked for, so that nobody can fill the memory by asking for many.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

from pushrelay.shards import Shard, shard_number
from pushrelay.view.blocks import Block, shape_of

_SPLIT = "shards"


class Part:
    """The groups at `places` of `block`, those that are in a shard."""

    __slots__ = ("_block", "_made", "_number", "_places", "_split")

    def __init__(
        self, block: Block, split: _Split, number: int, places: array[int]
    ) -> None:
        self._block = block
        self._split = split
        self._number = number
        self._places = places
        self._made: dict[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The name of the family."""
        return self._block.name

    @property
    def utf8_names(self) -> bool:
        """Whether a name in it may need escaping."""
        return self._block.utf8_names

    def as_block(self) -> Block:
        """Return a block of these groups."""
        keys, groups = self._block.keys, self._block.groups
        return Block.of(
            self._block.name,
            tuple([keys[place] for place in self._places]),
            tuple([groups[place] for place in self._places]),
        )

    def kept(self, key: object) -> Any:
        """Return what was kept as `key`, None if nothing was."""
        kept = self._split.kept.get((self._number, key))
        if kept is None and self._made is not None:
            return self._made.get(key)
        return kept

    def keep(self, key: object, made: Any) -> None:
        """Keep what was made of it: what is small only as long as this is there, for
        there may be very many."""
        if not isinstance(made, bytes):
            self._split.kept[self._number, key] = made
            return
        if self._made is None:
            self._made = {}
        self._made[key] = made


Piece = Block | Part
"""What a family shows is in pieces."""


class _Split:
    """Which groups of `block` are in which of `of` shards; those without a metric of
    the family in none.

    kept: what was made of parts, by number of the shard and by key.
    """

    __slots__ = ("_numbers", "_places", "kept", "of")

    def __init__(self, block: Block, of: int) -> None:
        self.of = of
        self.kept: dict[tuple[int, object], Any] = {}
        found = sorted(
            (shard_number(group.key, of), place)
            for place, group in enumerate(block.groups)
            if shape_of(group, block.name).size
        )
        # For a thousand shards, these take as little as for two.
        self._numbers = array("H", [number for number, _ in found])
        self._places = array("H", [place for _, place in found])

    def places(self, number: int) -> array[int]:
        """Return where in the block the groups are that the shard has."""
        start = bisect_left(self._numbers, number)
        return self._places[start : bisect_right(self._numbers, number, start)]


def parts_of(pieces: Iterable[Piece], shard: Shard) -> tuple[Part, ...]:
    """Return what `shard` shows of `pieces`: no part is without a metric."""
    parts = []
    for piece in pieces:
        block = piece.as_block()
        split = block.derived.get(_SPLIT)
        if split is None or split.of != shard.of:
            split = block.derived[_SPLIT] = _Split(block, shard.of)
        if places := split.places(shard.number):
            parts.append(Part(block, split, shard.number, places))
    return tuple(parts)
