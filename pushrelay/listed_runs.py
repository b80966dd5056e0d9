"""Runs for people: which of those without an end are running, and which abandoned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pushrelay.grouping_key import GroupingKey
from pushrelay.runs import Run
from pushrelay.store.engine import Database
from pushrelay.store.run_list import (
    ABANDONED,
    RUNNING,
    RunFilter,
    find_runs,
    list_runs,
)
from pushrelay.view.board import Board

OnThread = Callable[..., Awaitable[Any]]
"""Calls a function with arguments where it may wait; gives what comes of it."""

AT_ONCE = 250
"""So many runs without an end are read at once to find those that are abandoned."""


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as it is listed.

    is_abandoned: whether it has no end and nobody waits for one: it was replaced by a
    later run, it has taken longer than it may, or its job is forgotten.
    """

    run: Run
    is_abandoned: bool = False


class ListedRuns:
    """The runs in `database`, and what `board` says of those without an end.

    catch_up: brings the board up to this moment, or raises StoreUnavailable. on_thread:
    calls what waits for the database. All coroutines raise StoreUnavailable.
    """

    def __init__(
        self,
        board: Board,
        database: Database,
        catch_up: Callable[[], Awaitable[None]],
        clock: Callable[[], int],
        on_thread: OnThread,
    ) -> None:
        self._board = board
        self._database = database
        self._catch_up = catch_up
        self._clock = clock
        self._on_thread = on_thread

    async def page(self, wanted: RunFilter) -> list[ListedRun]:
        """Return the runs that are `wanted`, the last to start first. There are fewer
        than its limit only if there are no others."""
        if wanted.state == RUNNING:
            await self._catch_up()
            running: list[ListedRun] = await self._on_thread(self._running, wanted)
            return running
        if wanted.state == ABANDONED:
            return await self._abandoned(wanted)
        return await self.judged(
            await self._on_thread(list_runs, self._database, wanted)
        )

    async def judged(self, runs: list[Run]) -> list[ListedRun]:
        """Return `runs`, which were just read, with what is to be said of them."""
        if all(run.end is not None for run in runs):
            return [ListedRun(run) for run in runs]
        # Only now: the board must know of all starts that were read.
        await self._catch_up()
        judged: list[ListedRun] = await self._on_thread(
            judge, self._board, self._database, self._clock(), runs
        )
        return judged

    async def _abandoned(self, wanted: RunFilter) -> list[ListedRun]:
        found: list[ListedRun] = []
        portion = replace(wanted, limit=AT_ONCE)
        while len(found) < wanted.limit:
            runs = await self._on_thread(list_runs, self._database, portion)
            found += [each for each in await self.judged(runs) if each.is_abandoned]
            if len(runs) < AT_ONCE:
                break
            last = runs[-1]
            portion = replace(portion, after=(last.started_at, last.id))
        return found[: wanted.limit]

    def _running(self, wanted: RunFilter) -> list[ListedRun]:
        """Return what is wanted of the runs that are running. They are not looked for
        among those without an end, most of which may be abandoned."""
        found: list[ListedRun] = []
        ids = [id_ for _, id_ in self._running_places(wanted)]
        while ids and (missing := wanted.limit - len(found)) > 0:
            runs = find_runs(self._database, ids[:missing])
            # The document of one may be let go already, and another may have ended.
            found += [ListedRun(run) for run in runs.values() if run.end is None]
            ids = ids[missing:]
        return found

    def _running_places(self, wanted: RunFilter) -> list[tuple[int, bytes]]:
        """Return starts and ids of the runs that are wanted, the last one first."""
        now, evidences = self._clock(), self._board.evidences
        jobs = evidences.jobs() if wanted.job is None else [wanted.job]
        keys = [each.key for job in jobs for each in evidences.of_job(job)]
        places = [
            (run.started_at, run.id)
            for key in keys
            for run in self._board.running(key, now)
        ]
        return sorted(filter(wanted.is_place, places), reverse=True)


def judge(
    board: Board, database: Database, now: int, runs: list[Run]
) -> list[ListedRun]:
    """Return `runs` with what `board`, which must know of all their starts, says of
    them at `now`; on a thread that may wait. Raises StoreUnavailable."""

    @cache
    def running(key: GroupingKey) -> set[bytes]:
        return {one.id for one in board.running(key, now)}

    silent = {
        run.id for run in runs if run.end is None and run.id not in running(run.key)
    }
    # The board may know of an end that came after they were read.
    again = find_runs(database, silent)
    latest = [again.get(run.id, run) for run in runs]
    return [
        ListedRun(run, is_abandoned=run.end is None and run.id in silent)
        for run in latest
    ]
