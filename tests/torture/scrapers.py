"""Threads that scrape relays again and again, and note what they see."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from itertools import count

from relay_process import HTTPClient
from torture.connection import DOUBTFUL, Connection
from torture.history import Contents, History, Scrape
from torture.page import read_page


class Scraper:
    """Scrapes `server` again and again. process: tells which one it is now."""

    def __init__(
        self,
        observer: str,
        server: HTTPClient,
        process: Callable[[], str | None],
        history: History,
    ) -> None:
        self.observer = observer
        self._connection = Connection(server)
        self._process = process
        self._history = history
        self._cells: dict[str, Contents] = {}
        self._strangers = count(1)

    def run(self, is_over: Callable[[], bool], pause: float) -> None:
        """Scrape until it is over, with pauses."""
        while not is_over():
            self.scrape()
            time.sleep(pause)

    def close(self) -> None:
        """Scrape no more."""
        self._connection.close()

    def scrape(self, *, is_fresh: bool | None = None) -> str | None:
        """Scrape once, and return the page if there is one. is_fresh: what is known
        of that, if the page need not say it."""
        process, begun = self._process(), time.monotonic()
        try:
            status, text = self._connection.send("GET", "/metrics")
        except (OSError, http.client.HTTPException):
            return None
        ended = time.monotonic()
        if status in DOUBTFUL:
            return None
        assert status == 200, text
        page = read_page(text)
        if process is not None and process != self._process():
            process = f"one of two, {next(self._strangers)}"
        fresh = page.is_up is True if is_fresh is None else is_fresh
        before, self._cells = self._cells, page.cells
        gone: dict[str, Contents] = dict.fromkeys(before.keys() - page.cells.keys(), ())
        changed = {c: now for c, now in page.cells.items() if before.get(c, ()) != now}
        self._history.note(
            Scrape(
                self.observer,
                process,
                begun,
                ended,
                fresh,
                page.revision,
                changed | gone,
                page.problems,
            )
        )
        return text
