"""The in-memory exposition of the store.

It is changed only by applying `Changes` that were read from the store or committed to
it; scrapes take a `Snapshot`, which never changes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

from pushrelay.changes import Changes, Emptied, GroupChange, Position
from pushrelay.exposition.evidence import push_evidence
from pushrelay.model import Group, MetricType, StoredFamily
from pushrelay.view.blocks import Block, BlockList


class Family:
    """What all groups hold of one family: its pieces, and counts of types and helps."""

    __slots__ = ("helps", "name", "pieces", "types")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces = BlockList()
        self.types: Counter[MetricType] = Counter()
        self.helps: Counter[str] = Counter()

    def put(self, key: bytes, old: StoredFamily | None, new: StoredFamily) -> None:
        """Take over the piece `new` of a group that held `old`."""
        if old is not None:
            self._uncount(old)
        self._count(new)
        self.pieces.put(key, new)

    def remove(self, key: bytes, old: StoredFamily) -> None:
        """Drop the piece `old` of a group."""
        self._uncount(old)
        self.pieces.remove(key)

    def load(self, pieces: list[tuple[bytes, StoredFamily]]) -> None:
        """Take over the pieces of all groups at once."""
        for _, piece in pieces:
            self._count(piece)
        self.pieces = BlockList(pieces)

    def holder_but(self, others: Container[bytes]) -> bytes | None:
        """The canonical key of a group that holds it and is not one of `others`."""
        keys = (key for block in self.pieces.blocks for key in block.keys)
        return next((key for key in keys if key not in others), None)

    @property
    def type(self) -> MetricType:
        """The type; all groups agree on it."""
        return next(iter(self.types))

    @property
    def help(self) -> str:
        """The help text that most groups give; the last in the alphabet if several."""
        if not self.helps:
            return ""
        return max(self.helps.items(), key=lambda entry: (entry[1], entry[0]))[0]

    def _count(self, piece: StoredFamily) -> None:
        self.types[piece.type] += 1
        if piece.help:
            self.helps[piece.help] += 1

    def _uncount(self, piece: StoredFamily) -> None:
        _decrement(self.types, piece.type)
        if piece.help:
            _decrement(self.helps, piece.help)


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """A family with its blocks in order."""

    name: str
    type: MetricType
    help: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All families of the view at one position, sorted by name (bytewise).

    groups, series: how many there are. size: bytes of series text.
    """

    position: Position
    families: tuple[FamilySnapshot, ...]
    groups: int
    series: int
    size: int

    def sample(self) -> Snapshot:
        """Return a snapshot of one block at most: enough to see that all works."""
        first = [replace(f, blocks=f.blocks[:1]) for f in self.families[:1]]
        return replace(self, families=tuple(first))


class View:
    """All groups, by id, and their families, by name.

    Changes are applied by one thread at a time (the relay sees to that); snapshots may
    be taken by any thread.
    """

    def __init__(self) -> None:
        self.position: Position | None = None
        self.groups: dict[bytes, Group] = {}
        self.families: dict[str, Family] = {}
        self.key_shapes: Counter[tuple[str, ...]] = Counter()
        self._names: list[str] = []
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None

    def apply(self, changes: Changes) -> None:
        """Take over `changes`; what the view has already is not applied again."""
        if changes.since is None:
            self._load(changes)
            return
        with self._lock:
            if (
                self.position is None
                or changes.since.revision > self.position.revision
                or changes.position.revision <= self.position.revision
            ):
                # Unconnected or old: the next reading of the store brings it.
                return
            self._take_over(changes.groups, self.position.revision)
            self.position = changes.position
            self._snapshot = None

    def snapshot(self) -> Snapshot:
        """Return what there is to expose."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = self._take_snapshot()
            return self._snapshot

    def sorted_groups(self) -> list[Group]:
        """Return all groups in the order of their grouping keys."""
        with self._lock:
            found = list(self.groups.values())
        return sorted(found, key=attrgetter("key.canonical"))

    def _take_snapshot(self) -> Snapshot:
        held = [self.families[name] for name in self._names]
        # Families without metrics are kept for the query API, and not exposed.
        families = [family for family in held if family.pieces.series]
        return Snapshot(
            self.position or Position(-1, b""),
            tuple(
                FamilySnapshot(f.name, f.type, f.help, f.pieces.blocks)
                for f in families
            ),
            len(self.groups),
            sum(family.pieces.series for family in families),
            sum(family.pieces.size for family in families),
        )

    def _take_over(self, groups: list[GroupChange], held_revision: int) -> None:
        for change in groups:
            if change.revision <= held_revision:
                continue
            if isinstance(change, Emptied):
                self._replace(change.id, None)
            else:
                self._replace(change.key.id, change)

    def _replace(self, id_: bytes, new: Group | None) -> None:
        old = self.groups.pop(id_, None)
        if old is not None:
            _decrement(self.key_shapes, old.key.names)
        if new is not None:
            self.key_shapes[new.key.names] += 1
            self.groups[id_] = new
            self._put(old, new)
        elif old is not None:
            for name, piece in _exposed(old).items():
                self._remove(name, old.key.canonical, piece)

    def _put(self, old: Group | None, new: Group) -> None:
        key = new.key.canonical
        held = {} if old is None else old.families
        for name, piece in new.families.items():
            before = held.get(name)
            if before is not piece:
                self._family(name).put(key, before, piece)
        for name, piece in held.items():
            if name not in new.families:
                self._remove(name, key, piece)
        for name, piece in push_evidence(new).items():
            # Type and help never change, so that any piece stands for the one before.
            self._family(name).put(key, None if old is None else piece, piece)

    def _family(self, name: str) -> Family:
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(name)
            insort(self._names, name)
        return family

    def _remove(self, name: str, key: bytes, piece: StoredFamily) -> None:
        family = self.families[name]
        family.remove(key, piece)
        if not family.pieces:
            del self.families[name]
            del self._names[bisect_left(self._names, name)]

    def _load(self, changes: Changes) -> None:
        live = [group for group in changes.groups if isinstance(group, Group)]
        pieces: dict[str, list[tuple[bytes, StoredFamily]]] = {}
        for group in live:
            for name, piece in _exposed(group).items():
                pieces.setdefault(name, []).append((group.key.canonical, piece))
        families = {name: Family(name) for name in sorted(pieces)}
        for name, family in families.items():
            family.load(pieces[name])
        # Scrapes may take the old snapshot until here.
        with self._lock:
            self.groups = {group.key.id: group for group in live}
            self.key_shapes = Counter(group.key.names for group in live)
            self.families = families
            self._names = list(families)
            self.position = changes.position
            self._snapshot = None


def _exposed(group: Group) -> dict[str, StoredFamily]:
    """All that a scrape shows of `group`: what was pushed, and the push times."""
    return {**group.families, **push_evidence(group)}


Key = TypeVar("Key")


def _decrement(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
