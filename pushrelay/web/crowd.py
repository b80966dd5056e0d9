"""How many requests are served at once."""

from __future__ import annotations

from pushrelay.errors import Overloaded
from pushrelay.telemetry import Telemetry

_SCRAPES = frozenset({"metrics", "own_metrics"})
_PROBES = frozenset({"healthy", "ready"})


class Crowd:
    """Counts the requests that are being served, of scrapes and of all others apart, so
    that neither keeps the other out: at most `most` each.

    A request whose client has to send or to read first is not being served.
    """

    def __init__(self, most: int, telemetry: Telemetry) -> None:
        self._most = most
        self._telemetry = telemetry
        self._served = {True: 0, False: 0}

    def enter(self, handler: str) -> Place:
        """Let a request in. Raises Overloaded if too many are; probes always may."""
        is_scrape = handler in _SCRAPES
        if self._served[is_scrape] >= self._most and handler not in _PROBES:
            most = f"{self._most} {'scrapes' if is_scrape else 'requests'}"
            text = f"the relay serves {most} at once already; try again later"
            raise Overloaded("requests", text)
        return Place(self, is_scrape)

    def count(self, is_scrape: bool, change: int) -> None:
        """Note that one more is served, or one less."""
        self._served[is_scrape] += change
        self._telemetry.requests_in_flight += change


class Place:
    """Stands for a request that was let in; is_taken: whether it is being served."""

    __slots__ = ("_crowd", "_is_scrape", "is_taken")

    def __init__(self, crowd: Crowd, is_scrape: bool) -> None:
        self._crowd = crowd
        self._is_scrape = is_scrape
        self.is_taken = False
        self.take()

    def take(self) -> None:
        """Go on; nobody who was let in is refused."""
        if not self.is_taken:
            self.is_taken = True
            self._crowd.count(self._is_scrape, 1)

    def leave(self) -> None:
        """Let another one in: it is the client's turn, or the end."""
        if self.is_taken:
            self.is_taken = False
            self._crowd.count(self._is_scrape, -1)
