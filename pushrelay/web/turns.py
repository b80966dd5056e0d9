"""How much is taken of large requests, and of requests sent ahead, before others have
their turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

TURN_BYTES = 1024 * 1024
"""So much in one turn of the event loop: a read takes up to 256 KiB, and with the
checks of a head about a millisecond."""

_REST_SECONDS = 0.00005


class Turns:
    """Who reads large requests takes turns, and who answers requests that were sent
    before the one before them was answered: with hundreds of clients that send as fast
    as they can, one turn of the event loop would else do something for all of them, and
    a push needs several.

    call_soon: calls a function in the next turn of the event loop.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._taken = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def take(self, size: int) -> bool:
        """Note that so many bytes were taken; return whether more may be."""
        self._schedule()
        self._taken += size
        return self._taken <= TURN_BYTES

    def wait(self, go_on: Callable[[], None]) -> None:
        """Have `go_on` called when it is the caller's turn, after all who wait."""
        self._schedule()
        self._waiting.append(go_on)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        self._taken = 0
        if self._waiting:
            # One of them, since a turn takes no more than one new connection either: a
            # push comes behind all that were opened before it.
            self._waiting.popleft()()
        if self._waiting:
            self._schedule()
            # The writer's thread needs the interpreter. A loop that always has
            # something to do lets go of it for a moment only, and has it back before
            # that thread has woken up: seen for seconds.
            time.sleep(_REST_SECONDS)
