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
from pushrelay.groups import Group, Payload
from pushrelay.model import Labels

Shape = tuple[str, ...]
"""The label names of a grouping key."""


class Rivals:
    """Finds the groups that may hold the same series as a push to `key`.

    fixed: the rivals of all its series, because the labels of its own key say so.
    """

    def __init__(self, key: GroupingKey, catalog: Catalog) -> None:
        self._key = key
        self._catalog = catalog
        self._own = frozenset(key.names)
        self.fixed = [
            group
            for shape in self._shapes_within(key.names)
            for group in self._look_up(dict(key.labels), shape)
        ]
        self._open_shapes: dict[Shape, list[Shape]] = {}
        self._found: dict[tuple[Shape, tuple[str, ...]], list[Group]] = {}

    def depend_on(self, names: Shape) -> bool:
        """Whether series with these label names may have more rivals than `fixed`,
        which their values decide."""
        return bool(self._shapes_open_in(names))

    def of(self, labels: Labels) -> Iterable[Group]:
        """The groups other than the push's own whose key lies within `labels`, but for
        those of `fixed`."""
        names = tuple([name for name, _ in labels])
        shapes = self._shapes_open_in(names)
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

    def _shapes_open_in(self, names: Shape) -> list[Shape]:
        shapes = self._open_shapes.get(names)
        if shapes is None:
            within = self._shapes_within(names)
            shapes = [shape for shape in within if not self._own.issuperset(shape)]
            self._open_shapes[names] = shapes
        return shapes

    def _shapes_within(self, names: Iterable[str]) -> set[Shape]:
        present = set(names)
        candidates = (s for name in present for s in self._catalog.key_shapes(name))
        return {shape for shape in candidates if present.issuperset(shape)}

    def _look_up(self, values: Mapping[str, str], shape: Shape) -> Iterable[Group]:
        key = GroupingKey.of({name: values[name] for name in shape})
        group = None if key == self._key else self._catalog.group(key)
        if group is not None:
            yield group


_known_heads: WeakKeyDictionary[Payload, dict[str, frozenset[bytes]]]
_known_heads = WeakKeyDictionary()


def series_heads(payload: Payload, name: str) -> frozenset[bytes]:
    """Return the lines of the family `name` without their values: names and labels.

    Kept as long as the payload is, so that the cost is that of the push that brought
    it. The family may be missing.
    """
    known = _known_heads.setdefault(payload, {})
    heads = known.get(name)
    if heads is None:
        family = payload.get(name)
        lines = family.series.split(b"\n") if family else []
        heads = frozenset([line[: line.rindex(b" ")] for line in lines if line])
        known[name] = heads
    return heads
