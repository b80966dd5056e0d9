"""The in-memory exposition of the store.

It is changed only by applying `Changes` that were read from the store or committed to
it; scrapes take a `Snapshot`, which never changes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Container, Iterator
from operator import attrgetter, itemgetter
from typing import TypeVar

from pushrelay.changes import Changes, Emptied, GroupChange, Position
from pushrelay.exposition.evidence import push_evidence
from pushrelay.model import Group, MetricType, StoredFamily
from pushrelay.view.blocks import BlockList
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.snapshot import FamilySnapshot, Snapshot

SMALL_WORK = 500
SMALL_FAMILIES = 10_000
"""Up to this much, changes are taken over while whoever wants a snapshot waits."""

PieceSwap = tuple[bytes, StoredFamily | None, StoredFamily | None]
"""A group's canonical key, and its piece of a family before and after a change."""


class Family:
    """What all groups hold of one family: its pieces, and counts of types and helps."""

    __slots__ = ("helps", "name", "pieces", "types")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces = BlockList()
        self.types: Counter[MetricType] = Counter()
        self.helps: Counter[str] = Counter()

    def update(self, swaps: list[PieceSwap]) -> None:
        """Take over the pieces of some groups."""
        for _, old, new in swaps:
            if old and new and old.type is new.type and old.help == new.help:
                continue
            if old is not None:
                self._uncount(old)
            if new is not None:
                self._count(new)
        self.pieces.update([(key, new) for key, _, new in swaps])

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

    def snapshot(self) -> FamilySnapshot:
        """Return what there is to expose of it."""
        return FamilySnapshot(self.name, self.type, self.help, self.pieces.blocks)

    def _count(self, piece: StoredFamily) -> None:
        self.types[piece.type] += 1
        if piece.help:
            self.helps[piece.help] += 1

    def _uncount(self, piece: StoredFamily) -> None:
        _decrement(self.types, piece.type)
        if piece.help:
            _decrement(self.helps, piece.help)


