"""Runs for pages, which are made on a thread that must not wait for long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache

from pushrelay.errors import StoreUnavailable
from pushrelay.hurried_calls import HurriedCalls
from pushrelay.listed_runs import ListedRun, judge
from pushrelay.run_marks import RunMark
from pushrelay.runs import Run
from pushrelay.store.engine import Database
from pushrelay.store.run_list import RunFilter, find_run, find_runs, list_runs
from pushrelay.store.run_marks import find_marks, last_marks
from pushrelay.view.view import View

ANSWER_SECONDS = 2.0
"""How long a page waits for what it asks the database."""

PAGE_THREADS = 2
"""One for a page, and another one where that hangs: what is asked anew, on another
connection, may be answered before."""


class PageRuns:
    """The runs in `database`, and what `view` says of them.

    refresh: brings the view up to this moment on a thread that may wait, and returns
    whether it did: at once, if the database is known not to answer. clock: Unix
    nanoseconds.

    All methods may be called on any thread but that of the event loop. They raise
    StoreUnavailable, after `ANSWER_SECONDS` at the latest.
    """

    def __init__(
        self,
        view: View,
        database: Database,
        refresh: Callable[[], bool],
        clock: Callable[[], int],
    ) -> None:
        self._view = view
        self._database = database
        self._refresh = refresh
        self._clock = clock
        self._calls = HurriedCalls("page-lister", ANSWER_SECONDS, PAGE_THREADS)

    def stop(self) -> None:
        """Read no more."""
        self._calls.stop()

    def marks_of_keys(
        self, keys: Iterable[bytes], most: int
    ) -> dict[bytes, list[RunMark]]:
        """Return the last `most` runs to start of each key with one of these ids,
        oldest first; none of a key that is not known."""
        return self._calls.make(self._marks_of_keys, list(keys), most)

    def find(self, id_: bytes) -> ListedRun | None:
        """Return the run with this id, if its document is kept."""
        return self._calls.make(self._find, id_)

    def find_all(self, ids: Iterable[bytes]) -> dict[bytes, ListedRun]:
        """Return those of the runs with these ids whose documents are kept, by id."""
        return self._calls.make(self._find_all, list(ids))

    def listed(self, wanted: RunFilter) -> list[ListedRun]:
        """Return the runs that are `wanted`, whatever their state, the last to start
        first."""
        return self._calls.make(self._listed, wanted)

    def _marks_of_keys(
        self, ids: Sequence[bytes], most: int
    ) -> dict[bytes, list[RunMark]]:
        self._catch_up()
        evidences, now = self._view.board.evidences, self._clock()
        held = [each for each in map(evidences.get, ids) if each is not None]
        keys = [each.key for each in held if evidences.lives(each, now)]
        found = last_marks(self._database, keys, most)
        every = [mark for marks in found.values() for mark in marks]
        judged = {mark.id: mark for mark in self._judged(every)}
        return {id_: [judged[mark.id] for mark in found.get(id_, ())] for id_ in ids}

    def _find(self, id_: bytes) -> ListedRun | None:
        self._catch_up()
        run = find_run(self._database, id_)
        found = self._judged_runs([] if run is None else [run])
        return found[0] if found else None

    def _find_all(self, ids: Sequence[bytes]) -> dict[bytes, ListedRun]:
        self._catch_up()
        found = self._judged_runs(list(find_runs(self._database, ids).values()))
        return {each.run.id: each for each in found}

    def _listed(self, wanted: RunFilter) -> list[ListedRun]:
        self._catch_up()
        return self._judged_runs(list_runs(self._database, wanted))

    def _judged_runs(self, runs: list[Run]) -> list[ListedRun]:
        """Return `runs`, which were just read, with what is to be said of them."""
        if all(run.end is not None for run in runs):
            return [ListedRun(run) for run in runs]
        # Only now: the board must know of all starts that were read.
        self._catch_up()
        return judge(self._view.board, self._database, self._clock(), runs)

    def _catch_up(self) -> None:
        if not self._refresh():
            raise StoreUnavailable("the database does not answer; try again later")

    def _judged(self, marks: list[RunMark]) -> list[RunMark]:
        """Return `marks`, which were just read, with what is to be said of them."""
        if not self._silent(marks):
            return marks
        # As in `_judged_runs`.
        self._catch_up()
        silent = self._silent(marks)
        # The board may know of an end that came after they were read.
        again = find_marks(self._database, silent)
        latest = [again.get(mark.id, mark) for mark in marks]
        return [
            replace(mark, is_abandoned=mark.finished_at is None and mark.id in silent)
            for mark in latest
        ]

    def _silent(self, marks: list[RunMark]) -> set[bytes]:
        """Return the ids of those without an end that are not running."""
        board, now = self._view.board, self._clock()

        @cache
        def running(key: bytes) -> set[bytes]:
            evidence = board.evidences.get(key)
            known = [] if evidence is None else board.running(evidence.key, now)
            return {one.id for one in known}

        return {
            mark.id
            for mark in marks
            if mark.finished_at is None and mark.id not in running(mark.key)
        }
