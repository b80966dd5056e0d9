"""Pushes, deletions and the wipe: from the request to the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from pushrelay.aggregation import Mode
from pushrelay.config import Settings
from pushrelay.errors import (
    InconsistentPush,
    InvalidGroupingKey,
    InvalidLabels,
    LimitExceeded,
    Problem,
    StoreUnavailable,
)
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import PushFormat, push_format
from pushrelay.exposition.text_locations import locate
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.web.errors import reason_of
from pushrelay.web.exchange import Exchange
from pushrelay.web.interpreter import short_turns
from pushrelay.writes import Push

log = logging.getLogger(__name__)

INLINE_BODY_BYTES = 16 * 1024
"""Decoded bodies up to this size are read on the event loop, in some milliseconds at
the worst; a thread would cost the usual small push more than its reading does."""

INLINE_KEY_BYTES = 1024
"""And only for grouping keys up to this size, since each line of the exposition bears
the key: with one of 60 kB, reading a body of 16 kB took 1.3 seconds."""

READER_THREADS = 2
"""For all others. Scrapes have threads of their own and do not wait for these."""

_REMEMBERED_PATHS = 4096
_REMEMBERED_CHARACTERS = 512
"""Paths up to so long are usual, and their keys are worth remembering."""

_LOGGED_CHARACTERS = 2_000

Result = TypeVar("Result")


class Pushes:
    """Handles what changes groups.

    All handlers raise what `Relay` raises, and InvalidRequest, LimitExceeded,
    RequestTimeout and ClientGone for requests that cannot be read.
    """

    def __init__(self, settings: Settings, relay: Relay) -> None:
        self._limits = settings.limits
        self._utf8_names = settings.utf8_names
        self._known_key = lru_cache(_REMEMBERED_PATHS)(self._key)
        self._reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
        self._relay = relay
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")

    async def push(self, exchange: Exchange, path: str) -> None:
        """Store a push; path: the grouping key as `parse_path` takes it."""
        now = time.time_ns()
        short = len(path) <= _REMEMBERED_CHARACTERS
        key = self._known_key(path) if short else self._key(path)
        try:
            await self._relay.push(await self._read(exchange, key, now))
        except InconsistentPush as refusal:
            await self._locate(exchange, key, refusal)
            raise
        await exchange.answer(200)

    async def delete(self, exchange: Exchange, path: str) -> None:
        """Delete a group; path: as for `push`."""
        await self._relay.delete(parse_path(path, utf8_names=self._utf8_names))
        await exchange.answer(202)

    async def wipe(self, exchange: Exchange, _rest: str) -> None:
        """Delete all groups."""
        await self._relay.wipe()
        await exchange.answer(202)

    def note_rejection(self, exchange: Exchange, path: str, error: Exception) -> None:
        """Count and log that a push or deletion was refused; path: as for `push`."""
        self._relay.telemetry.rejected(reason_of(error), self._job(path))
        fields = {
            "method": exchange.method,
            "path": exchange.raw_path[:_LOGGED_CHARACTERS],
            "client": exchange.client,
            "reason": str(error)[:_LOGGED_CHARACTERS],
        }
        log.log(_level(error), "push refused", extra={"fields": fields})

    def _key(self, path: str) -> GroupingKey:
        """Return the key of a group that may be pushed to."""
        key = parse_path(path, utf8_names=self._utf8_names)
        check_grouping_labels(key, self._limits)
        return key

    def _job(self, path: str) -> str | None:
        try:
            key = parse_path(path, utf8_names=self._utf8_names)
        except InvalidGroupingKey:
            return None
        return key.labels[0][1]

    async def _read(self, exchange: Exchange, key: GroupingKey, now: int) -> Push:
        def read(body: bytes) -> Push:
            return self._parse(exchange, body, key, now)

        return await self._with_body(exchange, key, read)

    async def _locate(
        self, exchange: Exchange, key: GroupingKey, refusal: InconsistentPush
    ) -> None:
        """Tell the lines of the problems to who sees them."""
        format_ = push_format(exchange.header("content-type"))
        if exchange.prefers_json and format_ is PushFormat.TEXT:

            def find(body: bytes) -> list[Problem]:
                return locate(
                    refusal.problems,
                    body,
                    key,
                    self._limits,
                    utf8_names=self._utf8_names,
                )

            refusal.problems = await self._with_body(exchange, key, find)

    async def _with_body(
        self, exchange: Exchange, key: GroupingKey, use: Callable[[bytes], Result]
    ) -> Result:
        """Return what `use` makes of the decoded body, on a thread if that may take
        long."""
        body = await exchange.body()
        encoding = exchange.header("content-encoding")
        if len(body) <= INLINE_BODY_BYTES and len(key.canonical) <= INLINE_KEY_BYTES:
            try:
                # A small body may stand for a large one, and then it is no small one.
                inline = min(INLINE_BODY_BYTES, self._limits.body_bytes)
                decoded = decode_body(body, encoding, inline)
            except LimitExceeded:
                pass
            else:
                return use(decoded)

        def decode_and_use() -> Result:
            return use(decode_body(body, encoding, self._limits.body_bytes))

        loop = asyncio.get_running_loop()
        with short_turns():
            return await loop.run_in_executor(self._threads, decode_and_use)

    def _parse(
        self, exchange: Exchange, body: bytes, key: GroupingKey, now: int
    ) -> Push:
        mode = Mode.REPLACE if exchange.method == "PUT" else Mode.UPDATE
        format_ = push_format(exchange.header("content-type"))
        return self._reader.read(body, format_, key, mode, now)


def _level(error: Exception) -> int:
    """Return how much an operator should care; broken clients are for debugging."""
    if isinstance(error, (InconsistentPush, InvalidLabels)):
        return logging.ERROR
    if isinstance(error, (LimitExceeded, StoreUnavailable)):
        return logging.WARNING
    return logging.DEBUG
