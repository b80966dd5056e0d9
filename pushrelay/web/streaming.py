"""Long answers: made by a thread, some parts at a time, as fast as the client takes
them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

from pushrelay.web.exchange import Exchange, Headers
from pushrelay.web.interpreter import short_turns
from pushrelay.web.readers import Readers
from pushrelay.web.request_body import ClientGone

log = logging.getLogger(__name__)

PART_BYTES = 256 * 1024
"""About what is handed to the server at once."""

AHEAD_BYTES = 4 * PART_BYTES
"""How much a thread makes in one go, and a slow client can hold; a single chunk may be
larger. Going to a thread and back takes longer than to join a part of pieces that are
there already."""

Result = TypeVar("Result")


class Streamer:
    """Runs on the threads of `pool` what takes long.

    readers: those who are read to, by all streamers.
    """

    def __init__(self, pool: Executor, readers: Readers) -> None:
        self._pool = pool
        self._readers = readers

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
        # The first part is made before the head is sent: what fails until then is a
        # proper error and not half an answer.
        parts, is_end = await self.run(_next_parts, chunks, PART_BYTES)
        await exchange.begin(status, headers)
        try:
            async with self._readers.deadline() as deadline:
                while not is_end:
                    await self._send(exchange, parts, deadline)
                    parts, is_end = await self.run(_next_parts, chunks, AHEAD_BYTES)
                last = parts.pop() if parts else b""
                await self._send(exchange, parts, deadline)
                with self._readers.waiting(deadline):
                    await exchange.send(last, more=False)
        except TimeoutError:
            self._readers.note_end(deadline)
            log.info("a client read too slowly: %s", exchange.client)
            raise ClientGone from None

    async def _send(
        self, exchange: Exchange, parts: deque[bytes], deadline: asyncio.Timeout
    ) -> None:
        while parts:
            turn = exchange.request_body.clients_turn()
            with turn, self._readers.waiting(deadline):
                await exchange.send(parts.popleft(), more=True)

    def discard(self, close: Callable[[], None]) -> None:
        """Call `close` on a thread, whenever there is one."""
        self._pool.submit(close)


def _next_parts(chunks: Iterator[bytes], most: int) -> tuple[deque[bytes], bool]:
    """Return about `most` bytes of `chunks` in parts, and whether this is their end."""
    parts: deque[bytes] = deque()
    size = 0
    while size < most:
        data = _join_some(chunks)
        if not data:
            return parts, True
        parts += _split(data)
        size += len(data)
    return parts, False


def _join_some(chunks: Iterator[bytes]) -> bytes:
    """Return PART_BYTES of `chunks`, or somewhat more; nothing at their end."""
    some: list[bytes] = []
    size = 0
    for chunk in chunks:
        some.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            break
    return b"".join(some)


def _split(data: bytes) -> list[bytes]:
    if len(data) < 2 * PART_BYTES:
        return [data]
    # The server would make copies of all of it, and keep them for a slow client.
    return [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
