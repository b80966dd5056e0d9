"""Builds the families of a view from all groups at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from pushrelay.exposition.evidence import evidence_shape
from pushrelay.groups import Group, Layout
from pushrelay.model import PUSH_EVIDENCE, PUSH_TIME
from pushrelay.view.blocks import BLOCK_GROUPS, Block, BlockList
from pushrelay.view.family import Family

_canonical = attrgetter("key.canonical")
_layout = attrgetter("payload.layout")


class _Chunk:
    """Neighbouring groups that make a block of each family that all of them have."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups = tuple(groups)
        self._keys = tuple([group.key.canonical for group in groups])
        self._layouts = Counter(map(_layout, groups))

    def block(self, name: str) -> Block:
        """Return the block of the pushed family `name`."""
        series, utf8_names = 0, False
        for layout, times in self._layouts.items():
            shape = layout.families[layout.index[name]]
            series += times * shape.size
            utf8_names |= shape.utf8_names
        return Block(name, self._keys, self._groups, series, utf8_names)

    def evidence(self) -> list[Block]:
        """Return the blocks of the families that every group has."""
        utf8_names = any(
            evidence_shape(group.key, PUSH_TIME).utf8_names for group in self._groups
        )
        return [
            Block(name, self._keys, self._groups, len(self._groups), utf8_names)
            for name in PUSH_EVIDENCE
        ]


def load_families(groups: Iterable[Group]) -> dict[str, Family]:
    """Return the families of `groups`, pushed ones and evidence, by name."""
    ordered = sorted(groups, key=_canonical)
    by_layout: dict[Layout, list[Group]] = {}
    for group in ordered:
        by_layout.setdefault(group.payload.layout, []).append(group)
    holders: dict[str, list[Layout]] = {}
    for layout in by_layout:
        for name in layout.index:
            holders.setdefault(name, []).append(layout)
    chunks: dict[tuple[Layout, ...], list[_Chunk]] = {}
    families = _evidence(ordered)
    for name, layouts in holders.items():
        family = families[name] = Family(name)
        # Families that the same layouts have lie in the same chunks.
        same = tuple(layouts)
        if same not in chunks:
            chunks[same] = _chunks([by_layout[layout] for layout in layouts])
        family.groups = BlockList(name, [c.block(name) for c in chunks[same]])
        for layout in layouts:
            shape = layout.families[layout.index[name]]
            family.count(shape, len(by_layout[layout]))
    return families


def _evidence(ordered: list[Group]) -> dict[str, Family]:
    if not ordered:
        return {}
    blocks = [chunk.evidence() for chunk in _chunks([ordered])]
    families = {}
    for name, held in zip(PUSH_EVIDENCE, zip(*blocks, strict=True), strict=True):
        family = families[name] = Family(name)
        family.groups = BlockList(name, held)
        family.count(evidence_shape(ordered[0].key, name), len(ordered))
    return families


def _chunks(parts: list[list[Group]]) -> list[_Chunk]:
    """Return sorted `parts` as one, in pieces that make blocks."""
    groups = parts[0]
    if len(parts) > 1:
        groups = sorted(chain.from_iterable(parts), key=_canonical)
    starts = range(0, len(groups), BLOCK_GROUPS)
    return [_Chunk(groups[start : start + BLOCK_GROUPS]) for start in starts]
