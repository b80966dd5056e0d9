"""The use cases of runs: report one, say what is expected, look at all jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from pushrelay.beside import Beside
from pushrelay.errors import TooLargeToMerge
from pushrelay.expectations import JobExpectation
from pushrelay.janitor import RunJanitor
from pushrelay.listed_runs import ListedRun, ListedRuns
from pushrelay.page_runs import PageRuns
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_marks import RunMark
from pushrelay.run_states import JobState, unknown_job
from pushrelay.store.engine import Database
from pushrelay.store.run_list import RunFilter, find_run
from pushrelay.view.view import View
from pushrelay.writes import (
    ChangeExpectation,
    FollowRules,
    Reported,
    ReportRun,
    Write,
)

LIST_THREADS = 4
"""So many lists of runs are read from the database at once."""


class RunCases:
    """What may be done with runs and expectations.

    write: has a write done. beside: makes merges that take long. catch_up: brings the
    view up to this moment, or raises StoreUnavailable. refresh_blocking: does so on a
    thread that may wait; whether it did. janitor: removes old runs. clock: Unix
    nanoseconds.
    """

    def __init__(
        self,
        view: View,
        database: Database,
        write: Callable[[Write], Awaitable[Any]],
        beside: Beside,
        catch_up: Callable[[], Awaitable[None]],
        refresh_blocking: Callable[[], bool],
        janitor: RunJanitor,
        clock: Callable[[], int],
    ) -> None:
        self._view = view
        self._database = database
        self._write = write
        self._beside = beside
        self._catch_up = catch_up
        self._janitor = janitor
        self._clock = clock
        self._of_pages = PageRuns(view, database, refresh_blocking, clock)
        self._threads = ThreadPoolExecutor(LIST_THREADS, thread_name_prefix="lister")
        # Of job rules: how many were read, and up to which the store has what they say.
        self._rules_read, self._rules_noted = 1, 0

    def stop(self) -> None:
        """Read no more lists."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._of_pages.stop()

    async def report(self, report: ReportRun) -> Reported:
        """Store what is said of a run; on return it is on disk.

        Raises RunConflict or StoreUnavailable. Metrics of the run that are refused are
        booked as a failure of their group, and named in the answer.
        """
        reported: Reported
        try:
            reported = await self._write(report)
        except TooLargeToMerge:
            reported = await self._merge_beside(report)
        return reported

    async def _merge_beside(self, report: ReportRun) -> Any:
        if report.push is None:
            raise ValueError("a report without metrics has nothing to merge")
        is_timestamp = self._view.standings.policies.is_timestamp
        return await self._beside.merge(
            report.push, is_timestamp, lambda push: replace(report, push=push)
        )

    async def expect(self, change: ChangeExpectation) -> JobExpectation:
        """Change what is expected of a job. Raises UnknownJob or StoreUnavailable."""
        expected: JobExpectation = await self._write(change)
        return expected

    async def note_rules(self) -> None:
        """Store what the job rules expect, unless that is done. Raises
        StoreUnavailable."""
        read = self._rules_read
        if self._rules_noted < read:
            await self._write(FollowRules())
            self._rules_noted = read

    async def follow_rules(self) -> None:
        """Store what the job rules expect, which are new. Raises StoreUnavailable; then
        it is done later."""
        self._rules_read += 1
        await self.note_rules()

    async def prune(self) -> None:
        """Let go of old runs, and of those that are too many. Raises
        StoreUnavailable."""
        if (position := self._view.position) is not None:
            await self._janitor.prune(position.revision)

    async def states(self) -> list[JobState]:
        """Return what all jobs are like that have runs or should have, by name. Raises
        StoreUnavailable."""
        await self._catch_up()
        return await asyncio.to_thread(self._states)

    async def state(self, job: str, *, must_be_known: bool = True) -> JobState:
        """Return what `job` is like. Raises UnknownJob and StoreUnavailable."""
        await self._catch_up()
        return await asyncio.to_thread(self._state, job, must_be_known)

    def known_now(self, job: str) -> tuple[list[RunEvidence], JobExpectation]:
        """Return the evidence of `job` and what is expected of it as far as is known
        here, also if nothing is; on a thread that may wait.

        What it is like is said by the rows of the board: for thousands of instances it
        takes a second to find out.
        """
        return self._view.board.runs_of(job, self._clock())

    async def listed(self, wanted: RunFilter) -> list[ListedRun]:
        """Return the runs that are `wanted`, the last to start first. Raises
        StoreUnavailable."""
        # A database that is known not to answer keeps nobody waiting.
        await self._catch_up()
        return await self._listed_runs().page(wanted)

    async def find(self, id_: bytes) -> ListedRun | None:
        """Return the run with this id, if its document is kept. Raises
        StoreUnavailable."""
        await self._catch_up()
        run = await self._on_thread(find_run, self._database, id_)
        found = await self._listed_runs().judged([] if run is None else [run])
        return found[0] if found else None

    def marks_of_keys(
        self, keys: Iterable[bytes], most: int
    ) -> dict[bytes, list[RunMark]]:
        """Do `PageRuns.marks_of_keys`; for a page."""
        return self._of_pages.marks_of_keys(keys, most)

    def find_blocking(self, id_: bytes) -> ListedRun | None:
        """Do what `find` does, for a page: as `PageRuns.find`."""
        return self._of_pages.find(id_)

    def find_all_blocking(self, ids: Iterable[bytes]) -> dict[bytes, ListedRun]:
        """Return the runs with these ids, by id, for a page: as `PageRuns.find_all`."""
        return self._of_pages.find_all(ids)

    def listed_blocking(self, wanted: RunFilter) -> list[ListedRun]:
        """Return the runs that are `wanted`, for a page: as `PageRuns.listed`."""
        return self._of_pages.listed(wanted)

    def _listed_runs(self) -> ListedRuns:
        return ListedRuns(
            self._view.board,
            self._database,
            self._catch_up,
            self._clock,
            self._on_thread,
        )

    async def _on_thread(self, do: Callable[..., Any], *arguments: Any) -> Any:
        """Call what waits for the database: on threads of their own, for each takes a
        connection, and if they hang, others must not wait for them."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(do, *arguments))

    def _state(self, job: str, must_be_known: bool) -> JobState:
        board, now = self._view.board, self._clock()
        if must_be_known and not board.is_known(job, now):
            raise unknown_job(job)
        return board.state(job, now)

    def _states(self) -> list[JobState]:
        board, now = self._view.board, self._clock()
        return [board.state(job, now) for job in board.jobs(now)]
