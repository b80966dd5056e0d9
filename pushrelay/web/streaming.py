"""Long answers: made by a thread, some parts at a time, as fast as the client takes
them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

from pushrelay.web.exchange import ClientGone, Exchange, Headers
from pushrelay.web.turns import short_turns

log = logging.getLogger(__name__)

PART_BYTES = 256 * 1024
"""What is handed to the server at once."""

PARTS_AT_ONCE = 4
"""How many parts a thread makes in one go, and thus what a slow client can hold. Going
to a thread and back takes longer than to join a part of pieces that are there already.
"""

Result = TypeVar("Result")


class Streamer:
    """Runs on the threads of `pool` what takes long.

    seconds: how long a client may take to read an answer.
    """

    def __init__(self, pool: Executor, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds

    async def run(self, call: Callable[..., Result], *arguments: object) -> Result:
        """Return the result of `call`, made on a thread."""
        loop = asyncio.get_running_loop()
        with short_turns():
            return await loop.run_in_executor(self._pool, call, *arguments)

    async def send(
        self, exchange: Exchange, status: int, headers: Headers, chunks: Iterator[bytes]
    ) -> None:
        """Answer with `chunks` as the body. Raises ClientGone if it is read too slowly,
        and whatever `chunks` raises."""
        # The first parts are made before the head is sent: what fails until then is a
        # proper error and not half an answer.
        parts = await self.run(_next_parts, chunks)
        await exchange.begin(status, headers)
        try:
            async with asyncio.timeout(self._seconds):
                while len(parts) == PARTS_AT_ONCE:
                    for part in parts:
                        await exchange.send(part, more=True)
                    parts = await self.run(_next_parts, chunks)
                *most, last = parts or [b""]
                for part in most:
                    await exchange.send(part, more=True)
                await exchange.send(last, more=False)
        except TimeoutError:
            log.info("a client read too slowly: %s", exchange.client)
            raise ClientGone from None

    def discard(self, close: Callable[[], None]) -> None:
        """Call `close` on a thread, whenever there is one."""
        self._pool.submit(close)


def _next_parts(chunks: Iterator[bytes]) -> list[bytes]:
    """Return the next parts of `chunks`; fewer than PARTS_AT_ONCE at their end."""
    parts: list[bytes] = []
    while len(parts) < PARTS_AT_ONCE and (part := _next_part(chunks)):
        parts.append(part)
    return parts


def _next_part(chunks: Iterator[bytes]) -> bytes:
    """Return about PART_BYTES of `chunks`; nothing at their end."""
    part: list[bytes] = []
    size = 0
    for chunk in chunks:
        part.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            break
    return b"".join(part)
