"""Changes of a group that take long: made beside the writer, so that no push waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pushrelay.accumulation import push_onto
from pushrelay.aggregation import without_series
from pushrelay.contents import Contents
from pushrelay.errors import InconsistentPush, StoreUnavailable, TooLargeToMerge
from pushrelay.freshness import IsTimestamp
from pushrelay.grouping_key import GroupingKey
from pushrelay.matchers import Selector
from pushrelay.writes import DeleteSeries, Merged, Push, ReportRun

TRIES = 5
"""How often a change is made of a group that others change meanwhile."""

Change = Push | DeleteSeries | ReportRun


class Beside:
    """Makes one change after the other, and has it written if its group is still what
    it was made of.

    contents_of: returns what a group has, with all that was committed by now.
    """

    def __init__(
        self,
        contents_of: Callable[[GroupingKey], Awaitable[Contents]],
        write: Callable[[Change], Awaitable[Any]],
    ) -> None:
        self._contents_of = contents_of
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="beside")
        # Two that change one group would only undo each other.
        self._turn = asyncio.Lock()

    async def merge(
        self,
        push: Push,
        is_timestamp: IsTimestamp,
        change_with: Callable[[Push], Change] = lambda push: push,
    ) -> Any:
        """Return the answer to the change that `push` is, or is part of. Raises
        StoreUnavailable if its group changes again and again."""

        def merged_into(held: Contents) -> Change:
            after: Contents | InconsistentPush
            try:
                after = push_onto(held, push.mode, push.payload, is_timestamp, push.key)
            except InconsistentPush as refusal:
                after = refusal
            return change_with(replace(push, merged=Merged(held, after)))

        return await self._change(push.key, merged_into)

    async def delete_series(
        self, key: GroupingKey, selectors: Sequence[Selector]
    ) -> None:
        """Delete the series of the group `key` that any of `selectors` (of series)
        matches. Raises StoreUnavailable if the group changes again and again."""

        def left_of(held: Contents) -> DeleteSeries | None:
            left = without_series(held, selectors)
            is_all = left.payload.layout.size == held.payload.layout.size
            return None if is_all else DeleteSeries(key, held, left)

        await self._change(key, left_of)

    async def _change(
        self, key: GroupingKey, make: Callable[[Contents], Change | None]
    ) -> Any:
        """Return the answer to the change of the group `key` that `make` gives for what
        it has; None if that is no change.

        Raises what the change is answered with, and StoreUnavailable if others change
        the group again and again.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            for _ in range(TRIES):
                held = await self._contents_of(key)
                change = await loop.run_in_executor(self._thread, make, held)
                if change is None:
                    return None
                try:
                    answer = await self._write(change)
                except TooLargeToMerge:
                    continue
                if answer or not isinstance(change, DeleteSeries):
                    return answer
        raise StoreUnavailable(f"the group {key} is pushed to all the time")
