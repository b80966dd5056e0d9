"""Pushes, deletions and the wipe: from the request to the store."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar

from pushrelay.aggregation import Mode
from pushrelay.config import Limits, Settings
from pushrelay.errors import (
    InconsistentPush,
    InvalidLabels,
    LimitExceeded,
    StoreUnavailable,
)
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import PushFormat, push_format
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.splitting import parse_by
from pushrelay.web.exchange import Exchange, Headers
from pushrelay.web.interpreter import short_turns
from pushrelay.web.push_request import PushRequest, push_request
from pushrelay.writes import Push, PushAll, receipt_of

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

Read = TypeVar("Read", Push, PushAll)


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
        asked = push_request(exchange)
        short = len(path) <= _REMEMBERED_CHARACTERS
        key = self._known_key(path) if short else self._key(path)
        push = await self._read(exchange, key, asked, now)
        await _confirm(exchange, asked, await self._relay.push(push))

    async def push_groups(self, exchange: Exchange, _rest: str) -> None:
        """Store what one body brings to many groups."""
        now = time.time_ns()
        asked = push_request(exchange)
        written = exchange.parameters.one("by")
        by = parse_by(written, utf8_names=self._utf8_names)
        body, encoding = await exchange.body(), exchange.header("content-encoding")

        def read() -> PushAll:
            decoded = decode_body(body, encoding, self._limits.body_bytes)
            pushes = self._reader.read_groups(
                decoded, _format(exchange), by, partial(self._mode, asked), now
            )
            return PushAll(
                tuple([_as_asked(push, asked, decoded) for push in pushes]),
                asked.dry_run,
            )

        pushes = await self._on_thread(read)
        replayed = await self._relay.push(pushes)
        document = {"status": "success", "data": {"groups": len(pushes.pushes)}}
        await _confirm(exchange, asked, replayed, document)

    async def delete(self, exchange: Exchange, path: str) -> None:
        """Delete a group; path: as for `push`."""
        await self._relay.delete(parse_path(path, utf8_names=self._utf8_names))
        await exchange.answer(202)

    async def wipe(self, exchange: Exchange, _rest: str) -> None:
        """Delete all groups."""
        await self._relay.wipe()
        await exchange.answer(202)

    def note_rejection(self, exchange: Exchange, error: Exception) -> None:
        """Count and log that a push or deletion was refused."""
        self._relay.telemetry.rejected(getattr(error, "reason", "internal"))
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

    def _mode(self, asked: PushRequest, key: GroupingKey) -> Mode:
        rule = self._relay.policies.rule_of(key)
        return asked.mode_under(rule.mode if rule else None)

    async def _read(
        self, exchange: Exchange, key: GroupingKey, asked: PushRequest, now: int
    ) -> Push:
        body, encoding = await exchange.body(), exchange.header("content-encoding")
        rule = self._relay.policies.rule_of(key)
        limits = rule.limits.within(self._limits) if rule else self._limits
        parse = partial(self._parse, exchange, key, asked, now, limits)
        if len(body) <= INLINE_BODY_BYTES and len(key.canonical) <= INLINE_KEY_BYTES:
            try:
                # A small body may stand for a large one, and then it is no small one.
                inline = min(INLINE_BODY_BYTES, limits.body_bytes)
                decoded = decode_body(body, encoding, inline)
            except LimitExceeded:
                pass
            else:
                return parse(decoded)
        return await self._on_thread(
            lambda: parse(decode_body(body, encoding, limits.body_bytes))
        )

    async def _on_thread(self, read: Callable[[], Read]) -> Read:
        loop = asyncio.get_running_loop()
        with short_turns():
            return await loop.run_in_executor(self._threads, read)

    def _parse(
        self,
        exchange: Exchange,
        key: GroupingKey,
        asked: PushRequest,
        now: int,
        limits: Limits,
        body: bytes,
    ) -> Push:
        mode = self._mode(asked, key)
        own = None if limits == self._limits else limits
        push = self._reader.read(body, _format(exchange), key, mode, now, own)
        return _as_asked(push, asked, body)


def _format(exchange: Exchange) -> PushFormat:
    return push_format(exchange.header("content-type"))


def _as_asked(push: Push, asked: PushRequest, body: bytes) -> Push:
    """Return `push` of the decoded `body` with what else was asked."""
    key = asked.idempotency_key
    if key is None and asked.stale_after is None and not asked.dry_run:
        return push
    return replace(
        push,
        stale_after=asked.stale_after,
        receipt=None if key is None else receipt_of(push.key, key, body, push.at),
        dry_run=asked.dry_run,
    )


async def _confirm(
    exchange: Exchange, asked: PushRequest, replayed: bool, document: Any = None
) -> None:
    """Answer a push that was accepted."""
    headers: Headers = ()
    if replayed:
        headers += (("Idempotency-Replayed", "true"),)
    if asked.dry_run:
        headers += (("X-Pushrelay-Dry-Run", "true"),)
    if document is None:
        await exchange.answer(200, headers=headers)
    else:
        body = json.dumps(document).encode()
        await exchange.answer(200, body, "application/json", headers)


def _level(error: Exception) -> int:
    """Return how much an operator should care; broken clients are for debugging."""
    if isinstance(error, (InconsistentPush, InvalidLabels)):
        return logging.ERROR
    if isinstance(error, (LimitExceeded, StoreUnavailable)):
        return logging.WARNING
    return logging.DEBUG
