"""The groups that are forgotten and still in the store.

They stand in nobody's way. But a longer time or a step back of the clock may bring them
back, and then they must fit to what was pushed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricType
from pushrelay.view.holders import Holders
from pushrelay.view.key_shapes import KeyShapes


class Forgotten:
    """A `catalog.Catalog` of forgotten groups. groups: by id."""

    def __init__(self) -> None:
        self.groups: dict[bytes, Group] = {}
        self._holders = Holders()
        self._key_shapes = KeyShapes()

    def add(self, group: Group) -> None:
        """Note that `group`, which is not here, is forgotten."""
        self.groups[group.key.id] = group
        self._key_shapes.add(group.key.names)
        self._holders.add(group.key.canonical, group.payload.layout.families)

    def remove(self, id_: bytes) -> None:
        """Note that the group `id_`, if it is here, is not forgotten or not stored."""
        group = self.groups.pop(id_, None)
        if group is None:
            return
        self._key_shapes.remove(group.key.names)
        self._holders.remove(group.key.canonical, group.payload.layout.families)

    def group(self, key: GroupingKey) -> Group | None:
        return self.groups.get(key.id)

    def holders(self, name: str, but: GroupingKey) -> Mapping[MetricType, bytes]:
        return self._holders.find(name, but.canonical)

    def own_type(self, name: str) -> MetricType | None:
        return None

    def key_shapes(self, last_name: str) -> Iterable[tuple[str, ...]]:
        return self._key_shapes.ending_with(last_name)
