"""The body of a request, read within limits of time and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded, Overloaded
from pushrelay.web.crowd import Place
from pushrelay.web.errors import RequestTimeout
from pushrelay.web.incoming import FREE_BYTES, Incoming

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

DRAIN_SECONDS = 1.0

_CHUNKS_AT_ONCE = 64


class ClientGone(Exception):
    """The client went away before its request was complete."""


class RequestBody:
    """A body that comes by `receive`.

    is_here: tells whether the next call of `receive` will return at once.
    read: all of it, None until it was read. is_coming: whether more of it may come.
    place: left while the client has to go on; None before there is one.
    """

    def __init__(
        self,
        receive: Receive,
        is_here: Callable[[], bool],
        limits: Limits,
        incoming: Incoming,
    ) -> None:
        self.read: bytes | None = None
        self.is_coming = True
        self.place: Place | None = None
        self._receive = receive
        self._is_here = is_here
        self._limits = limits
        self._incoming = incoming
        self._held = 0
        self._has_given_up = False
        self._patience: asyncio.Timeout | None = None

    async def all(self, announced: int) -> bytes:
        """Return all of it; announced: its length in bytes, 0 if that is not known.

        Raises LimitExceeded, Overloaded, RequestTimeout or ClientGone.
        """
        if self.read is None:
            if announced > self._limits.body_bytes:
                raise _too_large(self._limits)
            self.read = await self._read_all()
        return self.read

    async def drain(self) -> None:
        """Take what the client still sends for a moment, after it was answered.

        A connection that is closed with unread data is reset, and then the client
        may never see the answer that tells what was wrong.
        """
        deadline = time.monotonic() + DRAIN_SECONDS
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                # Python 3.11 loses the timeout's cancellation (in the server's
                # `wait_for`) while data keeps coming, hence the deadline.
                while self.is_coming and time.monotonic() < deadline:
                    self.is_coming = (await self._receive()).get("more_body", False)
        except TimeoutError:
            return

    def give_up(self) -> None:
        """Have the reading end with Overloaded."""
        self._has_given_up = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    def release(self) -> None:
        """Have it not counted any more."""
        self._incoming.release(self)

    @contextmanager
    def clients_turn(self) -> Iterator[None]:
        """Let others be served while it is the client who has to go on."""
        place = self.place
        if place is None or not place.is_taken:
            yield
            return
        place.leave()
        try:
            yield
        finally:
            place.take()

    def last_turn(self) -> None:
        """Let others be served from now on: all that is left is the client's."""
        if self.place is not None:
            self.place.leave()

    async def _read_all(self) -> bytes:
        deadline = time.monotonic() + self._limits.request_seconds
        chunks: list[bytes] = []
        size = 0
        while self.is_coming:
            message = await self._next_message(deadline)
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limits.body_bytes:
                raise _too_large(self._limits)
            self._hold(size)
            if len(chunks) % _CHUNKS_AT_ONCE == 0:
                # Chunks that are there already come without a turn for others.
                await asyncio.sleep(0)
        self._incoming.keep(self)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _hold(self, size: int) -> None:
        """Have it counted that it takes so many bytes by now."""
        if size > FREE_BYTES and not self._has_given_up:
            self._incoming.hold(self, size - self._held)
            self._held = size
        self._require_memory()

    def _require_memory(self) -> None:
        if self._has_given_up:
            raise Overloaded(
                "incoming_bytes",
                f"the requests on their way take {self._incoming.most} bytes already, "
                "and this one most of them; try again later",
            )

    async def _next_message(self, deadline: float) -> Message:
        if self._is_here():
            # As nearly always; a deadline would cost more than the body.
            message = await self._receive()
        else:
            message = await self._await_message(deadline)
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.is_coming = message.get("more_body", False)
        return message

    async def _await_message(self, deadline: float) -> Message:
        limits = self._limits
        left = deadline - time.monotonic()
        patience = min(limits.idle_seconds, left)
        try:
            with self.clients_turn():
                async with asyncio.timeout(max(patience, 0)) as self._patience:
                    return await self._receive()
        except TimeoutError:
            self._require_memory()
            raise RequestTimeout(
                "idle_seconds" if patience < left else "request_seconds",
                "the request's body did not come in time: no byte for "
                f"{limits.idle_seconds:g} s, or not all of it within "
                f"{limits.request_seconds:g} s",
            ) from None
        finally:
            self._patience = None


def _too_large(limits: Limits) -> LimitExceeded:
    return LimitExceeded(
        "body_bytes",
        f"the request's body is larger than the limit of {limits.body_bytes} bytes",
    )
