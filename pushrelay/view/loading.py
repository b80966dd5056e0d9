"""Builds the families of a view from all groups at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter

from pushrelay.exposition.evidence import (
    JOB_EVIDENCE,
    STALENESS_EVIDENCE,
    evidence_of,
    evidence_shape,
)
from pushrelay.groups import Group, Holder, Job, Layout, RunPage
from pushrelay.model import PUSH_EVIDENCE
from pushrelay.view.blocks import BLOCK_GROUPS, Block, BlockList
from pushrelay.view.family import Family

_canonical = attrgetter("key.canonical")
_layout = attrgetter("payload.layout")

_Kind = tuple[Layout, frozenset[str]]
"""What groups have in common that show the same families: their layout, and what of it
is withheld."""


class _Chunk:
    """Neighbouring groups or jobs that make a block of each family that all show."""

    def __init__(self, holders: Sequence[Holder]) -> None:
        self._holders = tuple(holders)
        self._keys = tuple([holder.key.canonical for holder in holders])
        self._layouts = Counter(map(_layout, holders))

    def block(self, name: str) -> Block:
        """Return the block of the pushed family `name`."""
        series, utf8_names = 0, False
        for layout, times in self._layouts.items():
            shape = layout.families[layout.index[name]]
            series += times * shape.size
            utf8_names |= shape.utf8_names
        return Block(name, self._keys, self._holders, series, utf8_names)

    def evidence(self, names: tuple[str, ...]) -> list[Block]:
        """Return the blocks of the evidence `names`."""
        utf8_names = any(
            evidence_shape(holder.key, names[0]).utf8_names for holder in self._holders
        )
        return [
            Block(name, self._keys, self._holders, len(self._holders), utf8_names)
            for name in names
        ]


def load_families(
    groups: Iterable[Group], jobs: Sequence[Job], pages: Iterable[RunPage] = ()
) -> dict[str, Family]:
    """Return the families of `groups`, pushed ones and evidence, by name; and those of
    run pages.

    jobs: those that have evidence of their own, sorted by grouping key.
    """
    ordered = sorted(groups, key=_canonical)
    by_kind: dict[_Kind, list[Group | RunPage]] = {}
    shown: Iterable[Group | RunPage] = chain(ordered, sorted(pages, key=_canonical))
    for holder in shown:
        kind = (holder.payload.layout, holder.withheld)
        by_kind.setdefault(kind, []).append(holder)
    going_stale = [group for group in ordered if evidence_of(group) != PUSH_EVIDENCE]
    families = {
        **_evidence(ordered, PUSH_EVIDENCE),
        **_evidence(going_stale, STALENESS_EVIDENCE),
        **_evidence(jobs, JOB_EVIDENCE),
    }
    showing: dict[str, list[_Kind]] = {}
    for (layout, withheld), held in by_kind.items():
        for shape in layout.families:
            family = families.setdefault(shape.name, Family(shape.name))
            family.count(shape, len(held))
            if shape.name in withheld:
                family.withheld.update([holder.key.canonical for holder in held])
            else:
                showing.setdefault(shape.name, []).append((layout, withheld))
    chunks: dict[tuple[_Kind, ...], list[_Chunk]] = {}
    for name, kinds in showing.items():
        # Families that the same kinds show lie in the same chunks.
        same = tuple(kinds)
        if same not in chunks:
            chunks[same] = _chunks([by_kind[kind] for kind in kinds])
        families[name].groups = BlockList(name, [c.block(name) for c in chunks[same]])
    return families


def _evidence(holders: Sequence[Holder], names: tuple[str, ...]) -> dict[str, Family]:
    if not holders:
        return {}
    blocks = [chunk.evidence(names) for chunk in _chunks([holders])]
    families = {}
    for name, held in zip(names, zip(*blocks, strict=True), strict=True):
        family = families[name] = Family(name)
        family.groups = BlockList(name, held)
        family.count(evidence_shape(holders[0].key, name), len(holders))
    return families


def _chunks(parts: Sequence[Sequence[Holder]]) -> list[_Chunk]:
    """Return sorted `parts` as one, in pieces that make blocks."""
    holders = parts[0]
    if len(parts) > 1:
        holders = sorted(chain.from_iterable(parts), key=_canonical)
    starts = range(0, len(holders), BLOCK_GROUPS)
    return [_Chunk(holders[start : start + BLOCK_GROUPS]) for start in starts]
