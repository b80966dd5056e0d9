"""What all groups hold of one family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from pushrelay.groups import FamilyShape
from pushrelay.model import MetricType
from pushrelay.view.blocks import BlockList
from pushrelay.view.snapshot import FamilySnapshot


class Family:
    """The groups that have a family, and counts of the types and helps they give.

    groups: those that scrapes show with it. withheld: canonical keys of those that have
    it and are not shown with it.
    """

    __slots__ = ("_help", "groups", "helps", "name", "types", "withheld")

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups = BlockList(name)
        self.withheld: set[bytes] = set()
        self.types: Counter[MetricType] = Counter()
        self.helps: Counter[str] = Counter()
        self._help: str | None = None

    def count(self, shape: FamilyShape, times: int = 1) -> None:
        """Note that so many more groups have it in `shape`."""
        self.types[shape.type] += times
        if shape.help:
            self.helps[shape.help] += times
            self._help = None

    def uncount(self, shape: FamilyShape, times: int = 1) -> None:
        """Note that so many fewer groups have it in `shape`."""
        _subtract(self.types, shape.type, times)
        if shape.help:
            _subtract(self.helps, shape.help, times)
            self._help = None

    def holders(self) -> Iterator[bytes]:
        """Yield the canonical keys of all groups that have it."""
        return chain(self.groups, self.withheld)

    @property
    def is_held(self) -> bool:
        """Whether any group has it."""
        return bool(self.groups or self.withheld)

    @property
    def type(self) -> MetricType:
        """The type; all groups agree on it."""
        return next(iter(self.types))

    @property
    def help(self) -> str:
        """The help text that most groups give; the last in the alphabet if several."""
        if self._help is None:
            texts = self.helps.items()
            best = max(texts, key=lambda entry: (entry[1], entry[0]), default=("", 0))
            self._help = best[0]
        return self._help

    def snapshot(self) -> FamilySnapshot:
        """Return what there is to expose of it."""
        return FamilySnapshot(self.name, self.type, self.help, self.groups.blocks)


_Key = TypeVar("_Key")


def _subtract(counter: Counter[_Key], key: _Key, times: int) -> None:
    counter[key] -= times
    if not counter[key]:
        del counter[key]
