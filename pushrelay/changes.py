"""What store and view tell each other: places on the store clock, and changes
between them."""

from __future__ import annotations

from dataclasses import dataclass

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
class Changes:
    """All groups that were written after `since` and up to `position`.

    since: None means from the beginning: whatever is not listed does not exist.
    """

    since: Position | None
    position: Position
    groups: list[GroupChange]
