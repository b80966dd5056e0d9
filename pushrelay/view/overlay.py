"""The view as the writer's batch sees it: with the batch's earlier writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricType
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.view import View


class Overlay:
    """A `catalog.Catalog` of the view and of groups that are not committed yet.

    The view itself stays as it is, so that dropping the overlay undoes a batch. It
    must not change while the overlay is in use.
    """

    def __init__(self, view: View, own_types: Mapping[str, MetricType]) -> None:
        self._view = view
        self._own_types = own_types
        self._groups: dict[bytes, Group | None] = {}
        # Canonical keys of groups of which the view's families mean nothing any more.
        self._hidden: set[bytes] = set()
        # By family name: who of these holds it in the overlay.
        self._holders: dict[str, dict[GroupingKey, MetricType]] = {}
        self._added_shapes = KeyShapes()

    def put(self, key: GroupingKey, group: Group | None) -> None:
        """From now on, `group` is what is stored under `key`; None is a deletion."""
        before = self.group(key)
        self._groups[key.id] = group
        if before and group and before.payload.layout is group.payload.layout:
            return  # nobody holds another family or another type than before
        if key.canonical in self._hidden:
            for name in before.payload.layout.index if before else ():
                self._holders[name].pop(key)
        self._hidden.add(key.canonical)
        if group is not None:
            self._added_shapes.add(key.names)
            for family in group.payload.layout.families:
                self._holders.setdefault(family.name, {})[key] = family.type

    def all_groups(self) -> list[Group]:
        """All groups there are."""
        kept = [g for g in self._view.groups.values() if g.key.id not in self._groups]
        return [*kept, *filter(None, self._groups.values())]

    def group(self, key: GroupingKey) -> Group | None:
        if key.id in self._groups:
            return self._groups[key.id]
        return self._view.groups.get(key.id)

    def own_type(self, name: str) -> MetricType | None:
        return self._own_types.get(name)

    def holders(self, name: str, but: GroupingKey) -> Mapping[MetricType, bytes]:
        batch = self._holders.get(name, {})
        found = {type_: k.canonical for k, type_ in batch.items() if k != but}
        family = self._view.families.get(name)
        if family is not None:
            # Among committed groups there is but one type, and mostly many holders.
            holder = family.holder_but(but.canonical, self._hidden)
            if holder is not None:
                found.setdefault(family.type, holder)
        return found

    def key_shapes(self, last_name: str) -> Iterable[tuple[str, ...]]:
        yield from self._view.key_shapes.ending_with(last_name)
        yield from self._added_shapes.ending_with(last_name)
