"""How much of large requests is taken before others have their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

TURN_BYTES = 1024 * 1024
"""So much in one turn of the event loop: a read takes up to 256 KiB, and with the
checks of a head about a millisecond."""

_GO_ON_AT_ONCE = 4


class Turns:
    """Who reads large requests takes turns: with hundreds of clients that send as fast
    as they can, one turn of the event loop would else read from all of them, and a push
    needs several.

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
        """Have `go_on` called when it is the caller's turn, some time after `take`."""
        self._waiting.append(go_on)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        self._taken = 0
        for _ in range(min(len(self._waiting), _GO_ON_AT_ONCE)):
            self._waiting.popleft()()
        if self._waiting:
            self._schedule()
