"""The use cases: push, delete, retire, expose. What web and the command line call."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pushrelay.beside import Beside
from pushrelay.config import Limits, Settings
from pushrelay.contents import Contents, contents_of
from pushrelay.deciding import ViewDecider
from pushrelay.endings import Endings
from pushrelay.errors import (
    LimitExceeded,
    StoreUnavailable,
    TooLargeToMerge,
)
from pushrelay.exposition.negotiation import ScrapeFormat, negotiate
from pushrelay.figures import Figures, StoreFacts
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.janitor import RunJanitor, keep_tidy
from pushrelay.matchers import Selector
from pushrelay.overview import Overview
from pushrelay.policies import Policies
from pushrelay.recent_rejections import RecentRejections
from pushrelay.run_cases import RunCases
from pushrelay.store.database_size import DatabaseSize
from pushrelay.store.engine import Database
from pushrelay.store.reader import read_snapshot
from pushrelay.store.shared_call import quiet
from pushrelay.store.writer import Writer
from pushrelay.store_health import StoreHealth
from pushrelay.telemetry import Telemetry
from pushrelay.token_book import TokenBook
from pushrelay.token_sources import TokenFile
from pushrelay.view.exposition import Exposition
from pushrelay.view.snapshot import Snapshot
from pushrelay.view.view import View
from pushrelay.writes import (
    Delete,
    Import,
    Push,
    PushAll,
    Write,
    size_of,
)


class Relay:
    """A store, the view of it, and what may be done with them.

    now: what time it is, Unix nanoseconds, as all relays of the database tell it.
    shows_own: whether the exposition has what is the relay's own, too. token_file: path
    of tokens beside those of the database; empty for none.

    All coroutines must run on the event loop on which `start` was called.
    """

    def __init__(
        self,
        database: Database,
        telemetry: Telemetry,
        policies: Policies | None = None,
        clock: Callable[[], int] | None = None,
        limits: Limits | None = None,
        runs_keep: int = Settings().runs_keep,
        runs_max_age: int = Settings().runs_max_age,
        *,
        shows_own: bool = True,
        token_file: str = "",
    ) -> None:
        self.telemetry = telemetry
        self.rejections = RecentRejections()
        self._shows_own = shows_own
        self._limits = limits or Limits()
        self.now = clock = clock or database.now
        self._database = database
        self._view = View(policies)
        size = self._size = DatabaseSize(database)
        self._decider = ViewDecider(self._view, clock, limits, lambda: size.bytes)
        self._writer = Writer(
            database,
            self._decider,
            self._deliver,
            # Whoever scrapes at that moment waits for the same.
            lambda: self._health.read(),
            telemetry.commit,
            clock,
            limits,
        )
        self._health = StoreHealth(self._refresh, self._writer, database.is_silent)
        self._figures = Figures(
            self._view, database, size, self._health, telemetry, self._limits
        )
        self._beside = Beside(self._contents_of, self._write)
        self.endings = Endings(
            self._view, self._write, self._advance, self._catch_up, telemetry
        )
        kept = RunJanitor(database, runs_keep, runs_max_age, clock)
        file = TokenFile(Path(token_file), telemetry) if token_file else None
        self.overview = Overview(self._view, clock)
        self.tokens = TokenBook(database, clock, self._limits.write_seconds, file)
        self.runs = RunCases(
            self._view,
            database,
            self._write,
            self._beside,
            self._catch_up,
            self.refresh_blocking,
            kept,
            clock,
        )

    @property
    def policies(self) -> Policies:
        """What groups go stale and are forgotten by."""
        return self._view.standings.policies

    def start(self) -> None:
        """Load the view, then take writes. Raises StoreUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._load()
        self.tokens.load()
        self._writer.start()
        self._size.measure()
        rules = {"what job rules expect": self.runs.note_rules}
        chores = {
            "what is forgotten": self.endings.remove_forgotten,
            "what job rules expect": self.runs.note_rules,
            "old runs": self.runs.prune,
            "how large the database is": lambda: quiet(self._size.measure()),
        }
        self._janitor = self._loop.create_task(keep_tidy(rules, chores))

    def stop(self) -> None:
        """Commit what was accepted, then close the database; on another thread."""
        self._loop.call_soon_threadsafe(self._janitor.cancel)
        self._writer.stop()
        self._health.stop()
        self._size.stop()
        self.tokens.stop()
        self.runs.stop()
        self._database.close()

    async def push(self, push: Push | PushAll) -> bool:
        """Store `push`; on return it is on disk. Return whether it had been before.

        Raises InconsistentPush (its group now has a failure time), InvalidGroupingKey
        IdempotencyConflict and LimitExceeded (nothing changed) or StoreUnavailable (the
        outcome may be unknown).
        """
        try:
            return bool(await self._write(push))
        except TooLargeToMerge as error:
            if isinstance(push, Push):
                is_timestamp = self.policies.is_timestamp
                return bool(await self._beside.merge(push, is_timestamp))
            raise LimitExceeded("merged_series", str(error)) from error

    async def import_groups(self, groups: Import) -> list[str | None]:
        """Take over groups that are not older than what is here; return for each why it
        was not, or None. Raises StoreUnavailable."""
        answers: list[str | None] = await self._write(groups)
        return answers

    async def delete(self, key: GroupingKey) -> None:
        """Delete the group `key` if there is one. Raises StoreUnavailable."""
        await self._write(Delete((key,)))

    async def delete_series(
        self, key: GroupingKey, selectors: Sequence[Selector]
    ) -> None:
        """Delete the series of the group `key` that any of `selectors` (of series)
        matches. Raises StoreUnavailable, also if the group changes again and again."""
        await self._beside.delete_series(key, selectors)

    async def follow(self, policies: Policies) -> None:
        """From now on, let groups go stale and be forgotten by `policies`."""
        await asyncio.to_thread(self._decider.follow, policies)
        await self.runs.follow_rules()

    async def exposition(self, format_: ScrapeFormat) -> Exposition:
        """Return the exposition in `format_`, with all that was committed by now.

        If the database does not answer in time, with what was known last.
        """
        snapshot, is_newest = await self._newest_snapshot()
        own = (
            self._figures.families(snapshot, is_newest=is_newest)
            if self._shows_own
            else ()
        )
        return Exposition(snapshot, own, format_)

    async def own_exposition(self, format_: ScrapeFormat) -> Exposition:
        """Return that of what is the relay's own, and of nothing else."""
        snapshot, is_newest = await self._newest_snapshot()
        own = self._figures.families(snapshot, is_newest=is_newest)
        return Exposition(snapshot.emptied(), own, format_)

    def facts(self) -> StoreFacts:
        """Return what is known of the store since the last refresh. May be called on
        any thread."""
        return self._figures.facts()

    def require_alive(self) -> None:
        """Raise whatever stands in the way of serving what is known."""
        sample = self._view.snapshot().sample()
        own = self._figures.families(sample, is_newest=False)
        for _ in Exposition(sample, own, negotiate(None)).chunks():
            pass

    async def _newest_snapshot(self) -> tuple[Snapshot, bool]:
        """Return what is known, and whether that is all that was committed by now."""
        is_newest = await self.refresh()
        await self._advance()
        self._health.look_for_recovery()
        return self._view.snapshot(), is_newest

    async def refresh(self) -> bool:
        """Bring the view up to date; return whether the database answered in time."""
        is_new = await self._health.refresh()
        if not is_new and self._writer.has_news:
            # What was answered is seen, all the same.
            await asyncio.to_thread(self._writer.take_over)
        return is_new

    async def require_refresh(self) -> None:
        """Bring the view up to date. Raises StoreUnavailable."""
        if not await self.refresh():
            raise StoreUnavailable("the database does not answer; try again later")

    def refresh_blocking(self) -> bool:
        """Do what `refresh` does, on a thread that may wait."""
        is_new = self._health.refresh_blocking()
        if not is_new:
            self._writer.take_over()
        return is_new

    def groups(self) -> list[Group]:
        """Return all groups of the last refresh, sorted by grouping key; on a thread
        that may wait."""
        if self._decider.is_due():
            self._decider.advance()
        return self._view.sorted_groups()

    async def require_ready(self) -> None:
        """Raise StoreUnavailable unless the database takes writes."""
        await self._health.require_ready()

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

    async def _advance(self) -> None:
        """Let go stale, and let be forgotten, what is due."""
        if self._decider.is_due():
            await asyncio.to_thread(self._decider.advance)

    async def _catch_up(self) -> None:
        await self.require_refresh()
        await self._advance()

    async def _contents_of(self, key: GroupingKey) -> Contents:
        await self.require_refresh()
        group = self._view.groups.get(key.id)
        return contents_of(group)

    # --- writing ---

    async def _write(self, write: Write) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._writer.submit(answer, write, size_of(write))
        patience = self._limits.write_seconds
        deadline = self._loop.call_later(patience, self._give_up, answer)
        try:
            return await answer
        finally:
            deadline.cancel()
            # Without an answer, for the client has left, nothing is known.
            if answer.done() and not answer.cancelled():
                self._health.note_write(answer.exception())

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            self.telemetry.limit_exceeded("write_seconds")
            answer.set_exception(
                StoreUnavailable("the database did not confirm the write in time")
            )

    def _deliver(self, answers: list[tuple[Any, Any]]) -> None:
        # One call for the whole batch: each wakes the event loop.
        self._loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
