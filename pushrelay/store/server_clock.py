"""The clock of a database server, by which all relays that share it tell the time.

The server says what time it is with an answer, which then takes a while to arrive. So
it is at least that much when the answer is here, and the answer that was fastest says
best how much it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

DRIFT = 5_000
"""While one of the two clocks goes so far, the other may go one more or less."""

APART = 5 * 10**9
TOGETHER = 10**9
"""The log warns when the host's clock and the server's are further apart than the one,
in nanoseconds, and again only after they were no further apart than the other."""


def _steady() -> int:
    # Nobody sets it, and it goes on while the machine sleeps.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class ServerClock:
    """What is known of a server's clock; it is the host's until the server has spoken.

    With each answer it is not ahead of the server's, and not behind what the answer
    said. So who asks later, whichever relay that is, has no earlier time: what one
    shows as stale, no other shows as fresh again.

    steady: nanoseconds from some moment on. wall: the host's clock, which may be set,
    Unix nanoseconds.
    """

    def __init__(
        self,
        steady: Callable[[], int] = _steady,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.steady = steady
        self._wall = wall
        self._lock = threading.Lock()
        # How far it is ahead of the steady clock, and when that was learned.
        self._ahead = wall() - steady()
        self._known_at: int | None = None
        self._is_apart = False

    def now(self) -> int:
        """Return what time it is, in Unix nanoseconds."""
        return self.steady() + self._ahead

    def skew(self) -> int:
        """Return how far the host's clock is ahead of it, in nanoseconds."""
        return self._wall() - self.now()

    def told(self, time_: int, asked_at: int) -> None:
        """Take over that the server said it was `time_`, which has just arrived;
        asked_at: when it was asked at the earliest, by the steady clock."""
        with self._lock:
            arrived_at = self.steady()
            self._ahead = self._learned(time_, asked_at, arrived_at)
            self._known_at = arrived_at
            self._compare()

    def _learned(self, time_: int, asked_at: int, arrived_at: int) -> int:
        at_least, at_most = time_ - arrived_at, time_ - asked_at
        if self._known_at is None:
            return at_least
        known = self._ahead - (arrived_at - self._known_at) // DRIFT
        # Else the server's clock was set back, or it is another server's.
        is_possible = known <= at_most
        return max(known, at_least) if is_possible else at_least

    def _compare(self) -> None:
        """Warn if the host's clock is wrong, or that of the server."""
        skew = self.skew()
        if abs(skew) > APART and not self._is_apart:
            self._is_apart = True
            log.warning(
                "the clock of this host is %.1f s %s that of the database, by which "
                "the relay tells the time; keep both right, as by NTP",
                abs(skew) / 10**9,
                "ahead of" if skew > 0 else "behind",
            )
        elif abs(skew) <= TOGETHER:
            self._is_apart = False
