"""Takes over groups from elsewhere with their times: `POST /api/v1/admin/import`.

A line of the body is a group, a JSON object:

    labels                its grouping labels
    pushed_at_ns          time of its last accepted push, Unix nanoseconds
    failed_at_ns          and of the last refused one; either may be null or absent
    families              what was pushed: `io.prometheus.client.MetricFamily` messages,
                          each behind its length, in base64
    families_pushed_at_ns by name, the times of families that the last push left alone
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pushrelay.aggregation import Mode
from pushrelay.config import Settings
from pushrelay.errors import InconsistentPush, InvalidRequest, LimitExceeded
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import PushFormat
from pushrelay.grouping_key import parse_labels
from pushrelay.groups import Group, Payload
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.web.authorisation import require_all_groups
from pushrelay.web.exchange import Exchange
from pushrelay.web.interpreter import short_turns
from pushrelay.writes import NOT_OLDER, Import

CONTENT_TYPE = "application/x-ndjson"
"""Asked for, because a foreign web page cannot make a browser send it unasked."""

_FIELDS = {
    "labels",
    "pushed_at_ns",
    "failed_at_ns",
    "families",
    "families_pushed_at_ns",
}
_LATEST = 2**63 - 1
_CLOCKS_DIFFER = 300 * 10**9
"""How far ahead the clock of the other side may be, in nanoseconds."""

_UNREADABLE = (InvalidRequest, InconsistentPush, LimitExceeded)


@dataclass(frozen=True, slots=True)
class _Line:
    """What a line says of a group; times in Unix nanoseconds, 0 for never."""

    labels: dict[str, str]
    pushed_at: int
    failed_at: int
    families: bytes
    families_pushed_at: dict[str, int]


class Importing:
    """Handles imports into `relay`."""

    def __init__(self, settings: Settings, relay: Relay) -> None:
        self._limits = settings.limits
        self._utf8_names = settings.utf8_names
        self._reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
        self._relay = relay

    async def take_over(self, exchange: Exchange, _rest: str) -> None:
        """Import the groups of the body as far as they are new and acceptable.

        Raises what `Relay.import_groups` raises, and InvalidRequest, LimitExceeded,
        RequestTimeout and ClientGone for requests that cannot be read.
        """
        require_all_groups(exchange.identity)
        exchange.about = "an import"
        _check_content_type(exchange.header("content-type"))
        exchange.parameters.require_known("dry_run")
        dry_run = exchange.parameters.flag("dry_run")
        body, encoding = await exchange.body(), exchange.header("content-encoding")
        with short_turns():
            groups, refused = await asyncio.to_thread(self._read, body, encoding)
        answers = await self._relay.import_groups(Import(tuple(groups), dry_run))
        skipped: list[dict[str, Any]] = []
        for group, reason in zip(groups, answers, strict=True):
            if reason is not None:
                left_out = skipped if reason == NOT_OLDER else refused
                left_out.append(_left_out(dict(group.key.labels), reason))
        data = {
            "dry_run": dry_run,
            "imported": answers.count(None),
            "skipped": skipped,
            "refused": refused,
        }
        answer = json.dumps({"status": "success", "data": data}).encode()
        await exchange.answer(200, answer, "application/json")

    def _read(
        self, body: bytes, encoding: str | None
    ) -> tuple[list[Group], list[dict[str, Any]]]:
        """Return the groups of the body, and those that cannot be groups here."""
        decoded = decode_body(body, encoding, self._limits.body_bytes)
        groups, refused = [], []
        left = self._limits.rendered_bytes
        # All lines are read first: one that is broken leaves nothing half done.
        lines = list(_lines(decoded))
        self._require_number(len(lines))
        for line in lines:
            try:
                groups.append(self._group(line))
            except _UNREADABLE as error:
                refused.append(_left_out(line.labels, str(error)))
                continue
            left -= groups[-1].payload.bytes
            if left < 0:
                raise LimitExceeded(
                    "rendered_bytes",
                    "the groups of the import would together take more than "
                    f"{self._limits.rendered_bytes} bytes; import some at a time",
                )
        return groups, refused

    def _require_number(self, groups: int) -> None:
        # Pushes wait for the one commit.
        if groups > self._limits.groups:
            raise LimitExceeded(
                "groups",
                f"the import has {groups} groups, and the limit is "
                f"{self._limits.groups}; import some at a time",
            )

    def _group(self, line: _Line) -> Group:
        key = parse_labels(line.labels, utf8_names=self._utf8_names)
        check_grouping_labels(key, self._limits)
        times = [line.pushed_at, line.failed_at, *line.families_pushed_at.values()]
        if max(times) > self._relay.now() + _CLOCKS_DIFFER:
            raise InvalidRequest(
                "it has a time in the future and would stay fresh until long after "
                "then; compare the clocks of both machines"
            )
        push = self._reader.read(
            line.families, PushFormat.PROTOBUF, key, Mode.REPLACE, line.pushed_at
        )
        if push.refusal is not None:
            raise push.refusal
        payload = Payload.of(
            replace(
                family,
                pushed_at=line.families_pushed_at.get(family.name, line.pushed_at),
            )
            for family in push.payload.families()
        )
        created_at = min([at for at in times if at], default=0)
        return Group(key, 0, line.pushed_at, line.failed_at, payload, created_at)


def _check_content_type(content_type: str | None) -> None:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != CONTENT_TYPE:
        raise InvalidRequest(
            f"an import is a group a line, as JSON; send it with `Content-Type: "
            f"{CONTENT_TYPE}`"
        )


def _left_out(labels: dict[str, str], reason: str) -> dict[str, Any]:
    return {"labels": labels, "reason": reason}


def _lines(body: bytes) -> Iterator[_Line]:
    """Yield what the lines of `body` say. Raises InvalidRequest, with the line."""
    for number, text in enumerate(body.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            yield _line(json.loads(text))
        except (ValueError, RecursionError) as error:
            problem = "it is nested too deeply"
            if isinstance(error, ValueError):
                problem = str(error)
            raise InvalidRequest(f"line {number} of the import: {problem}") from None


def _line(document: Any) -> _Line:
    """Return what `document` says. Raises ValueError."""
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    unknown = set(document) - _FIELDS
    if unknown:
        raise ValueError(f"it has a field that is not known: {min(unknown)!a}")
    line = _Line(
        _labels(document.get("labels")),
        _time("pushed_at_ns", document.get("pushed_at_ns")),
        _time("failed_at_ns", document.get("failed_at_ns")),
        _messages(document.get("families", "")),
        _times(document.get("families_pushed_at_ns", {})),
    )
    if line.families and not line.pushed_at:
        raise ValueError("there are families, so pushed_at_ns must say when they came")
    if not (line.pushed_at or line.failed_at):
        raise ValueError(
            "neither pushed_at_ns nor failed_at_ns says when it was pushed"
        )
    return line


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(text, str) for text in value.values()
    ):
        raise ValueError("labels must be an object whose values are strings")
    return value


def _time(name: str, value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise ValueError(f"a time of {name} is not null or whole Unix nanoseconds")
    return value


def _messages(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("families must be a string of base64")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise ValueError(f"families is not base64: {error}") from None


def _times(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("families_pushed_at_ns must be an object of times by name")
    times = {name: _time("families_pushed_at_ns", at) for name, at in value.items()}
    return {name: at for name, at in times.items() if at}
