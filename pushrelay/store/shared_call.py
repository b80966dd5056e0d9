"""A blocking call that many may want at once: one thread makes it for all of them, or
another one where that hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class SharedCall:
    """Makes `call` when asked, one at a time, on a thread of its own.

    Whoever asks while a call is queued shares it, because it will begin after they
    asked; a call that has begun already may miss the latest commit and is not shared.
    """

    def __init__(self, call: Callable[[], None], name: str) -> None:
        self._call = call
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._queued: Future[None] | None = None
        self._began_at: float | None = None

    def request(self) -> Future[None]:
        """Return a future of a call that begins after this request."""
        with self._lock:
            if self._queued is None:
                self._queued = self._executor.submit(self._run)
            return self._queued

    def stalled(self, seconds: float) -> bool:
        """Return whether a call has been under way for longer than `seconds`."""
        began_at = self._began_at
        return began_at is not None and time.monotonic() - began_at > seconds

    @property
    def is_under_way(self) -> bool:
        """Whether a call has begun and not ended."""
        return self._began_at is not None

    def stop(self) -> None:
        """Take no more requests; a call under way goes on."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        with self._lock:
            self._queued = None
        self._began_at = time.monotonic()
        try:
            self._call()
        finally:
            self._began_at = None


class SecondChance:
    """A `SharedCall` of which another one may begin while the first hangs.

    hangs: whether that is so, as far as is known of a call that takes long. There are
    never more than two under way.
    """

    def __init__(
        self, call: Callable[[], None], name: str, hangs: Callable[[], bool]
    ) -> None:
        self._hangs = hangs
        self._lock = threading.Lock()
        self._current = SharedCall(call, name)
        self._other = SharedCall(call, name)

    def request(self, seconds: float) -> Future[None]:
        """Return a future of a call that begins after this request: at once if the one
        under way has taken longer than `seconds` and hangs."""
        with self._lock:
            if (
                self._current.stalled(seconds)
                and not self._other.is_under_way
                and self._hangs()
            ):
                self._current, self._other = self._other, self._current
            return self._current.request()

    def stalled(self, seconds: float) -> bool:
        """Return whether the latest call has been under way for longer than `seconds`,
        and no other one could begin."""
        with self._lock:
            return self._current.stalled(seconds) and (
                self._other.is_under_way or not self._hangs()
            )

    def stop(self) -> None:
        """Take no more requests; calls under way go on."""
        self._current.stop()
        self._other.stop()


def quiet(call: Future[None]) -> asyncio.Future[None]:
    """Return a future of `call` that does not complain if nobody waits for its end."""
    future = asyncio.wrap_future(call)
    future.add_done_callback(_retrieve)
    return future


def _retrieve(done: asyncio.Future[None]) -> None:
    """Look at the exception, which asyncio would otherwise log as never retrieved."""
    if not done.cancelled():
        done.exception()


async def wait(future: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for `future`, which goes on if it is late; return whether it is done."""
    if not future.done():
        await asyncio.wait([future], timeout=seconds)
    return future.done()
