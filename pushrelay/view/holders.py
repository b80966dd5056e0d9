"""Who holds which families: found by name and type, however many there are."""

from __future__ import annotations

from collections.abc import Iterable

from pushrelay.groups import FamilyShape
from pushrelay.model import MetricType


class Holders:
    """Canonical keys of groups by the names and the types of their families."""

    def __init__(self) -> None:
        # Of the keys, in the order in which they came.
        self._keys: dict[str, dict[MetricType, dict[bytes, None]]] = {}

    def add(self, key: bytes, families: Iterable[FamilyShape]) -> None:
        """Note that the group `key` holds `families`."""
        for family in families:
            types = self._keys.setdefault(family.name, {})
            types.setdefault(family.type, {})[key] = None

    def remove(self, key: bytes, families: Iterable[FamilyShape]) -> None:
        """Note that the group `key` holds `families`, which it held, no more."""
        for family in families:
            types = self._keys[family.name]
            del types[family.type][key]
            if not any(types.values()):
                del self._keys[family.name]

    def find(self, name: str, but: bytes) -> dict[MetricType, bytes]:
        """Return for each type of the family `name` a group, other than `but`, that
        holds it so."""
        found = {}
        for type_, keys in self._keys.get(name, {}).items():
            holder = next((key for key in keys if key != but), None)
            if holder is not None:
                found[type_] = holder
        return found
