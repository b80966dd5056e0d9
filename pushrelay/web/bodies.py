"""Reads the bodies of pushes where nobody has to wait for it: small ones on the event
loop, all others on threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pushrelay.errors import LimitExceeded
from pushrelay.exposition.compression import decode_body
from pushrelay.grouping_key import GroupingKey
from pushrelay.web.exchange import Exchange
from pushrelay.web.interpreter import short_turns

INLINE_BODY_BYTES = 16 * 1024
"""Decoded bodies up to this size are read on the event loop, in some milliseconds at
the worst; a thread would cost the usual small push more than its reading does."""

READER_THREADS = 2
"""For all others. Scrapes have threads of their own and do not wait for these."""

QUICK_KEY_BYTES = 1024
"""Only for grouping keys up to this size are small bodies read quickly, since each
line of the exposition bears the key: with one of 60 kB, 16 kB took 1.3 seconds."""

Result = TypeVar("Result")


def is_short(key: GroupingKey) -> bool:
    """Whether small bodies of pushes to the group `key` are read quickly."""
    return len(key.canonical) <= QUICK_KEY_BYTES


class Bodies:
    """Bodies of requests, decoded within limits."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")

    async def use(
        self,
        exchange: Exchange,
        limit: int,
        use: Callable[[bytes], Result],
        *,
        is_quick: bool,
    ) -> Result:
        """Return what `use` makes of the decoded body.

        limit: bytes that it may have. is_quick: whether `use` is quick with a small
        body. Raises what reading the body raises, and LimitExceeded.
        """
        body, encoding = await exchange.body(), exchange.header("content-encoding")
        if is_quick and len(body) <= INLINE_BODY_BYTES:
            try:
                # A small body may stand for a large one, and then it is no small one.
                decoded = decode_body(body, encoding, min(INLINE_BODY_BYTES, limit))
            except LimitExceeded:
                pass
            else:
                return use(decoded)

        return await self.run(lambda: use(decode_body(body, encoding, limit)))

    async def run(self, make: Callable[[], Result]) -> Result:
        """Return what `make` gives, which takes long."""
        loop = asyncio.get_running_loop()
        with short_turns():
            return await loop.run_in_executor(self._threads, make)
