"""The threads that make long answers.

There is but one of a kind. Nearly all of their work is Python's, of which one thread at
a time does any; a second one makes no more, and the event loop has to wait for each in
turn whenever something comes. With 500 clients that asked for pages or scrapes at once,
a push waited for seconds beside two of each kind.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pushrelay.config import Limits
from pushrelay.web.readers import Readers
from pushrelay.web.streaming import Streamer


class Streamers:
    """What makes answers, each on threads of its own.

    page: those of Flask. scrape: whole expositions, which must not wait behind pages
    that anybody asks for. chooser: what selectors choose, which takes half a minute if
    there are a hundred regular expressions for 50,000 groups.
    note_limit: is told the name of a limit for which an answer was given up.
    """

    def __init__(self, limits: Limits, note_limit: Callable[[str], None]) -> None:
        readers = Readers(limits, note_limit)

        def streamer(name: str) -> Streamer:
            thread = ThreadPoolExecutor(1, thread_name_prefix=name)
            return Streamer(thread, readers)

        self.page = streamer("page")
        self.scrape = streamer("scrape")
        self.chooser = streamer("asked")
