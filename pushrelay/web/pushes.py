"""Pushes, deletions and the wipe: from the request to the store."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from pushrelay.aggregation import Mode
from pushrelay.config import Settings
from pushrelay.errors import (
    InconsistentPush,
    InvalidGroupingKey,
    InvalidLabels,
    InvalidRequest,
    LimitExceeded,
    NotAllowed,
    Overloaded,
    PushrelayError,
    RunConflict,
    RunTooOld,
    StoreUnavailable,
)
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import PushFormat, push_format
from pushrelay.exposition.text_locations import locate
from pushrelay.findings import told_to
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.matchers import Selector
from pushrelay.problems import Problem
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.splitting import parse_by
from pushrelay.web.authorisation import (
    require_all_groups,
    require_group,
    require_series,
)
from pushrelay.web.bodies import Bodies, is_short
from pushrelay.web.errors import reason_of
from pushrelay.web.exchange import Exchange, Handlers, Headers
from pushrelay.web.interpreter import short_turns
from pushrelay.web.noting import keep_refusal, log_refusal
from pushrelay.web.push_request import PushRequest, push_request
from pushrelay.writes import Push, PushAll, receipt_of

_REMEMBERED_PATHS = 4096
_REMEMBERED_CHARACTERS = 512
"""Paths up to so long are usual, and their keys are worth remembering."""


class Pushes:
    """Handles what changes groups.

    All handlers raise what `Relay` raises, and InvalidRequest, LimitExceeded,
    RequestTimeout and ClientGone for requests that cannot be read.
    """

    def __init__(
        self, settings: Settings, relay: Relay, bodies: Bodies, reader: PushReader
    ) -> None:
        self._limits = settings.limits
        self._utf8_names = settings.utf8_names
        self._known_key = lru_cache(_REMEMBERED_PATHS)(self._key)
        self._reader = reader
        self._relay = relay
        self._bodies = bodies

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {
            "push": self.push,
            "push_groups": self.push_groups,
            "delete": self.delete,
            "wipe": self.wipe,
        }

    async def push(self, exchange: Exchange, path: str) -> None:
        """Store a push; path: the grouping key as `parse_path` takes it."""
        now = self._relay.now()
        asked = push_request(exchange)
        short = len(path) <= _REMEMBERED_CHARACTERS
        key = self._known_key(path) if short else self._key(path)
        exchange.about = key
        require_group(exchange.identity, key)
        if exchange.identity.limits is not None:
            check_grouping_labels(key, exchange.identity.limits_within(self._limits))
        try:
            push = await self._read(exchange, key, asked, now)
            replayed = await self._relay.push(push)
        except InconsistentPush as refusal:
            await self._locate(exchange, key, refusal)
            raise told_to(refusal, exchange.identity.grant.covers) from refusal
        await _confirm(exchange, asked, replayed)

    async def push_groups(self, exchange: Exchange, _rest: str) -> None:
        """Store what one body brings to many groups."""
        now = self._relay.now()
        asked = push_request(exchange)
        parameters = exchange.parameters
        parameters.require_known("by", "mode", "stale_after", "dry_run")
        written = parameters.one("by")
        by = parse_by(written, self._limits, utf8_names=self._utf8_names)
        mode_of = partial(self._mode, asked)
        limits = exchange.identity.limits_within(self._limits)
        limits_of = partial(self._relay.policies.limits_of, limits=limits)

        def read(body: bytes) -> PushAll:
            format_ = _format(exchange)
            pushes = self._reader.read_groups(
                body, format_, by, mode_of, now, limits, limits_of
            )
            for push in pushes:
                require_group(exchange.identity, push.key)
                require_series(exchange.identity, push)
            wanted = [_as_asked(push, asked, body) for push in pushes]
            return PushAll(tuple(wanted), asked.dry_run)

        write = await self._bodies.use(
            exchange, limits.body_bytes, read, is_quick=False
        )
        exchange.about = f"{len(write.pushes)} groups"
        try:
            replayed = await self._relay.push(write)
        except InconsistentPush as refusal:
            await self._locate(exchange, None, refusal)
            raise told_to(refusal, exchange.identity.grant.covers) from refusal
        data = {"groups": len(write.pushes)}
        await _confirm(exchange, asked, replayed, {"status": "success", "data": data})

    async def delete(self, exchange: Exchange, path: str) -> None:
        """Delete a group, or those of its series that match; path: as for `push`."""
        key = parse_path(path, utf8_names=self._utf8_names)
        exchange.about = key
        require_group(exchange.identity, key)
        selectors = []
        if exchange.query:
            with short_turns():
                selectors = await asyncio.to_thread(_series_selectors, exchange)
        if selectors:
            with short_turns():
                await self._relay.delete_series(key, selectors)
        else:
            await self._relay.delete(key)
        await exchange.answer(202)

    async def wipe(self, exchange: Exchange, _rest: str) -> None:
        """Delete all groups."""
        require_all_groups(exchange.identity)
        exchange.about = "all groups"
        await self._relay.endings.wipe()
        await exchange.answer(202)

    def note_rejection(self, exchange: Exchange, path: str, error: Exception) -> None:
        """Count that a push or a deletion was refused, keep why, and log it; path: as
        for `push`."""
        if not _is_dry_run(exchange):
            # Who may not push there must not use up the names that are counted.
            is_named = exchange.is_admitted and not isinstance(error, NotAllowed)
            job = self._job(path) if is_named else None
            self._relay.telemetry.rejected(reason_of(error), job)
            what = "deletion" if exchange.method == "DELETE" else "push"
            keep_refusal(what, self._relay, exchange, error, job)
            log_refusal("push refused", _level(error), exchange, error, {})

    def note_refused_report(self, exchange: Exchange, error: Exception) -> None:
        """Count that a report of a run was refused, keep why, and log it with its job.
        Nobody may watch who reports runs, so that all mistakes are told."""
        job = error.job if isinstance(error, PushrelayError) else None
        named = None if isinstance(error, NotAllowed) else job
        level = logging.WARNING if isinstance(error, _MISREPORTED) else _level(error)
        self._relay.telemetry.rejected(reason_of(error), named)
        keep_refusal("report of a run", self._relay, exchange, error, named)
        told = {} if job is None else {"job": job}
        log_refusal("report of a run refused", level, exchange, error, told)

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
        return key.job

    def _mode(self, asked: PushRequest, key: GroupingKey) -> Mode:
        rule = self._relay.policies.rule_of(key)
        return asked.mode_under(rule.mode if rule else None)

    async def _read(
        self, exchange: Exchange, key: GroupingKey, asked: PushRequest, now: int
    ) -> Push:
        limits = exchange.identity.limits_within(self._limits)
        limits = self._relay.policies.limits_of(key, limits)

        def read(body: bytes) -> Push:
            own = None if limits == self._limits else limits
            format_, mode = _format(exchange), self._mode(asked, key)
            push = self._reader.read(body, format_, key, mode, now, own)
            require_series(exchange.identity, push)
            return _as_asked(push, asked, body)

        return await self._bodies.use(
            exchange, limits.body_bytes, read, is_quick=is_short(key)
        )

    async def _locate(
        self, exchange: Exchange, key: GroupingKey | None, refusal: InconsistentPush
    ) -> None:
        """Tell the lines of the problems to who sees them."""
        if not exchange.prefers_json or _format(exchange) is not PushFormat.TEXT:
            return

        def find(body: bytes) -> list[Problem]:
            return locate(
                refusal.problems, body, key, self._limits, utf8_names=self._utf8_names
            )

        refusal.problems = await self._bodies.use(
            exchange,
            self._limits.body_bytes,
            find,
            is_quick=key is not None and is_short(key),
        )


def _series_selectors(exchange: Exchange) -> list[Selector]:
    parameters = exchange.parameters
    selectors = parameters.selectors(of_series=True)
    if selectors:
        parameters.require_known("match[]")
    # Who gives one of these does not mean the whole group.
    parameters.require_none_of("match", "dry_run", "older_than", "state")
    if any(selector.matches({}) for selector in selectors):
        raise InvalidRequest(
            "a selector of series must have a name, or a matcher that does not match "
            "the empty value; to delete the group, give no selector"
        )
    return selectors


def _format(exchange: Exchange) -> PushFormat:
    return push_format(exchange.header("content-type"))


def _is_dry_run(exchange: Exchange) -> bool:
    try:
        return bool(exchange.query) and exchange.parameters.flag("dry_run")
    except InvalidRequest:
        return False


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


_MISREPORTED = (InvalidRequest, RunConflict, RunTooOld)


def _level(error: Exception) -> int:
    """Return how much an operator should care; broken clients are for debugging."""
    if isinstance(error, (InconsistentPush, InvalidLabels)):
        return logging.ERROR
    # Overload would be logged thousands of times; it is counted, and told now and then.
    if isinstance(error, (LimitExceeded, StoreUnavailable)) and not isinstance(
        error, Overloaded
    ):
        return logging.WARNING
    return logging.DEBUG
