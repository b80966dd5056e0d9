"""What tests do with a relay in their own process, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from builders import families_of, new_database
from databases import database_in

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.exposition.negotiation import negotiate
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.store.reader import read_snapshot
from pushrelay.store.receipts import Receipt
from pushrelay.telemetry import Telemetry

SECOND = 10**9


@asynccontextmanager
async def open_relay(
    directory: Path,
    policies: Policies | None = None,
    clock: Callable[[], int] | None = None,
    sync: str = "normal",
    limits: Limits | None = None,
) -> AsyncIterator[Relay]:
    """Run a relay of the database in `directory`, which is made if need be."""
    database = new_database(directory, sync)
    relay = Relay(database, Telemetry(), policies, clock, limits)
    relay.start()
    try:
        yield relay
    finally:
        await asyncio.to_thread(relay.stop)


@asynccontextmanager
async def two_relays(
    directory: Path, clock: Clock
) -> AsyncIterator[tuple[Relay, Relay]]:
    """Run two replicas of one database."""
    async with (
        open_relay(directory, clock=clock) as one,
        open_relay(directory, clock=clock) as other,
    ):
        yield one, other


async def put(
    relay: Relay,
    key: GroupingKey,
    body: str,
    *,
    at: int = SECOND,
    mode: Mode = Mode.REPLACE,
    stale_after: int | None = None,
    receipt: Receipt | None = None,
) -> bool:
    push = prepare_push(key, families_of(body, key), mode, at)
    return await relay.push(replace(push, stale_after=stale_after, receipt=receipt))


async def samples(relay: Relay) -> list[str]:
    """The pushed lines of the page without the push times."""
    return [
        line
        for line in (await page_of(relay)).splitlines()
        if 'job="' in line and not line.startswith("push_")
    ]


async def post(relay: Relay, key: GroupingKey, body: str, *, at: int = SECOND) -> None:
    await put(relay, key, body, at=at, mode=Mode.UPDATE)


async def page_of(relay: Relay) -> str:
    page = await relay.exposition(negotiate(None))
    return b"".join(page.chunks()).decode()


def groups_of(relay: Relay) -> list[Group]:
    """Return all groups, as who asks for them finds them."""
    assert relay.refresh_blocking()
    return relay.groups()


async def group(relay: Relay, key: GroupingKey) -> Group | None:
    """Return the group `key` if there is one."""
    await relay.refresh()
    return next((found for found in groups_of(relay) if found.key == key), None)


def stored_groups(directory: Path) -> dict[GroupingKey, Group]:
    """Return the groups that have rows in the database in `directory`."""
    database = database_in(directory)
    changes = read_snapshot(database, None)
    database.close()
    assert changes is not None
    groups = [group for group in changes.groups if isinstance(group, Group)]
    return {group.key: group for group in groups}


class Clock:
    """A clock that stands still until it is told to go on. now: Unix nanoseconds."""

    def __init__(self, now: int = 1_795_000_000 * SECOND) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        """Go on, or back."""
        self.now += round(seconds * SECOND)


async def series_of(relay: Relay) -> dict[str, float]:
    """Return all series that a scrape shows, and their values."""
    lines = (await page_of(relay)).splitlines()
    series = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {head: float(value) for head, _, value in series}


async def shown(relay: Relay) -> dict[str, float]:
    """Return what of these belongs to groups and jobs."""
    series = await series_of(relay)
    return {head: value for head, value in series.items() if 'job="' in head}


async def names_shown(relay: Relay) -> set[str]:
    """Return the names of what a scrape shows of groups and jobs, but for the times of
    pushes."""
    names = {head.partition("{")[0] for head in await shown(relay)}
    return names - {"push_time_seconds", "push_failure_time_seconds"}


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run `test` on an event loop of its own."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run
