"""Push modes: how a push meets what its group holds already."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from pushrelay.model import StoredFamily


class Mode(Enum):
    """replace: the push is all the group holds (PUT). update: families of the same
    name are replaced as a whole, the others stay (POST)."""

    REPLACE = "replace"
    UPDATE = "update"


def combine(
    mode: Mode, held: dict[str, StoredFamily], pushed: Iterable[StoredFamily]
) -> dict[str, StoredFamily]:
    """Return the families that a group holds after a push, in pushed order."""
    kept = held if mode is Mode.UPDATE else {}
    return {**kept, **{family.name: family for family in pushed}}
