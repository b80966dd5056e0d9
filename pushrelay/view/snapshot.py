"""What there is to expose at one position of the store; it never changes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from operator import attrgetter

from pushrelay.changes import Position
from pushrelay.exposition.evidence import JOB_GROUPS
from pushrelay.exposition.run_families import EXPECTATION_MARK, RUN_EVIDENCE_MARK
from pushrelay.groups import Group, Holder, Job, RunPage
from pushrelay.model import PUSH_TIME, MetricType
from pushrelay.view.blocks import Block
from pushrelay.view.parts import Piece

SAMPLE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """A family with its blocks, or the parts of them in a shard, in order."""

    name: str
    type: MetricType
    help: str
    blocks: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All families of the view at one position, sorted by name (bytewise).

    groups, series: how many there are. size: about how many bytes of text. Of a shard,
    these are those of the whole.
    """

    position: Position
    families: tuple[FamilySnapshot, ...]
    groups: int
    series: int
    size: int

    def sorted_groups(self) -> list[Group]:
        """Return all groups in the order of their grouping keys."""
        # Each has a time of its last push.
        holders = self._holders(PUSH_TIME)
        return [holder for holder in holders if isinstance(holder, Group)]

    def sorted_jobs(self) -> list[Job]:
        """Return the jobs that have evidence of their own, in order."""
        holders = self._holders(JOB_GROUPS)
        return [holder for holder in holders if isinstance(holder, Job)]

    def run_pages(self) -> list[RunPage]:
        """Return what is shown of runs."""
        return self._pages(RUN_EVIDENCE_MARK)

    def expected_pages(self) -> list[RunPage]:
        """Return what is shown of expectations."""
        return self._pages(EXPECTATION_MARK)

    def _pages(self, name: str) -> list[RunPage]:
        holders = self._holders(name)
        return [holder for holder in holders if isinstance(holder, RunPage)]

    def _holders(self, name: str) -> list[Holder]:
        at = bisect_left(self.families, name, key=attrgetter("name"))
        if at == len(self.families) or self.families[at].name != name:
            return []
        blocks = [piece.as_block() for piece in self.families[at].blocks]
        return [holder for block in blocks for holder in block.groups]

    def emptied(self) -> Snapshot:
        """Return a snapshot without families, which counts what there is all the
        same."""
        return replace(self, families=(), size=0)

    def sample(self) -> Snapshot:
        """Return a snapshot of one small piece at most, to see that all works."""
        small = [
            replace(family, blocks=(piece,))
            for family in self.families[:1]
            for block in [first.as_block() for first in family.blocks[:1]]
            for piece in [Block.of(family.name, block.keys[:1], block.groups[:1])]
            if len(block.groups[0].payload.text) <= SAMPLE_BYTES
        ]
        return replace(self, families=tuple(small))
