"""Asks the database with deadlines, and remembers whether it answers.

A database that hangs must not hang those who can do without it: scrapes go on from
what is known, after a second at first and at once from then on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future

from pushrelay.errors import StoreUnavailable
from pushrelay.store.shared_call import SecondChance, quiet, wait
from pushrelay.store.writer import Writer

log = logging.getLogger(__name__)

CLOCK_DEADLINE_SECONDS = 1.0
AGAIN_SECONDS = 0.1
"""How long to wait for a database that did not answer the last time."""

READY_SECONDS = 10.0
"""A commit not longer ago than this shows that the database takes writes."""

SMALL_BYTES = 16
LARGE_BYTES = 256 * 1024
"""What is committed to find out. After a write that failed it is more than most pushes
take: what that one could not fill of a full disk has room for a little."""

_NEVER = -float("inf")


class StoreHealth:
    """Whether the database can be read, by `read`, and written, by `writer`.

    read: brings what is known of the store up to date; raises StoreUnavailable.
    is_silent: whether somebody waits in vain for the database's next word, so that it
    may be better to ask again.
    """

    def __init__(
        self,
        read: Callable[[], None],
        writer: Writer,
        is_silent: Callable[[], bool],
    ) -> None:
        self._writer = writer
        self._reader = SecondChance(read, "refresher", is_silent)
        self._prober = SecondChance(self._probe, "prober", is_silent)
        self._is_readable = True
        # Why the last reading that ended did not succeed.
        self._unread: BaseException | None = None
        self._refused_at = _NEVER
        # The writer may still wait for an answer that was lost before.
        self._doubted_at = _NEVER

    @property
    def is_readable(self) -> bool:
        """Whether it was read last time."""
        return self._is_readable

    @property
    def is_up(self) -> bool:
        """Whether it was read last time, and took the last write."""
        return self._is_readable and self.is_writable

    @property
    def is_writable(self) -> bool:
        """Whether it took the last write."""
        # Many a write changes nothing, and shows nothing.
        return self._writer.committed_at >= self._refused_at

    @property
    def _is_in_doubt(self) -> bool:
        return self._writer.committed_at < self._doubted_at

    def stop(self) -> None:
        """Ask no more."""
        self._reader.stop()
        self._prober.stop()

    async def refresh(self) -> bool:
        """Have it read; return whether it answered in time."""
        reading = self._begin_reading()
        if reading is None:
            return False
        patience = self._patience
        done = await wait(quiet(reading), patience)
        return self._end_reading(reading, done, patience)

    def refresh_blocking(self) -> bool:
        """Do what `refresh` does, on a thread that may wait."""
        reading = self._begin_reading()
        if reading is None:
            return False
        patience = self._patience
        try:
            reading.exception(patience)
        except TimeoutError:
            return self._end_reading(reading, False, patience)
        return self._end_reading(reading, True, patience)

    def read(self) -> None:
        """Have it read, however long that takes, on a thread that may wait. Raises
        StoreUnavailable."""
        self._reader.request(CLOCK_DEADLINE_SECONDS).result()

    async def require_ready(self) -> None:
        """Raise StoreUnavailable unless it takes writes, and what it has can be read:
        pushes need both."""
        if not self._writer.is_running:
            raise StoreUnavailable("the thread that writes has ended; see the log")
        has_committed = time.monotonic() - self._writer.committed_at < READY_SECONDS
        if has_committed and self.is_up and not self._is_in_doubt:
            return
        probe = quiet(self._prober.request(CLOCK_DEADLINE_SECONDS))
        # A reading that is only slow is no reason.
        done, _ = await asyncio.gather(
            wait(probe, CLOCK_DEADLINE_SECONDS), self.refresh()
        )
        if not done:
            self._refused_at = time.monotonic()
            raise StoreUnavailable("the database did not take a commit in time")
        self._probed(probe)
        probe.result()
        if self._unread is not None:
            raise StoreUnavailable(f"the database cannot be read: {self._unread}")

    def look_for_recovery(self) -> None:
        """Find out whether it takes writes again, if it did not; whoever asks later
        knows."""
        if not self.is_writable or self._is_in_doubt:
            probe = self._prober.request(CLOCK_DEADLINE_SECONDS)
            probe.add_done_callback(self._probed)

    def note_write(self, error: BaseException | None) -> None:
        """Take over how a write ended."""
        if isinstance(error, StoreUnavailable):
            self._refused_at = time.monotonic()

    def _probe(self) -> None:
        is_well = self.is_writable and self._writer.committed_at > _NEVER
        self._writer.probe(SMALL_BYTES if is_well else LARGE_BYTES)

    def _probed(self, probe: asyncio.Future[None] | Future[None]) -> None:
        if probe.cancelled() or probe.exception() is not None:
            self._refused_at = time.monotonic()

    def _begin_reading(self) -> Future[None] | None:
        """Return the reading to wait for; None while an earlier one hangs."""
        if self._reader.stalled(CLOCK_DEADLINE_SECONDS):
            self._is_readable = False
            return None
        return self._reader.request(CLOCK_DEADLINE_SECONDS)

    @property
    def _patience(self) -> float:
        """How long a scrape waits for it, which other scrapes may have done before."""
        return CLOCK_DEADLINE_SECONDS if self._is_readable else AGAIN_SECONDS

    def _end_reading(self, reading: Future[None], done: bool, patience: float) -> bool:
        """Take over how `reading` ended, or that it has not in so many seconds."""
        if not done:
            reading.add_done_callback(self._read_late)
            if patience < CLOCK_DEADLINE_SECONDS:
                # It may be slow only, and was found so meanwhile.
                return False
        error = self._note_reading(reading) if done else None
        was_readable, self._is_readable = self._is_readable, done and error is None
        if was_readable and not self._is_readable:
            log.error("scrapes show the last known state: %s", error or "no answer")
        elif self._is_readable and not was_readable:
            self._answers_again()
        return self._is_readable

    def _read_late(self, reading: Future[None]) -> None:
        """Wait for the next reading as for one of a database that answers."""
        if reading.cancelled():
            return
        is_read = self._note_reading(reading) is None
        if is_read and not self._is_readable:
            self._is_readable = True
            self._answers_again()

    def _note_reading(self, reading: Future[None]) -> BaseException | None:
        """Take over why `reading`, which has ended, did not succeed; return that."""
        error = self._unread = reading.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            log.error("reading the store failed", exc_info=error)
        return error

    def _answers_again(self) -> None:
        log.info("the database answers again")
        self._refused_at = _NEVER
        self._doubted_at = time.monotonic()
