"""The in-memory exposition of the store.

It is changed only by applying `Changes` that were read from the store or committed to
it; scrapes take a `Snapshot`, which never changes.

A push that only changes values, as most do, is noted and gets into the blocks when a
snapshot is taken: its cost is the same whatever else its block holds, and a group that
is pushed many times between two scrapes is taken over once.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from operator import attrgetter, itemgetter

from pushrelay.changes import Changes, Emptied, Position
from pushrelay.changes import GroupChange as StoreChange
from pushrelay.exposition.evidence import evidence_shape
from pushrelay.groups import FamilyShape, Group
from pushrelay.model import PUSH_EVIDENCE
from pushrelay.view.blocks import GroupChange
from pushrelay.view.family import Family
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.loading import load_families
from pushrelay.view.snapshot import FamilySnapshot, Snapshot

SMALL_WORK = 2_000
SMALL_FAMILIES = 10_000
"""Up to this much, changes are taken over while whoever wants a snapshot waits."""

_EVIDENCE_BYTES = 100
"""About what the lines of a group's evidence take, but for its labels."""

NewGroups = dict[bytes, Group | None]
"""What groups are from now on, by their id; None is nothing."""


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
        # that changed since, groups of which only values did, and a measure of the
        # work to take it all into the next snapshot.
        self._exposed: dict[str, FamilySnapshot] = {}
        self._stale: set[str] = set()
        self._pending: dict[bytes, Group] = {}
        self._work = 0

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
        self._settle()
        exposed, known = self._exposed, len(self._exposed)
        # Families without metrics are kept for the query API, and not exposed.
        for name in self._stale:
            family = self.families.get(name)
            if family is not None and family.groups.series:
                exposed[name] = family.snapshot()
            elif exposed.pop(name, None) is not None:
                known -= 1
        if len(exposed) > known:
            exposed = self._exposed = dict(sorted(exposed.items(), key=itemgetter(0)))
        self._stale, self._work = set(), 0
        return Snapshot(
            self.position or Position(-1, b""),
            tuple(exposed.values()),
            len(self.groups),
            self._series,
            self._size,
        )

    def _settle(self) -> None:
        """Bring the groups of which only values changed into their blocks."""
        changed: dict[str, list[GroupChange]] = defaultdict(list)
        for group in self._pending.values():
            change = (group.key.canonical, group)
            for name in (*group.payload.layout.index, *PUSH_EVIDENCE):
                changed[name].append(change)
        for name, changes in changed.items():
            self.families[name].groups.update(changes)
        self._stale.update(changed)
        self._pending = {}

    def _take_over(self, new: NewGroups, position: Position) -> None:
        work = self._work_of(new)
        if work <= SMALL_WORK and len(self.families) <= SMALL_FAMILIES:
            with self._lock:
                self._work += work
                self._change(self.groups, new)
                self.position = position
                self._snapshot = None
                if self._work > SMALL_WORK:
                    self._make_snapshot()
            return
        with self._lock:
            self._make_snapshot()
        # From here on, others get the snapshot of before.
        groups = self.groups.copy()
        self._change(groups, new)
        self.groups = groups
        self.position = position
        self._snapshot = self._next_snapshot()

    def _work_of(self, new: NewGroups) -> int:
        """Return how many blocks and help texts `new` makes us look at."""
        work = 0
        for id_, group in new.items():
            old = self.groups.get(id_)
            if _only_values_differ(old, group):
                work += 0 if id_ in self._pending else _families_of(group)
                continue
            work += _families_of(old) + _families_of(group)
            for name in group.payload.layout.index if group else ():
                family = self.families.get(name)
                work += len(family.helps) if family else 0
        return work

    def _change(self, groups: dict[bytes, Group], new: NewGroups) -> None:
        """Take `new` over into `groups` and all that hangs on them."""
        moved: dict[str, list[GroupChange]] = defaultdict(list)
        for id_, group in new.items():
            old = groups.get(id_)
            if old and group and _only_values_differ(old, group):
                self._pending[id_] = groups[id_] = group
                self._size += len(group.payload.text) - len(old.payload.text)
                continue
            self._pending.pop(id_, None)
            self._move(old, group, moved)
            if old is not None:
                self._count(old, -1)
                self.key_shapes.remove(old.key.names)
                del groups[id_]
            if group is not None:
                self._count(group, 1)
                self.key_shapes.add(group.key.names)
                groups[id_] = group
        for name, changes in moved.items():
            family = self.families[name]
            family.groups.update(changes)
            if not family.groups:
                del self.families[name]
        self._stale.update(moved)

    def _move(
        self, old: Group | None, new: Group | None, moved: dict[str, list[GroupChange]]
    ) -> None:
        """Note in `moved` what becomes of the families of one group."""
        before = _shapes_of(old)
        for name, shape in _shapes_of(new).items():
            held = before.pop(name, None)
            if held is not shape:
                if name not in self.families:
                    self.families[name] = Family(name)
                self.families[name].count(shape)
                if held is not None:
                    self.families[name].uncount(held)
            if new is not None:
                moved[name].append((new.key.canonical, new))
        for name, shape in before.items():
            self.families[name].uncount(shape)
            if old is not None:
                moved[name].append((old.key.canonical, None))

    def _count(self, group: Group, times: int) -> None:
        self._series += times * _series_of(group)
        self._size += times * _size_of(group)

    def _load(self, changes: Changes) -> None:
        live = [group for group in changes.groups if isinstance(group, Group)]
        families = load_families(live)
        exposed = {
            name: family.snapshot()
            for name, family in sorted(families.items())
            if family.groups.series
        }
        # Scrapes may take the old snapshot until here.
        with self._lock:
            self.groups = {group.key.id: group for group in live}
            self.key_shapes = KeyShapes(group.key.names for group in live)
            self.families = families
            self.position = changes.position
            self._series = sum(map(_series_of, live))
            self._size = sum(map(_size_of, live))
            self._exposed, self._stale, self._pending = exposed, set(), {}
            self._snapshot = self._next_snapshot()


def _last_of_each(changes: list[StoreChange]) -> NewGroups:
    """Return, by id, what each group is in the end; None if it is no more."""
    return dict(
        (change.id, None) if isinstance(change, Emptied) else (change.key.id, change)
        for change in changes
    )


def _only_values_differ(old: Group | None, new: Group | None) -> bool:
    return bool(old and new and old.payload.layout is new.payload.layout)


def _shapes_of(group: Group | None) -> dict[str, FamilyShape]:
    """The shapes of all that a scrape shows of `group`, by name."""
    if group is None:
        return {}
    shapes = {family.name: family for family in group.payload.layout.families}
    return shapes | {name: evidence_shape(group.key, name) for name in PUSH_EVIDENCE}


def _families_of(group: Group | None) -> int:
    return len(group.payload.layout.families) + len(PUSH_EVIDENCE) if group else 0


def _series_of(group: Group) -> int:
    return group.payload.layout.size + len(PUSH_EVIDENCE)


def _size_of(group: Group) -> int:
    evidence = len(PUSH_EVIDENCE) * (_EVIDENCE_BYTES + len(group.key.canonical))
    return len(group.payload.text) + evidence
