"""What is done now and then: mostly to remove what nobody sees any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from pushrelay.errors import StoreUnavailable
from pushrelay.store.engine import Database
from pushrelay.store.run_pruning import prune_in_portions

log = logging.getLogger(__name__)

JANITOR_SECONDS = 5.0
"""How often it is looked for."""

PRUNE_SECONDS = 60.0
"""How often runs are pruned at most. Of each job with new reports, so many rows are
read as it may keep."""


Chores = Mapping[str, Callable[[], Awaitable[None]]]
"""What is to be done, each named for what it is about."""


async def keep_tidy(urgent: Chores, others: Chores) -> None:
    """Do all chores again and again, for ever, whatever they raise; the `urgent` ones
    at once, too."""
    await _do(urgent)
    while True:
        await asyncio.sleep(JANITOR_SECONDS)
        await _do({**urgent, **others})


async def _do(chores: Chores) -> None:
    for name, do in chores.items():
        try:
            await do()
        except StoreUnavailable as error:
            log.info("%s: this is done later: %s", name, error)
        except Exception:
            log.exception("%s: this could not be done", name)


class RunJanitor:
    """Lets the documents of old runs go, and forgets runs in the end.

    keep: how many documents a job has. max_age: of a document, nanoseconds. clock: Unix
    nanoseconds.
    """

    def __init__(
        self, database: Database, keep: int, max_age: int, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._keep = keep
        self._max_age = max_age
        self._clock = clock
        self._done_through = 0
        self._begun_at: int | None = None

    async def prune(self, revision: int) -> None:
        """Prune what there is at `revision` at least, if the last time was long enough
        ago, whether or not it failed. Raises StoreUnavailable."""
        if not self._is_due(now := self._clock()):
            return
        self._begun_at = now
        # A restored backup may be before what was done.
        since = self._done_through if self._done_through <= revision else 0
        portions = prune_in_portions(
            self._database, self._keep, self._max_age, now, since
        )
        # One at a time, for a relay that stops waits for what other threads do.
        while await asyncio.to_thread(next, portions, None) is not None:
            pass
        self._done_through = revision

    def _is_due(self, now: int) -> bool:
        begun_at = self._begun_at
        # A clock that was put back must not hold it up.
        return begun_at is None or not 0 <= now - begun_at < PRUNE_SECONDS * 10**9
