"""What store and view tell each other: places on the store clock, and changes
between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushrelay.expectations import JobExpectation
from pushrelay.groups import Group
from pushrelay.run_evidence import RunEvidence


@dataclass(frozen=True, slots=True)
class Position:
    """A place on the store clock. Two stores, or two histories of one store after a
    restored backup, may share a revision but never the nonce."""

    revision: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Emptied:
    """A group that was deleted at `revision`, or the evidence of runs that was; id: of
    its grouping key."""

    id: bytes
    revision: int


GroupChange = Group | Emptied
EvidenceChange = RunEvidence | Emptied


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What outlives the groups of a job.

    pushed_at: time of the last accepted push to a group that is no more, Unix
    nanoseconds; None if the job itself is no more.
    """

    job: str
    revision: int
    pushed_at: int | None


@dataclass(frozen=True, slots=True)
class ExpectationRecord:
    """What is expected of a job; None if nothing is any more."""

    job: str
    revision: int
    expected: JobExpectation | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that was written after `since` and up to `position`.

    since: None means from the beginning: whatever is not listed does not exist.
    In each list, the last of one key counts.
    """

    since: Position | None
    position: Position
    groups: list[GroupChange]
    jobs: list[JobRecord] = field(default_factory=list)
    runs: list[EvidenceChange] = field(default_factory=list)
    expectations: list[ExpectationRecord] = field(default_factory=list)

    def after(self, position: Position) -> Changes:
        """Return those of them that were written after `position`."""
        held = position.revision
        return Changes(
            position,
            self.position,
            [change for change in self.groups if change.revision > held],
            [record for record in self.jobs if record.revision > held],
            [change for change in self.runs if change.revision > held],
            [record for record in self.expectations if record.revision > held],
        )
