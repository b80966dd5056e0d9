"""Clients that do not read the answers that are made for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

from pushrelay.config import Limits


class Readers:
    """Bounds the answers that wait for their clients, each of which takes about a MiB:
    of more than `limits` allow, the one that has waited for longest is given up.

    note_limit: is told the name of the limit for which an answer was given up.
    """

    def __init__(self, limits: Limits, note_limit: Callable[[str], None]) -> None:
        self._limits = limits
        self._note_limit = note_limit
        # In the order in which they began to wait.
        self._waiting: dict[asyncio.Timeout, None] = {}
        # Who has gone by itself at that moment is not told of.
        self._cut_off: WeakSet[asyncio.Timeout] = WeakSet()

    def deadline(self) -> asyncio.Timeout:
        """Return what ends an answer that begins now with TimeoutError."""
        return asyncio.timeout(self._limits.request_seconds)

    @contextmanager
    def waiting(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """Count the answer with this deadline as one that waits."""
        self._waiting[deadline] = None
        if len(self._waiting) > self._limits.slow_readers:
            self._give_up(next(iter(self._waiting)))
        try:
            yield
        finally:
            self._waiting.pop(deadline, None)

    def _give_up(self, longest: asyncio.Timeout) -> None:
        del self._waiting[longest]
        if not longest.expired():
            longest.reschedule(asyncio.get_running_loop().time())
            self._cut_off.add(longest)

    def note_end(self, deadline: asyncio.Timeout) -> None:
        """Note that the answer with this deadline was ended by it."""
        was_cut_off = deadline in self._cut_off
        self._cut_off.discard(deadline)
        self._note_limit("slow_readers" if was_cut_off else "request_seconds")
