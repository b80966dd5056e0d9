"""Notes in the database when tokens were used last: now and then, beside all else."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor

from pushrelay.errors import StoreUnavailable
from pushrelay.store.engine import Database
from pushrelay.store.token_rows import note_used

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"""How often it is written at most."""

_LAST_SECONDS = 1.0
"""How long a relay that ends waits for the last ones."""


class TokenUses:
    """Writes to `database` when tokens were used, or leaves it if that fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._written_at = -float("inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="token-uses")
        self._writing: Future[None] | None = None

    def note(self, id_: str, now: int) -> None:
        """Note that the token with this id is used at `now`, Unix nanoseconds; on the
        event loop."""
        self._used[id_] = now
        if self._timer is None:
            due = self._written_at + EVERY_SECONDS - time.monotonic()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due), self._write_now)

    def stop(self) -> None:
        """Write the last ones; on a thread that may wait."""
        if self._used:
            try:
                self._thread.submit(self._write, self._used).result(_LAST_SECONDS)
            except TimeoutError:
                log.debug("the last uses of tokens are not noted: no answer")
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write_now(self) -> None:
        self._timer = None
        self._written_at = time.monotonic()
        # One that hangs must not have others wait behind it.
        if self._writing is None or self._writing.done():
            used, self._used = self._used, {}
            self._writing = self._thread.submit(self._write, used)

    def _write(self, used: dict[str, int]) -> None:
        try:
            note_used(self._database, dict(used))
        except StoreUnavailable as error:
            log.debug("the uses of %d tokens are not noted: %s", len(used), error)
