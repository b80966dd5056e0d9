"""What store and view tell each other: places on the store clock, and changes
between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushrelay.groups import Group


@dataclass(frozen=True, slots=True)
class Position:
    """A place on the store clock. Two stores, or two histories of one store after a
    restored backup, may share a revision but never the nonce."""

    revision: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Emptied:
    """A group that was deleted at `revision`."""

    id: bytes
    revision: int


GroupChange = Group | Emptied


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
class Changes:
    """All that was written after `since` and up to `position`.

    since: None means from the beginning: whatever is not listed does not exist.
    """

    since: Position | None
    position: Position
    groups: list[GroupChange]
    jobs: list[JobRecord] = field(default_factory=list)
