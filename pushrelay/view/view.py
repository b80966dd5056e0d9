"""The in-memory exposition of the store.

It is changed only by applying `Changes` that were read from the store or committed to
it; scrapes take a `Snapshot`, which never changes.

A push that only changes values, as most do, is noted and gets into the blocks when a
snapshot is taken: its cost is the same whatever else its block holds, and a group that
is pushed many times between two scrapes is taken over once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from operator import itemgetter

from pushrelay.changes import (
    Changes,
    Emptied,
    EvidenceChange,
    ExpectationRecord,
    JobRecord,
    Position,
)
from pushrelay.changes import GroupChange as StoreChange
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.stock import Stock
from pushrelay.view.board import Board
from pushrelay.view.family import Family
from pushrelay.view.holdings import Holdings, NewGroups
from pushrelay.view.jobs import Jobs, outlives_groups
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.snapshot import FamilySnapshot, Snapshot
from pushrelay.view.standings import Standings

SMALL_WORK = 2_000
SMALL_FAMILIES = 10_000
"""Up to this much, changes are taken over while whoever wants a snapshot waits."""

FEW_CHANGES = 2_000
SMALL_SHARE = 16
"""Up to so many groups, or one in so many, are taken over one by one. With more, it
takes less to make everything that hangs on groups anew."""

PAGES_AT_ONCE = 50
"""Pages of runs that are made in a portion: 5 ms."""

JITTER = 10**9
"""A clock that steps back by less than this, in nanoseconds, stands still instead."""


class View:
    """All groups, by id, and their families, by name.

    Changes are applied by one thread at a time (the relay sees to that); snapshots may
    be taken by any thread, and do not wait for large changes to be applied.
    """

    def __init__(self, policies: Policies | None = None) -> None:
        self.position: Position | None = None
        self.groups: dict[bytes, Group] = {}
        self.standings = Standings(policies or Policies())
        self.board = Board(self.standings.policies)
        self._holdings = Holdings()
        self._lock = threading.Lock()
        # None: to be made when someone asks, which is then little work. As long as
        # there is one, nobody but the thread that applies changes needs the rest.
        self._snapshot: Snapshot | None = None
        # What the last snapshot exposed, sorted by name, and a measure of the work to
        # take what changed since into the next snapshot.
        self._exposed: dict[str, FamilySnapshot] = {}
        self._work = 0

    @property
    def families(self) -> dict[str, Family]:
        """The families that groups have, by name."""
        return self._holdings.families

    @property
    def key_shapes(self) -> KeyShapes:
        """The label names of all grouping keys."""
        return self._holdings.key_shapes

    @property
    def stock(self) -> Stock:
        """How much is stored of groups that are not forgotten."""
        return self._holdings.stock

    @property
    def jobs(self) -> Jobs:
        """The jobs whose groups come and go."""
        return self._holdings.jobs

    def apply(self, changes: Changes) -> None:
        """Take over `changes`; what the view has already is not applied again."""
        held = self.position
        if changes.since is None:
            live = [group for group in changes.groups if isinstance(group, Group)]
            runs = (changes.runs, changes.expectations)
            policies = self.standings.policies
            self._load(live, changes.jobs, runs, changes.position, policies)
        elif (
            held is not None
            and changes.since.revision <= held.revision < changes.position.revision
        ):
            new = changes.after(held)
            # Whoever sees the new position must find these, too.
            self.board.note(new.runs, new.expectations)
            placed = self._placed(_last_of_each(new.groups))
            self._take_over(placed, new.jobs, new.position)
        # Else unconnected or old: the next reading of the store brings it.

    def advance(self, now: int) -> None:
        """Let go stale, and let be forgotten, what is due by `now` (Unix nanoseconds).

        Like `apply`, this is for one thread at a time.
        """
        standings = self.standings
        if now + JITTER < standings.now:
            standings.now = now
            self.follow(standings.policies)
            return
        due = standings.take_due(max(now, standings.now))
        known = {id_: self.groups[id_] for id_ in due if id_ in self.groups}
        placed = self._placed(dict(known))
        changed = {
            id_: group
            for id_, group in placed.items()
            if _shows_otherwise(known[id_], group)
        }
        if changed:
            self._take_over(changed, [], self.position)

    def follow(self, policies: Policies) -> None:
        """From now on, let groups go stale and be forgotten by `policies`."""
        known = {**self.standings.forgotten.groups, **self.groups}.values()
        groups = [g.with_standing(None) if g.standing else g for g in known]
        jobs = list(self.jobs.recorded.values())
        self._load(groups, jobs, self.board.records(), self.position, policies)

    def is_due(self, now: int) -> bool:
        """Whether `advance` and `settle` would change anything."""
        next_due = min(self.standings.next_due, self.board.next_due)
        return next_due <= now or now + JITTER < self.standings.now

    def settle(self) -> bool:
        """Show what runs come to at the moment that `advance` was given last, or a part
        of it; return whether that was all.

        Like `apply`, this is for one thread at a time. Until it returns, snapshots show
        runs as they were.
        """
        if not self.board.prepare(self.standings.now, PAGES_AT_ONCE):
            return False
        with self._lock:
            self._make_snapshot()
        # Nobody needs the rest as long as there is a snapshot.
        changed = self.board.show()
        with self._lock:
            self._holdings.changed |= changed
            self._snapshot = None
            self._make_snapshot()
        return True

    def snapshot(self) -> Snapshot:
        """Return what there is to expose; all that `apply` returned from is in it."""
        found = self._snapshot
        if found is not None:
            return found
        with self._lock:
            return self._make_snapshot()

    def sorted_groups(self) -> list[Group]:
        """Return all groups in the order of their grouping keys."""
        return self.snapshot().sorted_groups()

    def forgotten_groups(self) -> list[Group]:
        """Return the groups that are forgotten and still in the store."""
        return list(self.standings.forgotten.groups.values())

    def _make_snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = self._next_snapshot()
        return self._snapshot

    def _next_snapshot(self) -> Snapshot:
        held = self._holdings
        held.settle()
        exposed, known = self._exposed, len(self._exposed)
        # Families without metrics are kept for the query API, and not exposed.
        pages = self.board.pages
        for name in held.changed:
            family = held.families.get(name) or pages.families.get(name)
            if family is not None and family.groups.series:
                exposed[name] = family.snapshot()
            elif exposed.pop(name, None) is not None:
                known -= 1
        if len(exposed) > known:
            exposed = self._exposed = dict(sorted(exposed.items(), key=itemgetter(0)))
        held.changed, self._work = set(), 0
        return Snapshot(
            self.position or Position(-1, b""),
            tuple(exposed.values()),
            len(self.groups),
            held.series + pages.series,
            held.size + pages.size,
        )

    def _placed(self, new: NewGroups) -> NewGroups:
        """Return `new` with the standings of the groups; forgotten ones are nothing."""
        placed: NewGroups = {}
        for id_, group in new.items():
            if group is None:
                self.standings.drop(id_)
                placed[id_] = None
                continue
            placed[id_] = self.standings.place(group, self.groups.get(id_))
            if placed[id_] is None:
                self._note_forgotten(id_)
        return placed

    def _note_forgotten(self, id_: bytes) -> None:
        group = self.standings.forgotten.groups[id_]
        if outlives_groups(group):
            self.jobs.forgotten(group)

    def _take_over(
        self, new: NewGroups, jobs: list[JobRecord], position: Position | None
    ) -> None:
        held = self._holdings
        if len(new) > max(FEW_CHANGES, len(self.groups) // SMALL_SHARE):
            groups = {**self.groups, **new}
            live = {id_: group for id_, group in groups.items() if group is not None}
            records = [*self.jobs.recorded.values(), *jobs]
            self._build(live, records, self.board, position, self.standings)
            return
        forgotten = self.standings.forgotten.groups.values()
        work = held.work_of(self.groups, new)
        if work <= SMALL_WORK and len(held.families) <= SMALL_FAMILIES:
            with self._lock:
                self._work += work
                held.change(self.groups, new, jobs, forgotten)
                self.position = position
                self._snapshot = None
                if self._work > SMALL_WORK:
                    self._make_snapshot()
            return
        with self._lock:
            self._make_snapshot()
        # From here on, others get the snapshot of before.
        changed = self.groups.copy()
        held.change(changed, new, jobs, forgotten)
        self.groups = changed
        self.position = position
        self._snapshot = self._next_snapshot()

    def _load(
        self,
        groups: Iterable[Group],
        records: Iterable[JobRecord],
        runs: tuple[list[EvidenceChange], list[ExpectationRecord]],
        position: Position | None,
        policies: Policies,
    ) -> None:
        standings = Standings(policies, self.standings.now)
        placed = filter(None, map(standings.place, groups))
        live = {group.key.id: group for group in placed}
        board = Board(policies)
        board.note(*runs)
        board.settle(standings.now)
        self._build(live, records, board, position, standings)

    def _build(
        self,
        live: dict[bytes, Group],
        records: Iterable[JobRecord],
        board: Board,
        position: Position | None,
        standings: Standings,
    ) -> None:
        """Show the groups `live`, which have their `standings`, and `board`."""
        jobs = Jobs()
        jobs.record(records)
        for group in filter(outlives_groups, live.values()):
            jobs.add(group)
        for group in filter(outlives_groups, standings.forgotten.groups.values()):
            jobs.forgotten(group)
        jobs.take_changed()
        holdings = Holdings(live.values(), jobs)
        families = {**holdings.families, **board.pages.families}
        exposed = {
            name: family.snapshot()
            for name, family in sorted(families.items())
            if family.groups.series
        }
        # Scrapes may take the old snapshot until here.
        with self._lock:
            self.groups = live
            self.standings, self._holdings = standings, holdings
            self.board = board
            self.position = position
            self._exposed = exposed
            self._snapshot = self._next_snapshot()


def _shows_otherwise(before: Group, after: Group | None) -> bool:
    """Whether a group shows something else once more time has passed."""
    was, is_ = before.standing, after.standing if after else None
    if was is None or is_ is None:
        return True
    return was.withheld != is_.withheld or was.is_stale != is_.is_stale


def _last_of_each(changes: list[StoreChange]) -> NewGroups:
    """Return, by id, what each group is in the end; None if it is no more."""
    return dict(
        (change.id, None) if isinstance(change, Emptied) else (change.key.id, change)
        for change in changes
    )
