"""Calls that may hang, for those who cannot wait for long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from pushrelay.errors import StoreUnavailable

Result = TypeVar("Result")


class HurriedCalls:
    """Makes calls on threads of its own, and waits `seconds` for each.

    A call that is late goes on, and takes its thread with it. While `threads` of them
    do, nobody waits for another: what hangs is never more than that.
    """

    def __init__(self, name: str, seconds: float, threads: int) -> None:
        self._seconds = seconds
        self._most = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._late: set[Future[Any]] = set()

    def make(self, do: Callable[..., Result], *arguments: Any) -> Result:
        """Return what `do` returns, or raise what it raises; StoreUnavailable if it
        takes too long, or others still hang."""
        if len(self._late) >= self._most:
            raise StoreUnavailable(
                "the database does not answer: earlier requests still wait for it; try "
                "again later"
            )
        call = self._threads.submit(do, *arguments)
        done, _ = wait([call], self._seconds)
        if done:
            return call.result()
        if not call.cancel():
            self._late.add(call)
            call.add_done_callback(self._late.discard)
        raise StoreUnavailable(
            f"the database did not answer within {self._seconds:g} s; try again later"
        )

    def stop(self) -> None:
        """Make no more calls; those under way go on."""
        self._threads.shutdown(wait=False, cancel_futures=True)
