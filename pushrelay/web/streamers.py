"""The threads that make long answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pushrelay.config import Limits
from pushrelay.web.readers import Readers
from pushrelay.web.streaming import Streamer

PAGE_THREADS = 2
SCRAPE_THREADS = max(2, min(os.cpu_count() or 1, 4))
"""Apart, for scrapes must not wait behind pages that anybody asks for. More threads do
not make more, and pushes have to wait for each: with 500 clients that asked for pages,
they took twice as long beside four and four as beside two and two."""

ASKED_THREADS = 2
"""For requests with selectors, which take half a minute if they have a hundred regular
expressions for 50,000 groups: whole pages must not wait behind them."""


class Streamers:
    """What makes answers, each on threads of its own.

    page: those of Flask. scrape: whole expositions. chooser: what selectors choose.
    note_limit: is told the name of a limit for which an answer was given up.
    """

    def __init__(self, limits: Limits, note_limit: Callable[[str], None]) -> None:
        readers = Readers(limits, note_limit)

        def streamer(threads: int, name: str) -> Streamer:
            pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
            return Streamer(pool, readers)

        self.page = streamer(PAGE_THREADS, "page")
        self.scrape = streamer(SCRAPE_THREADS, "scrape")
        self.chooser = streamer(ASKED_THREADS, "asked")
