"""The distinct sets of grouping label names in a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

Shape = tuple[str, ...]
"""The names of a grouping key, in its order: `job`, then the others sorted."""


class KeyShapes:
    """Counts shapes, and finds them by their last name.

    A label set can only hold shapes whose last name it has, so that a look-up for each
    of its names finds all candidates, and mostly few others.
    """

    def __init__(self, shapes: Iterable[Shape] = ()) -> None:
        self._by_last_name: dict[str, Counter[Shape]] = {}
        for shape in shapes:
            self.add(shape)

    def __iter__(self) -> Iterator[Shape]:
        for shapes in self._by_last_name.values():
            yield from shapes

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, KeyShapes) and self._by_last_name == other._by_last_name
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def add(self, shape: Shape) -> None:
        """Count one more group of `shape`."""
        self._by_last_name.setdefault(shape[-1], Counter())[shape] += 1

    def remove(self, shape: Shape, times: int = 1) -> None:
        """Count so many groups of `shape` less; there must be as many."""
        shapes = self._by_last_name[shape[-1]]
        shapes[shape] -= times
        if not shapes[shape]:
            del shapes[shape]
        if not shapes:
            del self._by_last_name[shape[-1]]

    def ending_with(self, name: str) -> Iterable[Shape]:
        """Return the shapes whose last name is `name`."""
        return self._by_last_name.get(name, ())
