"""The connections that are open, and which of them has to go when they are too many."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

RESERVED_FILES = 100
"""Open files that are no clients': of the database, of threads, of libraries."""

_LOOKED_AT = 100
"""Of connections with a request, so many are looked at to find one that can go."""


class Connection(Protocol):
    """One client's connection."""

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client can go on with its request or its answer."""

    def make_room(self) -> None:
        """Close at once."""


Kept = TypeVar("Kept", bound=Connection)


class Connections(Generic[Kept]):
    """Keeps open connections in the order in which they came to be idle or busy.

    A connection without a request is idle, also one with half a head.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._idle: dict[Kept, None] = {}
        self._busy: dict[Kept, None] = {}

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def __iter__(self) -> Iterator[Kept]:
        return iter([*self._idle, *self._busy])

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another."""
        return len(self) >= self.most

    def admits(self, shaking: int) -> bool:
        """Whether a handshake may begin beside `shaking` others. They take open files,
        too, and nobody can tell which will never end; so they have half of the room,
        and the idle have to go for them."""
        if shaking >= max(self.most // 2, 1):
            return False
        return shaking + len(self) < self.most or self.make_room()

    def now_idle(self, connection: Kept) -> None:
        """Note that it is idle from now on."""
        self.discard(connection)
        self._idle[connection] = None

    def now_busy(self, connection: Kept) -> None:
        """Note that it has a request."""
        self.discard(connection)
        self._busy[connection] = None

    def discard(self, connection: Kept) -> None:
        """Note that it is closed."""
        self._idle.pop(connection, None)
        self._busy.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that was idle for longest, or without one that whose
        client is waited for; return whether there was one."""
        goes = next(iter(self._idle), None) or self._waiting_for_client()
        if goes is None:
            return False
        self.discard(goes)
        goes.make_room()
        return True

    def _waiting_for_client(self) -> Kept | None:
        longest = islice(self._busy, _LOOKED_AT)
        return next((each for each in longest if each.waits_for_client), None)


def possible(wanted: int) -> int:
    """Return how many of the `wanted` connections there can be, by the open files that
    the process may have; log it if they are less."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = max(files - RESERVED_FILES, files // 2)
    if most < wanted:
        log.warning(
            "only %d connections are possible, and not --limit.connections=%d: the "
            "process may have %d open files (ulimit -n)",
            *(most, wanted, files),
        )
    return min(wanted, most)
