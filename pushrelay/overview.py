"""The rows of the jobs board at this moment, for whoever looks at it.

Nothing is noted while pushes and reports come in. Whoever looks goes through all
groups for those with a later revision than was seen before, and makes only their rows
anew. Of groups and evidence but the ids are kept: nothing old is held in memory.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

from pushrelay.board_rows import BoardRow, JobRuns, place_of, row_of
from pushrelay.changes import ExpectationRecord
from pushrelay.expectations import JobExpectation
from pushrelay.groups import Group
from pushrelay.rights import ALL_RIGHTS, Grant
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.seen_jobs import JobPart, part_for
from pushrelay.view.board import Board
from pushrelay.view.view import JITTER, View

_Place = tuple[str, str]
"""A job and an instance."""

_Touched = dict[str, set[str]]
"""Instances whose rows are to be made anew, by job."""

_FEW = 8
"""One changed row in so many is put in its place; of more, all are sorted again."""


@dataclass(frozen=True, slots=True)
class _KnownRuns:
    """What was seen of the runs of a job; ids: of the keys that have evidence, also if
    it is forgotten. is_expected: whether anything is said of the job as a whole, so
    that a row may tell of others. Else as in JobRuns."""

    ids: tuple[bytes, ...]
    is_expected: bool
    instances: frozenset[str]
    common: object


_NO_RUNS = _KnownRuns((), False, frozenset(), None)
_NOTHING_SAID = JobExpectation()


class Overview:
    """The rows of `view`. May be asked on any thread that may wait."""

    def __init__(self, view: View, clock: Callable[[], int]) -> None:
        self._view = view
        self._clock = clock
        self._lock = threading.Lock()
        self._begin(None)

    def rows(self, grant: Grant = ALL_RIGHTS) -> Sequence[BoardRow]:
        """Return all rows of this moment that are made of what `grant` covers, in the
        order of attention: by state, job and instance."""
        with self._lock:
            self._follow()
            return self._covered(self._sorted, grant)

    def rows_of(self, job: str, grant: Grant = ALL_RIGHTS) -> list[BoardRow]:
        """Return those of `job`."""
        with self._lock:
            self._follow()
            rows = [row for row in self._sorted if row.job == job]
            return list(self._covered(rows, grant))

    def _covered(self, rows: Sequence[BoardRow], grant: Grant) -> Sequence[BoardRow]:
        """Return what is to be seen with `grant` instead of `rows`, which are all that
        their jobs have."""
        if not grant.is_bounded:
            return rows
        by_job: dict[str, list[BoardRow]] = defaultdict(list)
        for row in rows:
            by_job[row.job].append(row)
        found: list[BoardRow] = []
        for job, of_job in by_job.items():
            if grant.covers_job(job):
                found += of_job
            elif grant.may_cover_some_of(job):
                found += self._part_rows(job, of_job, grant)
        return sorted(found, key=place_of)

    def _part_rows(
        self, job: str, rows: list[BoardRow], grant: Grant
    ) -> list[BoardRow]:
        """Return the rows that are made of what `grant` covers of `job`, which it does
        not cover as a whole; rows: of all."""
        board, seen = self._view.board, self._runs.get(job, _NO_RUNS)
        places = [(job, row.instance) for row in rows]
        ids = [id_ for place in places for id_ in self._group_ids.get(place, ())]
        groups = [group for place in places for group in self._groups_at(place)]
        living, expected = board.runs_of(job, self._at)
        part = part_for(grant, JobPart(job, living, groups, expected))
        # All that `rows` were made of, whatever became of it since.
        is_all = len(part.groups) == len(ids) and len(part.evidences) == len(seen.ids)
        if is_all and not seen.is_expected:
            return rows
        return part.rows(self._at, board.evidences.forget_at)

    def _begin(self, board: Board | None) -> None:
        """Forget all that was seen, of which nothing may hold for `board`."""
        self._board = board
        self._revision, self._at = -1, 0
        self._rows: dict[_Place, BoardRow] = {}
        self._sorted: list[BoardRow] = []
        self._next_due = inf
        self._group_ids: dict[_Place, tuple[bytes, ...]] = {}
        self._runs: dict[str, _KnownRuns] = {}
        self._said: set[str] = set()
        # How many ids are in these.
        self._groups_seen = self._runs_seen = 0

    def _follow(self) -> None:
        """Bring the rows up to this moment."""
        # Before all that they tell of: what comes meanwhile is seen again.
        board, position = self._view.board, self._view.position
        now = self._clock()
        if now < self._at <= now + JITTER:
            now = self._at
        is_new = board is not self._board or now < self._at
        if is_new or board is None:
            self._begin(board)
        self._at = now
        groups = list(self._view.groups.values())
        evidences, records = board.records()
        runs = [each for each in evidences if isinstance(each, RunEvidence)]
        touched: _Touched = defaultdict(set)
        self._see_groups(groups, touched)
        self._see_runs(runs, records, touched)
        self._see_due(now, touched)
        self._make(board, touched, now)
        if self._runs_seen != len(runs):
            self._make(board, self._without_runs(runs), now)
        revision = position.revision if position else -1
        if is_new:
            # A view that was loaded anew has its board just before its position.
            newest = [each.revision for each in groups]
            newest += [each.revision for each in runs]
            newest += [each.revision for each in records]
            revision = min(revision, max(newest, default=-1))
        self._revision = revision

    # --- what changed ---

    def _see_groups(self, groups: list[Group], touched: _Touched) -> None:
        last = self._revision
        new: dict[_Place, list[bytes]] = defaultdict(list)
        for key in [group.key for group in groups if group.revision > last]:
            new[key.job, instance_of(key)].append(key.id)
        for place, ids in new.items():
            touched[place[0]].add(place[1])
            held = self._group_ids.get(place, ())
            if len(held) == len(ids) == 1 and held[0] == ids[0]:
                continue
            self._group_ids[place] = tuple({*held, *ids})
            self._groups_seen += len(self._group_ids[place]) - len(held)
        if self._groups_seen == len(groups):
            return
        alive = {group.key.id for group in groups}
        for place, held in list(self._group_ids.items()):
            left = tuple([id_ for id_ in held if id_ in alive])
            if len(left) == len(held):
                continue
            touched[place[0]].add(place[1])
            self._groups_seen += len(left) - len(held)
            if left:
                self._group_ids[place] = left
            else:
                del self._group_ids[place]

    def _see_runs(
        self,
        runs: list[RunEvidence],
        records: list[ExpectationRecord],
        touched: _Touched,
    ) -> None:
        last = self._revision
        for key in [each.key for each in runs if each.revision > last]:
            touched[key.job].add(instance_of(key))
        said = {record.job for record in records}
        for record in records:
            if record.revision > last:
                touched[record.job] |= set()
        for job in self._said - said:
            touched[job] |= set()
        self._said = said

    def _see_due(self, now: int, touched: _Touched) -> None:
        if now < self._next_due:
            return
        self._next_due = inf
        for (job, instance), row in self._rows.items():
            if row.due is None:
                continue
            if row.due <= now:
                touched[job].add(instance)
            else:
                self._next_due = min(self._next_due, row.due)

    def _without_runs(self, runs: list[RunEvidence]) -> _Touched:
        """Return the jobs of which evidence is gone that was seen; all of them."""
        alive = {each.key.id for each in runs}
        return {
            job: set(known.instances)
            for job, known in self._runs.items()
            if not alive.issuperset(known.ids)
        }

    # --- rows ---

    def _make(self, board: Board, touched: _Touched, now: int) -> None:
        """Make the rows anew that are `touched`, and those that depend on them."""
        changed: list[tuple[BoardRow | None, BoardRow | None]] = []
        for job, instances in touched.items():
            runs = self._runs_of(board, job, instances, now)
            for instance in instances:
                place = (job, instance)
                is_run = runs is not None and instance in runs.instances
                state = runs.state(instance) if runs and is_run else None
                row = row_of(*place, state, self._groups_at(place), now)
                before = self._rows.pop(place, None)
                if row is not None:
                    self._rows[place] = row
                    self._next_due = min(self._next_due, row.due or inf)
                if before or row:
                    changed.append((before, row))
        self._sort(changed)

    def _groups_at(self, place: _Place) -> list[Group]:
        found = map(self._view.groups.get, self._group_ids.get(place, ()))
        return [group for group in found if group is not None]

    def _runs_of(
        self, board: Board, job: str, instances: set[str], now: int
    ) -> JobRuns | None:
        """Return what is known of the runs of `job`, and add to `instances` those of
        which it is something else than was seen."""
        ids = tuple([each.key.id for each in board.evidences.of_job(job)])
        living, expected = board.runs_of(job, now)
        runs = None
        if living or expected.effective is not None:
            runs = JobRuns(job, living, expected, now, board.evidences.forget_at)
        known = _KnownRuns(
            ids,
            expected != _NOTHING_SAID,
            runs.instances if runs else frozenset(),
            runs.common if runs else None,
        )
        before = self._runs.pop(job, _NO_RUNS)
        instances |= before.instances ^ known.instances
        if before.common != known.common:
            instances |= known.instances
        if runs is not None or ids:
            self._runs[job] = known
        self._runs_seen += len(ids) - len(before.ids)
        return runs

    def _sort(self, changed: Iterable[tuple[BoardRow | None, BoardRow | None]]) -> None:
        """Have the rows in order that were `changed`, each before and after. Whoever
        was given the rows earlier keeps them as they were."""
        pairs = list(changed)
        if not pairs:
            return
        if len(pairs) * _FEW > len(self._rows):
            self._sorted = sorted(self._rows.values(), key=place_of)
            return
        rows = self._sorted.copy()
        for before, after in pairs:
            if before is not None:
                at = bisect_left(rows, place_of(before), key=place_of)
                if after is not None and place_of(after) == place_of(before):
                    rows[at] = after
                    continue
                del rows[at]
            if after is not None:
                insort(rows, after, key=place_of)
        self._sorted = rows
