"""The use cases: push, delete, retire, expose. What web and the command line call."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from pushrelay.deciding import ViewDecider
from pushrelay.errors import StoreUnavailable
from pushrelay.exposition.negotiation import ScrapeFormat, negotiate
from pushrelay.group_list import groups_of_job
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.store.engine import Database
from pushrelay.store.reader import read_snapshot
from pushrelay.store.shared_call import SharedCall
from pushrelay.store.writer import Writer
from pushrelay.telemetry import Gauges, Telemetry
from pushrelay.view.exposition import Exposition
from pushrelay.view.jobs import job_of
from pushrelay.view.snapshot import Snapshot
from pushrelay.view.view import View
from pushrelay.writes import Delete, Import, Look, Push, PushAll, Write, deletions_of

log = logging.getLogger(__name__)

CLOCK_DEADLINE_SECONDS = 1.0
WRITE_DEADLINE_SECONDS = 15.0
READY_SECONDS = 10.0
"""A commit not longer ago than this shows that the database takes writes."""

JANITOR_SECONDS = 5.0
"""How often the rows of forgotten groups are removed."""


class Relay:
    """A store, the view of it, and what may be done with them.

    All coroutines must run on the event loop on which `start` was called.
    """

    def __init__(
        self,
        database: Database,
        telemetry: Telemetry,
        policies: Policies | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.telemetry = telemetry
        self._clock = clock
        self._database = database
        self._view = View(policies)
        self._decider = ViewDecider(self._view, clock)
        self._writer = Writer(
            database, self._decider, self._deliver, telemetry.commit, clock
        )
        self._refresher = SharedCall(self._refresh, "refresher")
        self._prober = SharedCall(self._writer.probe, "prober")
        self._is_readable = self._is_writable = True

    def start(self) -> None:
        """Load the view, then take writes. Raises StoreUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._load()
        self._writer.start()
        self._janitor = self._loop.create_task(self._remove_forgotten())

    def stop(self) -> None:
        """Commit what was accepted, then close the database; on another thread."""
        self._loop.call_soon_threadsafe(self._janitor.cancel)
        self._writer.stop()
        self._refresher.stop()
        self._prober.stop()
        self._database.close()

    async def push(self, push: Push | PushAll) -> bool:
        """Store `push`; on return it is on disk. Return whether it had been before.

        Raises InconsistentPush (its group now has a failure time), InvalidGroupingKey
        and IdempotencyConflict (nothing changed) or StoreUnavailable (the outcome may
        be unknown).
        """
        return bool(await self._write(push))

    async def import_groups(self, groups: Import) -> list[str | None]:
        """Take over groups that are not older than what is here; return for each why it
        was not, or None. Raises StoreUnavailable."""
        answers: list[str | None] = await self._write(groups)
        return answers

    async def delete(self, key: GroupingKey) -> None:
        """Delete the group `key` if there is one. Raises StoreUnavailable."""
        await self._write(Delete((key,)))

    async def delete_groups(
        self,
        groups: Sequence[Group],
        wanted: Callable[[Group], bool] = lambda _: True,
        ended_jobs: frozenset[str] = frozenset(),
    ) -> list[GroupingKey]:
        """Delete those of `groups` that are wanted when they have their turn, whoever
        pushed to them since; return their keys.

        Other arguments as for `Delete`. Pushes get their turn in between. Raises
        StoreUnavailable; some groups may be deleted then.
        """
        deleted: list[GroupingKey] = []
        for write in deletions_of(groups, wanted, ended_jobs):
            try:
                deleted += await self._write(write)
            except StoreUnavailable as error:
                raise StoreUnavailable(
                    f"{len(deleted)} of {len(groups)} groups are deleted; then: {error}"
                ) from error
        return deleted

    async def retire(self, job: str, *, dry_run: bool = False) -> list[GroupingKey]:
        """Forget `job`: its groups and what else is known of it; return their keys.

        dry_run: whether nothing may change. Raises StoreUnavailable.
        """
        await self.require_refresh()
        groups, forgotten = await asyncio.to_thread(self._groups_of, job)
        if dry_run:
            return [group.key for group in groups]
        all_groups = [*forgotten, *groups]
        deleted = await self.delete_groups(all_groups, ended_jobs=frozenset([job]))
        self.telemetry.forgotten(len(deleted))
        hidden = {group.key for group in forgotten}
        return [key for key in deleted if key not in hidden]

    async def wipe(self) -> None:
        """Delete all groups, and what is known of jobs. Raises StoreUnavailable."""
        groups: list[Group] = await self._write(Look())
        jobs = frozenset(job.key.labels[0][1] for job in self._view.jobs.all())
        await self.delete_groups(groups, ended_jobs=jobs)

    async def follow(self, policies: Policies) -> None:
        """From now on, let groups go stale and be forgotten by `policies`."""
        await asyncio.to_thread(self._decider.follow, policies)

    async def exposition(self, format_: ScrapeFormat) -> Exposition:
        """Return the exposition in `format_`, with all that was committed by now.

        If the database does not answer in time, with what was known last.
        """
        await self.refresh()
        if self._decider.is_due():
            await asyncio.to_thread(self._decider.advance)
        if not self._is_writable:
            # Found out beside the scrape; the next one knows.
            self._prober.request().add_done_callback(self._probed)
        return self._expose(self._view.snapshot(), format_)

    def require_alive(self) -> None:
        """Raise whatever stands in the way of serving what is known."""
        sample = self._view.snapshot().sample()
        for _ in self._expose(sample, negotiate(None)).chunks():
            pass

    def _expose(self, snapshot: Snapshot, format_: ScrapeFormat) -> Exposition:
        gauges = Gauges(
            groups=snapshot.groups,
            series=snapshot.series,
            revision=snapshot.position.revision,
            store_up=self._is_readable and self._is_writable,
        )
        own = self.telemetry.families(gauges, time.monotonic())
        return Exposition(snapshot, own, format_)

    async def refresh(self) -> bool:
        """Bring the view up to date; return whether the database answered in time."""
        waiting = self._begin_refresh()
        if waiting is None:
            return False
        done = await _wait(_quiet(waiting), CLOCK_DEADLINE_SECONDS)
        return self._end_refresh(done, waiting)

    async def require_refresh(self) -> None:
        """Bring the view up to date. Raises StoreUnavailable."""
        if not await self.refresh():
            raise StoreUnavailable("the database does not answer; try again later")

    def refresh_blocking(self) -> bool:
        """Do what `refresh` does, on a thread that may wait."""
        waiting = self._begin_refresh()
        if waiting is None:
            return False
        try:
            waiting.exception(CLOCK_DEADLINE_SECONDS)
        except TimeoutError:
            return self._end_refresh(False, waiting)
        return self._end_refresh(True, waiting)

    def groups(self) -> list[Group]:
        """Return all groups of the last refresh, sorted by grouping key; on a thread
        that may wait."""
        if self._decider.is_due():
            self._decider.advance()
        return self._view.sorted_groups()

    async def require_ready(self) -> None:
        """Raise StoreUnavailable unless the database takes writes."""
        if not self._writer.is_running:
            raise StoreUnavailable("the thread that writes has ended; see the log")
        if time.monotonic() - self._writer.committed_at < READY_SECONDS:
            return
        probe = _quiet(self._prober.request())
        if not await _wait(probe, CLOCK_DEADLINE_SECONDS):
            self._is_writable = False
            raise StoreUnavailable("the database did not give the write lock in time")
        self._probed(probe)
        probe.result()

    def _probed(self, probe: asyncio.Future[None] | Future[None]) -> None:
        self._is_writable = not probe.cancelled() and probe.exception() is None

    # --- reading ---

    def _load(self) -> None:
        # None of the many objects of a loaded view is garbage; looking for it again
        # and again doubles the time, and would later delay pushes.
        gc.disable()
        try:
            self._refresh()
            gc.freeze()
        finally:
            gc.enable()

    def _refresh(self) -> None:
        self._decider.catch_up(lambda since: read_snapshot(self._database, since))

    def _begin_refresh(self) -> Future[None] | None:
        """Return the reading to wait for; None while an earlier one hangs."""
        if self._refresher.stalled(CLOCK_DEADLINE_SECONDS):
            self._is_readable = False
            return None
        return self._refresher.request()

    def _end_refresh(self, done: bool, reading: Future[None]) -> bool:
        error = reading.exception() if done else None
        if error is not None and not isinstance(error, StoreUnavailable):
            log.error("reading the store failed", exc_info=error)
        was_readable, self._is_readable = self._is_readable, done and error is None
        if was_readable and not self._is_readable:
            log.error("scrapes show the last known state: %s", error or "no answer")
        elif self._is_readable and not was_readable:
            log.info("the database answers again")
            self._is_writable = True
        return self._is_readable

    def _groups_of(self, job: str) -> tuple[Sequence[Group], list[Group]]:
        """Return the groups of `job`, and those that are forgotten and still stored."""
        groups = groups_of_job(self.groups(), job)
        forgotten = self._view.forgotten_groups()
        return groups, [group for group in forgotten if job_of(group) == job]

    # --- writing ---

    async def _remove_forgotten(self) -> None:
        """Remove the rows of forgotten groups, for ever. That they are gone does not
        depend on it."""
        while True:
            await asyncio.sleep(JANITOR_SECONDS)
            try:
                if self._decider.is_due():
                    await asyncio.to_thread(self._decider.advance)
                forgotten = self._view.forgotten_groups()
                removed = await self.delete_groups(
                    forgotten, lambda group: group.is_forgotten
                )
                self.telemetry.forgotten(len(removed))
            except StoreUnavailable as error:
                log.info("forgotten groups are removed later: %s", error)
            except Exception:
                log.exception("forgotten groups could not be removed")

    async def _write(self, write: Write) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._writer.submit(answer, write)
        deadline = self._loop.call_later(WRITE_DEADLINE_SECONDS, _give_up, answer)
        try:
            return await answer
        finally:
            deadline.cancel()
            # Without an answer, for the client has left, nothing is known.
            if answer.done() and not answer.cancelled():
                error = answer.exception()
                self._is_writable = not isinstance(error, StoreUnavailable)

    def _deliver(self, answers: list[tuple[Any, Any]]) -> None:
        # One call for the whole batch: each wakes the event loop.
        self._loop.call_soon_threadsafe(_resolve, answers)


def _quiet(call: Future[None]) -> asyncio.Future[None]:
    """Return a future of `call` that does not complain if nobody waits for its end."""
    future = asyncio.wrap_future(call)
    future.add_done_callback(_retrieve)
    return future


def _retrieve(done: asyncio.Future[None]) -> None:
    """Look at the exception, which asyncio would otherwise log as never retrieved."""
    if not done.cancelled():
        done.exception()


async def _wait(future: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for `future`, which goes on if it is late; return whether it is done."""
    if not future.done():
        await asyncio.wait([future], timeout=seconds)
    return future.done()


def _give_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(
            StoreUnavailable("the database did not confirm the write in time")
        )


def _resolve(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
