"""Where tokens come from: what was read there last, and is read again while asked for.

A source that does not answer hangs nobody: after a second, what was known last goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pushrelay.errors import InvalidRules
from pushrelay.store.shared_call import SecondChance, quiet, wait
from pushrelay.telemetry import Telemetry
from pushrelay.token_files import read_token_file
from pushrelay.tokens import Token

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""How long to wait for it."""

PACE_SECONDS = 1.0
"""How often it is read at most."""

_NEVER = -float("inf")


class Known(NamedTuple):
    """Tokens by the digests of their texts, and by their ids."""

    by_digest: dict[bytes, Token]
    by_id: dict[str, Token]


def known(tokens: Iterable[Token]) -> Known:
    """Return `tokens` as they are looked up."""
    by_id = {token.id: token for token in tokens}
    by_digest = {token.former: token for token in by_id.values() if token.former}
    by_digest |= {token.digest: token for token in by_id.values()}
    return Known(by_digest, by_id)


class Source:
    """What `read` returned last.

    read: blocks, and raises anything where it cannot be read. hangs: whether that is
    so, of a reading that takes long. again: so many seconds old is what is known when
    it is read again. most: how old it may be.
    """

    def __init__(
        self,
        read: Callable[[], Known],
        name: str,
        hangs: Callable[[], bool],
        again: float,
        most: float,
    ) -> None:
        self._read = read
        self._again = again
        self._most = most
        self._calls = SecondChance(self._take_over, name, hangs)
        self._taking_over = threading.Lock()
        self.known = Known({}, {})
        self.as_of = _NEVER
        """When the reading began that this came of, by the monotonic clock."""
        self._attempt: asyncio.Future[None] | None = None
        self._attempted_at = _NEVER

    def load(self) -> None:
        """Read it now, however long that takes. Raises what that raises."""
        self._take_over()

    def is_fresh(self) -> bool:
        """Return whether what is known is not older than it may be. If it is not much
        younger either, have it read again meanwhile."""
        now = time.monotonic()
        if now - self.as_of > self._again:
            self._begin(now)
        return now - self.as_of <= self._most

    async def freshen(self) -> None:
        """Wait until that is so, but not for long."""
        if not self.is_fresh() and self._attempt is not None:
            end = self._attempted_at + ANSWER_SECONDS
            await wait(self._attempt, max(0.0, end - time.monotonic()))

    async def read_anew(self) -> bool:
        """Have it read after this was called; return whether that was done. Those who
        call this within a second wait for the same reading."""
        called_at = time.monotonic()
        while self._attempted_at < called_at:
            now = time.monotonic()
            if not self._begin(now):
                if now >= self._attempted_at + PACE_SECONDS:
                    return False  # the last one hangs
                await asyncio.sleep(self._attempted_at + PACE_SECONDS - now)
        attempt = self._attempt
        is_done = attempt is not None and await wait(attempt, ANSWER_SECONDS)
        return is_done and self.as_of >= called_at

    def stop(self) -> None:
        """Read no more."""
        self._calls.stop()

    def _begin(self, now: float) -> bool:
        """Have it read, if that was not asked for in the last second and does not hang;
        return whether it is."""
        if now < self._attempted_at + PACE_SECONDS:
            return False
        if self._calls.stalled(ANSWER_SECONDS):
            return False
        self._attempt = quiet(self._calls.request(ANSWER_SECONDS))
        self._attempted_at = now
        return True

    def _take_over(self) -> None:
        began_at = time.monotonic()
        known = self._read()
        with self._taking_over:
            # One that hung for a while has been overtaken.
            if began_at > self.as_of:
                self.known, self.as_of = known, began_at


class TokenFile:
    """The tokens in the file at `path`, as it was when it was good last."""

    def __init__(self, path: Path, telemetry: Telemetry) -> None:
        self._path = path
        self._telemetry = telemetry
        self._seen: tuple[int, ...] | None = None
        self._known = Known({}, {})
        self.refusal: InvalidRules | None = None
        """What is wrong with it as it is now."""

    def read(self) -> Known:
        """Return its tokens; it is read if it changed since the last time."""
        seen = _state(self._path)
        if seen != self._seen:
            self._seen = seen
            self._take_over()
        return self._known

    def forget(self) -> None:
        """Have it read the next time, changed or not."""
        self._seen = None

    def _take_over(self) -> None:
        try:
            tokens = read_token_file(self._path)
        except InvalidRules as error:
            self.refusal = error
            log.error("the file of tokens is not taken over: %s", error)
        else:
            self.refusal = None
            self._known = known(tokens)
            log.info("the file of tokens was read: %d tokens", len(tokens))
        self._telemetry.token_file_read(self.refusal is None)


def _state(path: Path) -> tuple[int, ...]:
    """Return what changes when somebody writes or replaces the file at `path`."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
