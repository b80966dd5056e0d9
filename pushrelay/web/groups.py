"""Many groups at once: lists of them, deletions, and the end of a job."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pushrelay.durations import format_duration
from pushrelay.errors import InvalidRequest
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.group_list import Condition, Order, Page, State, page_of
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import is_utf8
from pushrelay.relay import Relay
from pushrelay.web.exchange import Exchange, Headers
from pushrelay.web.parameters import Parameters
from pushrelay.web.query_api import READ_CORS_HEADERS
from pushrelay.web.streaming import Streamer

log = logging.getLogger(__name__)

USUAL_LIMIT = 100
MOST_GROUPS = 1000
"""On a page."""

_JSON: Headers = (("Content-Type", "application/json"),)
_LOGGED_CHARACTERS = 2_000


class Groups:
    """Handles what is asked of many groups.

    All handlers raise what `Relay` raises, and InvalidRequest and ClientGone.
    """

    def __init__(self, relay: Relay, streamer: Streamer) -> None:
        self._relay = relay
        self._streamer = streamer

    async def show(self, exchange: Exchange, _rest: str) -> None:
        """Show a page of the groups."""
        await self._relay.refresh()
        # Nothing of it is done before a thread asks for the first part.
        parts = self._listing(exchange.parameters, time.time_ns())
        await self._streamer.send(exchange, 200, (*_JSON, *READ_CORS_HEADERS), parts)

    async def delete(self, exchange: Exchange, _rest: str) -> None:
        """Delete the groups that are asked for."""
        parameters = exchange.parameters
        dry_run = parameters.flag("dry_run")
        await self._relay.require_refresh()
        now = time.time_ns()
        condition, found = await self._streamer.run(self._to_delete, parameters, now)
        keys: Sequence[GroupingKey] = [group.key for group in found]
        if not dry_run:
            asked = {
                "match": " or ".join(map(str, condition.selectors)),
                "older_than": parameters.one("older_than") or "",
                "state": parameters.one("state") or "",
            }
            _note("deleting groups", exchange, len(keys), asked)
            wanted = _still_as(found, condition)
            keys = await self._relay.endings.delete_groups(found, wanted)
            _note("deleted groups", exchange, len(keys), asked)
        await self._answer_keys(exchange, {"dry_run": dry_run}, keys)

    async def retire(self, exchange: Exchange, job: str) -> None:
        """Forget `job`, all that stands behind the path's fixed part."""
        parameters = exchange.parameters
        parameters.require_known("dry_run")
        dry_run = parameters.flag("dry_run")
        if not is_utf8(job):
            raise InvalidRequest("the name of the job is not valid UTF-8")
        keys = await self._relay.endings.retire(job, dry_run=dry_run)
        if not dry_run:
            _note("retired a job", exchange, len(keys), {"job": job})
        await self._answer_keys(exchange, {"dry_run": dry_run, "job": job}, keys)

    # --- on a thread ---

    def _listing(self, parameters: Parameters, now: int) -> Iterator[bytes]:
        parameters.require_known(
            "match[]", "state", "older_than", "sort", "limit", "cursor"
        )
        order = parameters.choice("sort", Order) or Order.KEY
        limit = parameters.number("limit", MOST_GROUPS) or USUAL_LIMIT
        cursor = parameters.one("cursor")
        after = None if cursor is None else order.read_cursor(cursor)
        condition = _condition(parameters, now)
        yield from _page(page_of(self._relay.groups(), condition, order, limit, after))

    def _to_delete(
        self, parameters: Parameters, now: int
    ) -> tuple[Condition, Sequence[Group]]:
        parameters.require_known("match[]", "state", "older_than", "dry_run")
        condition = _condition(parameters, now)
        has_matcher = condition.selectors and not any(
            selector.is_empty for selector in condition.selectors
        )
        if not (has_matcher or parameters.duration("older_than")):
            raise InvalidRequest(
                'say which groups to delete: match[]={job="x"}, or older_than=7d, or '
                "both; a selector without matchers and an age of 0 say nothing"
            )
        return condition, condition.choose(self._relay.groups())

    async def _answer_keys(
        self, exchange: Exchange, data: dict[str, Any], keys: Sequence[GroupingKey]
    ) -> None:
        parts = _document(data | {"count": len(keys)}, map(_labels, keys))
        await self._streamer.send(exchange, 200, _JSON, parts)


def _condition(parameters: Parameters, now: int) -> Condition:
    older_than = parameters.duration("older_than")
    return Condition(
        parameters.selectors(),
        parameters.choice("state", State),
        None if older_than is None else now - older_than,
    )


def _still_as(found: Sequence[Group], condition: Condition) -> Callable[[Group], bool]:
    """Return what says whether one of `found` has not changed since then, and fulfils
    `condition` as it did."""
    # They were found at one revision of the store; each change has a later one.
    newest = max([group.revision for group in found], default=0)
    # Labels do not change.
    other = replace(condition, selectors=())
    return lambda group: group.revision <= newest and other.matches(group)


def _note(what: str, exchange: Exchange, count: int, asked: dict[str, str]) -> None:
    """Log who does it, to how many groups, and which were asked for."""
    told = {name: value[:_LOGGED_CHARACTERS] for name, value in asked.items() if value}
    fields = {"client": exchange.client, "count": str(count), **told}
    log.info(what, extra={"fields": fields})


# --- JSON ---


def _page(page: Page) -> Iterator[bytes]:
    data = {"matching": page.matching, "next": page.next}
    return _document(data, map(_entry, page.groups))


def _document(
    data: dict[str, Any], groups: Iterator[dict[str, Any]]
) -> Iterator[bytes]:
    """Yield the answer with `data` and `groups` piece by piece."""
    head = _dump({"status": "success", "data": data}).removesuffix(b"}}")
    yield head + b',"groups":['
    for position, group in enumerate(groups):
        yield (b"," if position else b"") + _dump(group)
    yield b"]}}"


# `json.dumps` would make one for each group.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def _dump(value: Any) -> bytes:
    return _to_json(value).encode()


def _labels(key: GroupingKey) -> dict[str, str]:
    return dict(key.labels)


def _entry(group: Group) -> dict[str, Any]:
    standing, layout = group.standing, group.payload.layout
    stale_after = standing.policy.stale_after if standing else None
    return {
        "labels": _labels(group.key),
        "path": f"metrics/{group.key.path}",
        "state": State.of(group).value,
        "created_at": _seconds(group.created_at),
        "pushed_at": _seconds(group.pushed_at),
        "failed_at": _seconds(group.failed_at),
        "last_push_successful": group.last_push_successful,
        "families": len(layout.families),
        "series": layout.size,
        "stale_after": None if stale_after is None else format_duration(stale_after),
        "stale_at": _seconds(standing.stale_at if standing else None),
        "forget_at": _seconds(standing.forget_at if standing else None),
    }


def _seconds(nanoseconds: int | None) -> float | None:
    """Return a time that is 0 or None for never."""
    return nanoseconds / NANOSECONDS if nanoseconds else None
