"""Who holds which family, by its type."""

from __future__ import annotations

from pushrelay.groups import Group
from pushrelay.model import MetricType


class Holders:
    """Canonical keys of groups, by the name and the type of the families they have."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[MetricType, set[bytes]]] = {}

    def add(self, group: Group) -> None:
        """Note what `group` has."""
        for family in group.payload.layout.families:
            types = self._by_name.setdefault(family.name, {})
            types.setdefault(family.type, set()).add(group.key.canonical)

    def remove(self, group: Group) -> None:
        """Forget what `group`, which was added, has."""
        for family in group.payload.layout.families:
            types = self._by_name[family.name]
            keys = types[family.type]
            keys.discard(group.key.canonical)
            if not keys:
                del types[family.type]
            if not types:
                del self._by_name[family.name]

    def of(self, name: str, but: bytes) -> dict[MetricType, bytes]:
        """Return the types that groups other than `but` have the family `name` with,
        each with one such group."""
        found = {}
        for type_, keys in self._by_name.get(name, {}).items():
            holder = next((key for key in keys if key != but), None)
            if holder is not None:
                found[type_] = holder
        return found
