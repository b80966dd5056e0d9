"""Expositions that many ask for at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pushrelay.exposition.negotiation import ScrapeFormat
from pushrelay.view.exposition import Exposition

Expose = Callable[[ScrapeFormat], Awaitable[Exposition]]


class SharedExpositions:
    """Has `expose` make one exposition for all who wait for the same format, one after
    the other.

    Each costs the event loop a millisecond or two, and a push would have to wait for
    that of all who ask. Whoever asks while one is under way, which may miss the latest
    commit, gets the next.
    """

    def __init__(self, expose: Expose) -> None:
        self._expose = expose
        self._next: dict[ScrapeFormat, asyncio.Task[Exposition]] = {}
        self._under_way: dict[ScrapeFormat, asyncio.Task[Exposition]] = {}

    async def get(self, format_: ScrapeFormat) -> Exposition:
        """Return one that begins after this call. Raises what `expose` raises."""
        task = self._next.get(format_)
        if task is None:
            task = asyncio.create_task(self._make(format_))
            task.add_done_callback(self._ended)
            self._next[format_] = task
        # Who leaves early must not end it for the others.
        return await asyncio.shield(task)

    async def _make(self, format_: ScrapeFormat) -> Exposition:
        before = self._under_way.get(format_)
        if before is not None:
            await asyncio.wait([before])
        self._under_way[format_] = self._next.pop(format_)
        try:
            return await self._expose(format_)
        finally:
            del self._under_way[format_]

    def _ended(self, task: asyncio.Task[Exposition]) -> None:
        # asyncio would complain of an error that nobody has waited for.
        if not task.cancelled():
            task.exception()
