"""The groups that are forgotten and still in the store.

They stand in nobody's way. But a longer time or a step back of the clock may bring them
back, and then they must fit to what was pushed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricType
from pushrelay.view.key_shapes import KeyShapes


class Forgotten:
    """A `catalog.Catalog` of forgotten groups. groups: by id."""

    def __init__(self) -> None:
        self.groups: dict[bytes, Group] = {}
        # Canonical keys, by the name and the type of the families that they have.
        self._holders: dict[str, dict[MetricType, set[bytes]]] = {}
        self._key_shapes = KeyShapes()

    def add(self, group: Group) -> None:
        """Note that `group`, which is not here, is forgotten."""
        self.groups[group.key.id] = group
        self._key_shapes.add(group.key.names)
        for family in group.payload.layout.families:
            types = self._holders.setdefault(family.name, {})
            types.setdefault(family.type, set()).add(group.key.canonical)

    def remove(self, id_: bytes) -> None:
        """Note that the group `id_`, if it is here, is not forgotten or not stored."""
        group = self.groups.pop(id_, None)
        if group is None:
            return
        self._key_shapes.remove(group.key.names)
        for family in group.payload.layout.families:
            types = self._holders[family.name]
            types[family.type].discard(group.key.canonical)
            if not any(types.values()):
                del self._holders[family.name]

    def group(self, key: GroupingKey) -> Group | None:
        return self.groups.get(key.id)

    def holders(self, name: str, but: GroupingKey) -> Mapping[MetricType, bytes]:
        found = {}
        for type_, keys in self._holders.get(name, {}).items():
            others = (key for key in keys if key != but.canonical)
            if (holder := next(others, None)) is not None:
                found[type_] = holder
        return found

    def own_type(self, name: str) -> MetricType | None:
        return None

    def key_shapes(self, last_name: str) -> Iterable[tuple[str, ...]]:
        return self._key_shapes.ending_with(last_name)
