"""The writes that wait for their turn, in the order they came."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from pushrelay.errors import StoreUnavailable

MAX_BATCH = 256
MAX_QUEUE = 1000
"""As many writes wait at most, as with the Pushgateway."""


class Ticket(Protocol):
    """Stands for whoever waits for the answer to a write."""

    def done(self) -> bool:
        """Whether nobody waits any more."""


Batch = list[tuple[Ticket, Any]]
"""Writes to be done together, with their tickets."""


class WriteQueue:
    """Takes writes on any thread, and gives them to one.

    is_stopped: whether `stop` was called, and all that was put before was given.
    """

    def __init__(self) -> None:
        self._entries: SimpleQueue[tuple[Ticket, Any] | None] = SimpleQueue()
        self.is_stopped = False

    def put(self, ticket: Ticket, write: Any) -> None:
        """Have `write` wait. Raises StoreUnavailable if too many do already."""
        if self._entries.qsize() >= MAX_QUEUE:
            raise StoreUnavailable(
                f"{MAX_QUEUE} writes wait for the database already; try again later"
            )
        self._entries.put((ticket, write))

    def stop(self) -> None:
        """Take no more."""
        self._entries.put(None)

    def next_batch(self) -> Batch:
        """Wait until there are writes, or no more come; return those there are."""
        batch: Batch = []
        self._add(self._entries.get(), batch)
        self.add_waiting(batch)
        return batch

    def add_waiting(self, batch: Batch) -> None:
        """Add to `batch` what waits by now, as long as it is not too large.

        Left out is what nobody waits for any more.
        """
        with suppress(Empty):
            while len(batch) < MAX_BATCH and not self.is_stopped:
                self._add(self._entries.get_nowait(), batch)

    def _add(self, entry: tuple[Ticket, Any] | None, batch: Batch) -> None:
        if entry is None:
            self.is_stopped = True
        elif not entry[0].done():
            batch.append(entry)
