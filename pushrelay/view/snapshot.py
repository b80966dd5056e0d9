"""What there is to expose at one position of the store; it never changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pushrelay.changes import Position
from pushrelay.model import MetricType
from pushrelay.view.blocks import Block

SAMPLE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """A family with its blocks in order."""

    name: str
    type: MetricType
    help: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All families of the view at one position, sorted by name (bytewise).

    groups, series: how many there are. size: about how many bytes of text.
    """

    position: Position
    families: tuple[FamilySnapshot, ...]
    groups: int
    series: int
    size: int

    def sample(self) -> Snapshot:
        """Return a snapshot of one small piece at most, to see that all works."""
        small = [
            replace(family, blocks=(piece,))
            for family in self.families[:1]
            for block in family.blocks[:1]
            for piece in [Block.of(family.name, block.keys[:1], block.groups[:1])]
            if len(block.groups[0].payload.text) <= SAMPLE_BYTES
        ]
        return replace(self, families=tuple(small))
