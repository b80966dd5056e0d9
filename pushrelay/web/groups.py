"""Many groups at once: lists of them, and deletions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pushrelay.durations import format_duration
from pushrelay.errors import InvalidRequest
from pushrelay.group_list import Condition, Order, Page, State, page_of
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.relay import Relay
from pushrelay.web.answers import (
    JSON,
    MOST_ENTRIES,
    READ,
    USUAL_LIMIT,
    listing,
    seconds,
)
from pushrelay.web.authorisation import covered
from pushrelay.web.exchange import Exchange, Handlers
from pushrelay.web.noting import note
from pushrelay.web.parameters import Parameters
from pushrelay.web.streaming import Streamer


class Groups:
    """Handles what is asked of many groups.

    All handlers raise what `Relay` raises, and InvalidRequest and ClientGone.
    """

    def __init__(self, relay: Relay, streamer: Streamer) -> None:
        self._relay = relay
        self._streamer = streamer

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {"groups": self.show, "delete_groups": self.delete}

    async def show(self, exchange: Exchange, _rest: str) -> None:
        """Show a page of the groups."""
        await self._relay.refresh()
        # Nothing of it is done before a thread asks for the first part.
        parts = self._listing(exchange, self._relay.now())
        await self._streamer.send(exchange, 200, READ, parts)

    async def delete(self, exchange: Exchange, _rest: str) -> None:
        """Delete the groups that are asked for."""
        parameters = exchange.parameters
        dry_run = parameters.flag("dry_run")
        await self._relay.require_refresh()
        now = self._relay.now()
        condition, found = await self._streamer.run(self._to_delete, exchange, now)
        keys: Sequence[GroupingKey] = [group.key for group in found]
        exchange.about = f"{len(keys)} groups"
        if not dry_run:
            asked = {
                "match": " or ".join(map(str, condition.selectors)),
                "older_than": parameters.one("older_than") or "",
                "state": parameters.one("state") or "",
            }
            note("deleting groups", exchange, {"count": str(len(keys)), **asked})
            wanted = _still_as(found, condition)
            keys = await self._relay.endings.delete_groups(found, wanted)
            note("deleted groups", exchange, {"count": str(len(keys)), **asked})
        data = {"dry_run": dry_run}
        await answer_keys(exchange, self._streamer, data, keys)

    # --- on a thread ---

    def _listing(self, exchange: Exchange, now: int) -> Iterator[bytes]:
        parameters = exchange.parameters
        parameters.require_known(
            "match[]", "state", "older_than", "sort", "limit", "cursor"
        )
        order = parameters.choice("sort", Order) or Order.KEY
        limit = parameters.number("limit", MOST_ENTRIES) or USUAL_LIMIT
        cursor = parameters.one("cursor")
        after = None if cursor is None else order.read_cursor(cursor)
        condition = _condition(parameters, now)
        groups = covered(exchange.identity, self._relay.groups())
        yield from _page(page_of(groups, condition, order, limit, after))

    def _to_delete(
        self, exchange: Exchange, now: int
    ) -> tuple[Condition, Sequence[Group]]:
        parameters = exchange.parameters
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
        groups = covered(exchange.identity, self._relay.groups())
        return condition, condition.choose(groups)


async def answer_keys(
    exchange: Exchange,
    streamer: Streamer,
    data: dict[str, Any],
    keys: Sequence[GroupingKey],
) -> None:
    """Answer with `data` and the groups `keys`."""
    parts = listing(data | {"count": len(keys)}, "groups", map(_labels, keys))
    await streamer.send(exchange, 200, JSON, parts)


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


# --- JSON ---


def _page(page: Page) -> Iterator[bytes]:
    data = {"matching": page.matching, "next": page.next}
    return listing(data, "groups", map(_entry, page.groups))


def _labels(key: GroupingKey) -> dict[str, str]:
    return dict(key.labels)


def _entry(group: Group) -> dict[str, Any]:
    standing, layout = group.standing, group.payload.layout
    stale_after = standing.policy.stale_after if standing else None
    return {
        "labels": _labels(group.key),
        "path": f"metrics/{group.key.path}",
        "state": State.of(group).value,
        "created_at": seconds(group.created_at),
        "pushed_at": seconds(group.pushed_at),
        "failed_at": seconds(group.failed_at),
        "last_push_successful": group.last_push_successful,
        "families": len(layout.families),
        "series": layout.size,
        "stale_after": None if stale_after is None else format_duration(stale_after),
        "stale_at": seconds(standing.stale_at if standing else None),
        "forget_at": seconds(standing.forget_at if standing else None),
    }
