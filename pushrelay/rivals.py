"""Finds the groups that may hold the same series as a push, at the cost of the push.

Two groups can only hold the same series if each grouping key lies inside the labels of
the other's series. So for each set of grouping label *names* in the store there is one
group to look at, and only on a hit are lines compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from pushrelay.catalog import Catalog
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Group, Labels, StoredFamily, is_utf8

Shape = tuple[str, ...]
"""The label names of a grouping key."""


class Rivals:
    """Finds the groups that may hold the same series as a push to `key`."""

    def __init__(self, key: GroupingKey, catalog: Catalog) -> None:
        self._key = key
        self._catalog = catalog
        self._own = frozenset(key.names)
        # Labels of the grouping key are the same in all series of the push.
        self._fixed = [
            group
            for shape in self._shapes_within(key.names)
            for group in self._look_up(dict(key.labels), shape)
        ]
        self._open_shapes: dict[Shape, list[Shape]] = {}
        self._found: dict[tuple[Shape, tuple[str, ...]], list[Group]] = {}

    def of(self, labels: Labels) -> Iterable[Group]:
        """The groups other than the push's own whose key lies within `labels`."""
        yield from self._fixed
        names = tuple([name for name, _ in labels])
        shapes = self._open_shapes.get(names)
        if shapes is None:
            within = self._shapes_within(names)
            shapes = [shape for shape in within if not self._own.issuperset(shape)]
            self._open_shapes[names] = shapes
        if not shapes:
            return
        values = dict(labels)
        for shape in shapes:
            projected = tuple([values[name] for name in shape])
            groups = self._found.get((shape, projected))
            if groups is None:
                groups = list(self._look_up(values, shape))
                self._found[shape, projected] = groups
            yield from groups

    def _shapes_within(self, names: Iterable[str]) -> set[Shape]:
        present = set(names)
        candidates = (s for name in present for s in self._catalog.key_shapes(name))
        return {shape for shape in candidates if present.issuperset(shape)}

    def _look_up(
        self, values: Mapping[str, str], shape: tuple[str, ...]
    ) -> Iterable[Group]:
        labels = {name: values[name] for name in shape}
        if not all(map(is_utf8, labels.values())):
            return
        key = GroupingKey.of(labels)
        group = None if key == self._key else self._catalog.group(key)
        if group is not None:
            yield group


_known_heads: WeakKeyDictionary[StoredFamily, frozenset[bytes]] = WeakKeyDictionary()


def series_heads(family: StoredFamily) -> frozenset[bytes]:
    """Return the lines of `family` without their values: its names and labels.

    Kept as long as the family is, so that the cost is that of the push that brought it.
    """
    heads = _known_heads.get(family)
    if heads is None:
        lines = family.series.split(b"\n")
        heads = frozenset([line[: line.rindex(b" ")] for line in lines if line])
        _known_heads[family] = heads
    return heads