class View:
    """All groups, by id, and their families, by name.

    Changes are applied by one thread at a time (the relay sees to that); snapshots may
    be taken by any thread, and do not wait for large changes to be applied.
    """

    def __init__(self) -> None:
        self.position: Position | None = None
        self.groups: dict[bytes, Group] = {}
        self.families: dict[str, Family] = {}
        self.key_shapes = KeyShapes()
        self._series = self._size = 0
        self._lock = threading.Lock()
        # None: to be made when someone asks, which is then little work. As long as
        # there is one, nobody but the thread that applies changes needs the rest.
        self._snapshot: Snapshot | None = None
        # What the last snapshot exposed, sorted by name; the names of the families
        # that changed since, and a measure of the work to look at them again.
        self._exposed: dict[str, FamilySnapshot] = {}
        self._stale: set[str] = set()
        self._stale_work = 0

    def apply(self, changes: Changes) -> None:
        """Take over `changes`; what the view has already is not applied again."""
        held = self.position
        if changes.since is None:
            self._load(changes)
        elif (
            held is not None
            and changes.since.revision <= held.revision < changes.position.revision
        ):
            new = [group for group in changes.groups if group.revision > held.revision]
            self._take_over(_last_of_each(new), changes.position)
        # Else unconnected or old: the next reading of the store brings it.

    def snapshot(self) -> Snapshot:
        """Return what there is to expose; all that `apply` returned from is in it."""
        found = self._snapshot
        if found is not None:
            return found
        with self._lock:
            return self._make_snapshot()

    def sorted_groups(self) -> list[Group]:
        """Return all groups in the order of their grouping keys."""
        with self._lock:
            found = list(self.groups.values())
        return sorted(found, key=attrgetter("key.canonical"))

    def _make_snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = self._next_snapshot()
        return self._snapshot

    def _next_snapshot(self) -> Snapshot:
        exposed, known = self._exposed, len(self._exposed)
        # Families without metrics are kept for the query API, and not exposed.
        for name in self._stale:
            family = self.families.get(name)
            if family is not None and family.pieces.series:
                exposed[name] = family.snapshot()
            elif exposed.pop(name, None) is not None:
                known -= 1
        if len(exposed) > known:
            exposed = self._exposed = dict(sorted(exposed.items(), key=itemgetter(0)))
        self._stale, self._stale_work = set(), 0
        return Snapshot(
            self.position or Position(-1, b""),
            tuple(exposed.values()),
            len(self.groups),
            self._series,
            self._size,
        )

    def _take_over(self, new: dict[bytes, Group | None], position: Position) -> None:
        swaps: dict[str, list[PieceSwap]] = {}
        for id_, group in new.items():
            for name, swap in _differences(self.groups.get(id_), group):
                swaps.setdefault(name, []).append(swap)
        work = self._work(swaps)
        if work <= SMALL_WORK and len(self.families) <= SMALL_FAMILIES:
            with self._lock:
                if not swaps.keys() <= self._stale:
                    self._stale_work += work
                self._change_families(swaps)
                self._change_groups(self.groups, new)
                self.position = position
                self._snapshot = None
                if self._stale_work > SMALL_WORK:
                    self._make_snapshot()
            return
        with self._lock:
            self._make_snapshot()
        # From here on, others get the snapshot of before.
        self._change_families(swaps)
        groups = self.groups.copy()
        self._change_groups(groups, new)
        self.groups = groups
        self.position = position
        self._snapshot = self._next_snapshot()

    def _work(self, swaps: dict[str, list[PieceSwap]]) -> int:
        """Return how many pieces and help texts `swaps` make us look at."""
        work = 0
        for name, changed in swaps.items():
            family = self.families.get(name)
            work += len(changed) + (len(family.helps) if family else 0)
        return work

    def _change_families(self, swaps: dict[str, list[PieceSwap]]) -> None:
        self._stale.update(swaps)
        for name, changed in swaps.items():
            family = self.families.get(name)
            if family is None:
                family = self.families[name] = Family(name)
            pieces = family.pieces
            series, size = pieces.series, pieces.size
            family.update(changed)
            self._series += pieces.series - series
            self._size += pieces.size - size
            if not pieces:
                del self.families[name]

    def _change_groups(
        self, groups: dict[bytes, Group], new: dict[bytes, Group | None]
    ) -> None:
        for id_, group in new.items():
            old = groups.pop(id_, None)
            if old is not None:
                self.key_shapes.remove(old.key.names)
            if group is not None:
                self.key_shapes.add(group.key.names)
                groups[id_] = group

    def _load(self, changes: Changes) -> None:
        live = [group for group in changes.groups if isinstance(group, Group)]
        pieces: dict[str, list[tuple[bytes, StoredFamily]]] = {}
        for group in live:
            for name, piece in _exposed(group).items():
                pieces.setdefault(name, []).append((group.key.canonical, piece))
        families = {name: Family(name) for name in sorted(pieces)}
        for name, family in families.items():
            family.load(pieces[name])
        exposed = {f.name: f.snapshot() for f in families.values() if f.pieces.series}
        # Scrapes may take the old snapshot until here.
        with self._lock:
            self.groups = {group.key.id: group for group in live}
            self.key_shapes = KeyShapes(group.key.names for group in live)
            self.families = families
            self.position = changes.position
            self._series = sum([f.pieces.series for f in families.values()])
            self._size = sum([f.pieces.size for f in families.values()])
            self._exposed, self._stale = exposed, set()
            self._snapshot = self._next_snapshot()


def _last_of_each(changes: list[GroupChange]) -> dict[bytes, Group | None]:
    """Return, by id, what each group is in the end; None if it is no more."""
    return dict(
        (change.id, None) if isinstance(change, Emptied) else (change.key.id, change)
        for change in changes
    )


def _differences(
    old: Group | None, new: Group | None
) -> Iterator[tuple[str, PieceSwap]]:
    """Yield the pieces that `new` and `old` do not share, by their families' names."""
    if new is None:
        if old is not None:
            for name, piece in _exposed(old).items():
                yield name, (old.key.canonical, piece, None)
        return
    key = new.key.canonical
    held = {} if old is None else old.families
    for name, piece in new.families.items():
        before = held.get(name)
        if before is not piece:
            yield name, (key, before, piece)
    for name, piece in held.items():
        if name not in new.families:
            yield name, (key, piece, None)
    for name, piece in push_evidence(new).items():
        # Type and help never change, so that any piece stands for the one before.
        yield name, (key, None if old is None else piece, piece)


def _exposed(group: Group) -> dict[str, StoredFamily]:
    """All that a scrape shows of `group`: what was pushed, and the push times."""
    return {**group.families, **push_evidence(group)}


Key = TypeVar("Key")


def _decrement(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
