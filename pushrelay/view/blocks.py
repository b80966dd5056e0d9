"""The groups of one family, sorted, in immutable blocks.

A push replaces one block; a scrape keeps references to all of them and reads them
outside of any lock. What was made of a block (compressed text, compressed protobuf) is
kept with it and so is made anew only for the block that changed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from pushrelay.exposition.evidence import (
    evidence_family,
    evidence_series,
    evidence_shape,
    is_evidence,
)
from pushrelay.groups import FamilyShape, Holder, StoredFamily

BLOCK_GROUPS = 256
"""Groups in a block when it is built; it is split at twice as many."""

PIECE_BYTES = 256 * 1024
"""What is written at a time: one group may have a gigabyte of series."""

HolderChange = tuple[bytes, Holder | None]
"""A canonical grouping key, and who is shown with the family from now on, if anyone."""

_key = itemgetter(0)


class Block:
    """Neighbouring groups that show the family `name`. Never changed once it is made.

    keys: their canonical grouping keys, sorted. series: how many metrics they have.
    utf8_names: whether a name in it may need escaping.
    derived: what others made of it, by their key. of_keys: what they made of its keys
    alone.
    """

    __slots__ = ("derived", "groups", "keys", "name", "of_keys", "series", "utf8_names")

    def __init__(
        self,
        name: str,
        keys: tuple[bytes, ...],
        groups: tuple[Holder, ...],
        series: int,
        utf8_names: bool,
    ) -> None:
        self.name = name
        self.keys = keys
        self.groups = groups
        self.series = series
        self.utf8_names = utf8_names
        self.derived: dict[Any, Any] = {}
        self.of_keys: dict[Any, Any] = {}

    @staticmethod
    def of(name: str, keys: tuple[bytes, ...], groups: tuple[Holder, ...]) -> Block:
        """Return a block of `groups`, whose canonical keys are `keys`."""
        series, utf8_names = 0, False
        for group in groups:
            shape = shape_of(group, name)
            series += shape.size
            utf8_names |= shape.utf8_names
        return Block(name, keys, groups, series, utf8_names)

    def as_block(self) -> Block:
        """Return itself."""
        return self

    def kept(self, key: object) -> Any:
        """Return what was kept as `key`, None if nothing was."""
        return self.derived.get(key)

    def keep(self, key: object, made: Any) -> None:
        """Keep what was made of it, as long as it looks the same."""
        self.derived[key] = made

    def text(self) -> Iterator[bytes]:
        """Yield the series of all groups in the text format, UTF-8 names quoted."""
        return in_pieces(self.lines())

    def lines(self) -> Iterator[bytes]:
        """Yield the series of each group."""
        name = self.name
        if is_evidence(name):
            for group in self.groups:
                yield evidence_series(group, name)
            return
        layout, at = None, 0
        for group in self.groups:
            payload = group.payload
            if payload.layout is not layout:
                layout = payload.layout
                at = layout.index[name]
            start, end = payload.bounds[at : at + 2]
            yield payload.text[start:end]

    def families(self) -> Iterator[StoredFamily]:
        """Yield what each group holds of the family."""
        for group in self.groups:
            yield group.payload.get(self.name) or evidence_family(group, self.name)

    def changed(self, changes: Sequence[HolderChange]) -> Block:
        """Return the block after `changes`; its `keys` are these if none came or went.

        changes: not many, since each may move what stands after it.
        """
        if _removes_much(changes, len(self.keys)):
            return self._without({key for key, _ in changes})
        name, series, utf8_names = self.name, self.series, self.utf8_names
        keys: tuple[bytes, ...] | list[bytes] = self.keys
        groups = list(self.groups)
        # What nobody made of it yet need not be kept.
        looks_the_same = bool(self.derived)
        for key, group in changes:
            at = bisect_left(keys, key)
            old = groups[at] if at < len(keys) and keys[at] == key else None
            if not (old and group and old.payload.layout is group.payload.layout):
                series -= shape_of(old, name).size if old else 0
                series += shape_of(group, name).size if group else 0
                utf8_names |= group is not None and shape_of(group, name).utf8_names
            if old and group:
                groups[at] = group
                looks_the_same = looks_the_same and _have_the_same(old, group, name)
                continue
            looks_the_same = False
            if isinstance(keys, tuple):
                keys = list(keys)
            end = at if old is None else at + 1
            keys[at:end] = [] if group is None else [key]
            groups[at:end] = [] if group is None else [group]
        kept = keys if keys is self.keys else tuple(keys)
        block = Block(name, kept, tuple(groups), series, utf8_names)
        if kept is self.keys:
            block.of_keys = self.of_keys
        if looks_the_same:
            block.derived = self.derived
        return block

    def _without(self, gone: set[bytes]) -> Block:
        pairs = zip(self.keys, self.groups, strict=True)
        kept = [(key, group) for key, group in pairs if key not in gone]
        keys, groups = zip(*kept, strict=True) if kept else ((), ())
        return Block.of(self.name, keys, groups)

    def halves(self) -> tuple[Block, Block]:
        """Return two blocks that together are this one."""
        half = len(self.keys) // 2
        return (
            Block.of(self.name, self.keys[:half], self.groups[:half]),
            Block.of(self.name, self.keys[half:], self.groups[half:]),
        )


def _removes_much(changes: Sequence[HolderChange], held: int) -> bool:
    """Whether looking at all `held` groups is faster than at each of `changes`."""
    return len(changes) > held // 8 and all(group is None for _, group in changes)


def _have_the_same(old: Holder, new: Holder, name: str) -> bool:
    """Whether both hold the family `name` alike, down to its values."""
    before, after = old.payload.get(name), new.payload.get(name)
    return (
        before is not None
        and after is not None
        and before.shape is after.shape
        and before.series == after.series
        and before.message == after.message
    )


class BlockList:
    """The groups that have the family `name`, by canonical grouping key.

    series: how many metrics they have.
    """

    __slots__ = ("_blocks", "_empty", "_first_keys", "_snapshot", "series")

    def __init__(self, name: str, blocks: Sequence[Block] = ()) -> None:
        self._empty = Block(name, (), (), 0, False)
        self._blocks = list(blocks)
        self._first_keys = [block.keys[0] for block in self._blocks]
        self._snapshot: tuple[Block, ...] | None = None
        self.series = sum([block.series for block in self._blocks])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in order, as they are now."""
        if self._snapshot is None:
            self._snapshot = tuple(self._blocks)
        return self._snapshot

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __iter__(self) -> Iterator[bytes]:
        """Yield all keys. Another thread may meanwhile replace groups, but neither add
        nor remove any."""
        for block in list(self._blocks):
            yield from block.keys

    def update(self, changes: list[HolderChange]) -> None:
        """Add, replace and remove groups; a block is made anew once for all of its."""
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

    def _change(self, at: int, changes: list[HolderChange]) -> None:
        old = self._blocks[at] if self._blocks else self._empty
        new = old.changed(changes)
        self.series += new.series - old.series
        if new.keys is old.keys and self._blocks:
            self._blocks[at] = new
            return
        large = len(new.keys) > 2 * BLOCK_GROUPS
        parts = new.halves() if large else (new,) if new.keys else ()
        self._blocks[at : at + 1] = parts
        self._first_keys[at : at + 1] = [block.keys[0] for block in parts]


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `parts` joined and cut, so that each piece has about PIECE_BYTES."""
    for piece in joined(parts):
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `parts` joined, as few as make PIECE_BYTES."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def shape_of(group: Holder, name: str) -> FamilyShape:
    """Return the shape of a family that `group` has, pushed or evidence."""
    layout = group.payload.layout
    at = layout.index.get(name)
    return evidence_shape(group.key, name) if at is None else layout.families[at]
