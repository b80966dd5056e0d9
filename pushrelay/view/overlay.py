"""The view as the writer's batch sees it: with the batch's earlier writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricType
from pushrelay.stock import Stock
from pushrelay.view.family import Family
from pushrelay.view.holders import Holders
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.view import View

_ENOUGH = 2
"""Holders of a family that are known at a time: one of them may be who asks."""


class Overlay:
    """A `catalog.Catalog` of the view and of groups that are not committed yet.

    The view itself stays as it is, so that dropping the overlay undoes a batch. It
    must not change while the overlay is in use. stock: how much there is.
    """

    def __init__(self, view: View, own_types: Mapping[str, MetricType]) -> None:
        self._view = view
        self._own_types = own_types
        self._groups: dict[bytes, Group | None] = {}
        # Canonical keys of groups of which the view's families mean nothing any more.
        self._hidden: set[bytes] = set()
        # What these hold in the overlay.
        self._holders = Holders()
        # By family name: some of its other groups, and where to find more.
        self._shown: dict[str, tuple[list[bytes], Iterator[bytes]]] = {}
        self._added_shapes = KeyShapes()
        self.stock = Stock(base=view.stock)

    def put(self, key: GroupingKey, group: Group | None) -> None:
        """From now on, `group` is what is stored under `key`; None is a deletion."""
        before = self.group(key)
        self._groups[key.id] = group
        self.stock.change(before, group)
        if before and group and before.payload.layout is group.payload.layout:
            return  # nobody holds another family or another type than before
        if before is not None and key.canonical in self._hidden:
            self._holders.remove(before)
        self._hidden.add(key.canonical)
        if group is not None:
            self._added_shapes.add(key.names)
            self._holders.add(group)

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
        found = self._holders.of(name, but.canonical)
        family = self._view.families.get(name)
        if family is not None:
            # Among committed groups there is but one type, and mostly many holders.
            holder = self._shown_holder(family, but.canonical)
            if holder is not None:
                found.setdefault(family.type, holder)
        return found

    def _shown_holder(self, family: Family, but: bytes) -> bytes | None:
        """Return a group other than `but` that has `family` in the view, and here too.

        What is hidden stays so. So two at a time are known, and no group is looked at
        twice, however many a batch hides.
        """
        known, more = self._shown.get(family.name) or ([], family.holders())
        known = [key for key in known if key not in self._hidden]
        while len(known) < _ENOUGH and (key := next(more, None)) is not None:
            if key not in self._hidden:
                known.append(key)
        self._shown[family.name] = known, more
        return next((key for key in known if key != but), None)

    def key_shapes(self, last_name: str) -> Iterable[tuple[str, ...]]:
        yield from self._view.key_shapes.ending_with(last_name)
        yield from self._added_shapes.ending_with(last_name)
