"""Push modes: how a push meets what its group holds already."""

from __future__ import annotations

from enum import Enum

from pushrelay.groups import Payload


class Mode(Enum):
    """replace: the push is all the group holds (PUT). update: families of the same
    name are replaced as a whole, the others stay (POST). merge: series are replaced,
    the others stay. add: like merge, but what counts something is added to what is
    held."""

    REPLACE = "replace"
    UPDATE = "update"
    MERGE = "merge"
    ADD = "add"


def combine(mode: Mode, held: Payload, pushed: Payload) -> Payload:
    """Return what a group that holds `held` holds after a push, in pushed order."""
    if mode is Mode.REPLACE or held.layout is pushed.layout:
        return pushed
    families = {family.name: family for family in held.families()}
    families.update({family.name: family for family in pushed.families()})
    return Payload.of(families.values())
