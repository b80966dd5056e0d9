"""What pushes leave in a group."""

from __future__ import annotations

from typing import NamedTuple

from pushrelay.groups import EMPTY, Group, Payload


class Contents(NamedTuple):
    """What pushes left in a group, and the next one meets; compared by identity.

    payload: what it holds. running_totals: as in Group.
    """

    payload: Payload
    running_totals: Payload | None = None


NOTHING_HELD = Contents(EMPTY)


def contents_of(group: Group | None) -> Contents:
    """Return what a push meets in `group`, None where there is none yet."""
    if group is None:
        return NOTHING_HELD
    return Contents(group.payload, group.running_totals)
