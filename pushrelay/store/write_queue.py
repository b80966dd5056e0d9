"""The writes that wait for their turn, in the order they came."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from pushrelay.config import Limits
from pushrelay.errors import Overloaded

MAX_BATCH = 256


class Ticket(Protocol):
    """Stands for whoever waits for the answer to a write."""

    def done(self) -> bool:
        """Whether nobody waits any more."""


Batch = list[tuple[Ticket, Any]]
"""Writes to be done together, with their tickets."""


_Entry = tuple[Ticket, Any, int]
"""A write with its ticket and its size in bytes."""


class WriteQueue:
    """Takes writes on any thread, and gives them to one.

    is_stopped: whether `stop` was called, and all that was put before was given.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: SimpleQueue[_Entry | None] = SimpleQueue()
        self._bytes = 0
        self._counting = threading.Lock()
        self.is_stopped = False

    def put(self, ticket: Ticket, write: Any, size: int = 0) -> None:
        """Have `write` of so many bytes wait. Raises Overloaded if too much does
        already; alone, it may have any size."""
        most, limits = self._limits.queued_writes, self._limits
        if self._entries.qsize() >= most:
            raise _overloaded("queued_writes", f"{most} writes")
        with self._counting:
            if size and self._bytes and self._bytes + size > limits.queued_bytes:
                raise _overloaded("queued_bytes", f"{self._bytes} bytes of series")
            self._bytes += size
        self._entries.put((ticket, write, size))

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

    def _add(self, entry: _Entry | None, batch: Batch) -> None:
        if entry is None:
            self.is_stopped = True
            return
        ticket, write, size = entry
        with self._counting:
            self._bytes -= size
        if not ticket.done():
            batch.append((ticket, write))


def _overloaded(limit: str, waiting: str) -> Overloaded:
    return Overloaded(
        limit,
        f"the relay has more waiting than it can write: {waiting} wait for the "
        "database already; try again later",
    )
