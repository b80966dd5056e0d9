"""Takes what is said of runs, together with the metrics that they left."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from pushrelay.config import Settings
from pushrelay.errors import InvalidRequest, LimitExceeded, NotAllowed
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import PushFormat
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY
from pushrelay.push_reader import PushReader
from pushrelay.quoting import quote
from pushrelay.relay import Relay
from pushrelay.rights import Grant, Identity
from pushrelay.run_documents import run_id
from pushrelay.runs import Report
from pushrelay.web.authorisation import require_group, require_series
from pushrelay.web.bodies import INLINE_BODY_BYTES, Bodies, is_short
from pushrelay.web.errors import limit_of, reason_of
from pushrelay.web.exchange import Exchange
from pushrelay.web.noting import keep_refusal
from pushrelay.web.push_request import PushRequest
from pushrelay.writes import Push, Reported, ReportRun

log = logging.getLogger(__name__)

LATE = 300 * 10**9
"""A report that comes so long after the end of its run, in nanoseconds, waited
somewhere. With less, the clocks may differ, and the metrics are newer than what the run
pushed on its way."""

_LOGGED_CHARACTERS = 2_000


class Reports:
    """Reports of runs to `relay`."""

    def __init__(
        self, settings: Settings, relay: Relay, bodies: Bodies, reader: PushReader
    ) -> None:
        self._limits = settings.limits
        self._relay = relay
        self._bodies = bodies
        self._reader = reader

    async def take(self, exchange: Exchange, report: Report, now: int) -> Reported:
        """Store what `exchange` reports at `now` (Unix nanoseconds).

        Metrics that are refused are counted, like refused pushes. Raises what
        `RunCases.report` raises, and LimitExceeded, InvalidLabels and NotAllowed.
        """
        key = report.run.key
        exchange.about = key
        require_group(exchange.identity, key)
        limits = exchange.identity.limits_within(self._limits)
        check_grouping_labels(key, limits)
        report = _within(exchange.identity.grant, report)
        with_push = await self._with_push(report, now, exchange.identity)
        with_push = replace(with_push, may_see=exchange.identity.grant.covers)
        reported = await self._relay.runs.report(with_push)
        if reported.refusal is not None:
            self._note(exchange, key, reported.refusal)
        return reported

    async def _with_push(
        self, report: Report, now: int, identity: Identity
    ) -> ReportRun:
        key, end = report.run.key, report.run.end
        if end is None or report.metrics is None:
            return ReportRun(report)
        body = report.metrics.encode()
        at = _pushed_at(end.finished_at, now)
        read = partial(self._read, report, body, key, at, identity)
        if len(body) <= INLINE_BODY_BYTES and is_short(key):
            return read()
        return await self._bodies.run(read)

    def _read(
        self,
        report: Report,
        body: bytes,
        key: GroupingKey,
        at: int,
        identity: Identity,
    ) -> ReportRun:
        """Return `report` with the push of its metrics `body`, as a POST of `identity`
        to the group `key` at that time would be."""
        policies = self._relay.policies
        rule = policies.rule_of(key)
        mode = PushRequest().mode_under(rule.mode if rule else None)
        limits = policies.limits_of(key, identity.limits_within(self._limits))
        own = None if limits == self._limits else limits
        try:
            text = decode_body(body, None, limits.body_bytes)
            push = self._reader.read(text, PushFormat.TEXT, key, mode, at, own)
            require_series(identity, push)
        except (InvalidRequest, LimitExceeded, NotAllowed) as error:
            return ReportRun(report, Push(key, mode, at, EMPTY), error)
        return ReportRun(report, push)

    def _note(self, exchange: Exchange, key: GroupingKey, refusal: Exception) -> None:
        self._relay.telemetry.rejected(reason_of(refusal), key.job)
        if limit := limit_of(refusal):
            self._relay.telemetry.limit_exceeded(limit)
        keep_refusal("metrics of a run", self._relay, exchange, refusal, key.job)
        fields = {
            "group": str(key)[:_LOGGED_CHARACTERS],
            "reason": str(refusal)[:_LOGGED_CHARACTERS],
        }
        log.warning("metrics of a run refused", extra={"fields": fields})


def _within(grant: Grant, report: Report) -> Report:
    """Return `report` without the expectation if that is about more than `grant`."""
    job = report.run.key.job
    if report.expectation is None or grant.covers_job(job):
        return report
    warning = (
        f"expectation: it is about the whole job {quote(job)}, and this token is for "
        f"{grant}; nothing is expected from now on that was not before"
    )
    return replace(report, expectation=None, warnings=(*report.warnings, warning))


def _pushed_at(finished_at: int, now: int) -> int:
    """Return when metrics count as pushed that come `now`: then, like all pushes, or
    with the end of the run where that came late."""
    return now if now - finished_at < LATE else finished_at


def data_of(reported: Reported) -> dict[str, Any]:
    """Return what the answer to a report says, for JSON."""
    end = reported.run.end
    return {
        "id": run_id(reported.run),
        "replayed": reported.is_replay,
        "warnings": list(reported.warnings),
        "metrics_problems": list(end.problems) if end else [],
    }
