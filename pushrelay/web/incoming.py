"""Memory that requests take while they come, of all clients together."""

from __future__ import annotations

from typing import Protocol

FREE_BYTES = 16 * 1024
"""So much of a head or a body is not counted. The usual push is smaller, and so is
never the one to go."""


class Holder(Protocol):
    """A request that is on its way."""

    def give_up(self) -> None:
        """Be refused: others need the memory."""


class Incoming:
    """Counts the bytes that are held of requests.

    When they are more than `most`, those who hold the most have to give up, one after
    the other: whoever sends a thousand large bodies at once is in the way of others who
    do, and not of those with small ones.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._total = 0
        # Of requests that still come, and of those that are here and stay until they
        # are answered.
        self._coming: dict[Holder, int] = {}
        self._kept: dict[Holder, int] = {}

    def hold(self, holder: Holder, size: int) -> None:
        """Note that so many more bytes came of what `holder` is; it or another may have
        given up on return."""
        self._coming[holder] = self._coming.get(holder, 0) + size
        self._total += size
        while self._total > self.most and self._coming:
            largest = max(self._coming, key=self._coming.__getitem__)
            self.release(largest)
            largest.give_up()

    def keep(self, holder: Holder) -> None:
        """Note that all of it is here, and is needed."""
        size = self._coming.pop(holder, 0)
        if size:
            self._kept[holder] = self._kept.get(holder, 0) + size

    def release(self, holder: Holder) -> None:
        """Note that nothing is held of it any more."""
        if self._total:
            self._total -= self._coming.pop(holder, 0) + self._kept.pop(holder, 0)
