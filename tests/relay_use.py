"""What tests do with a relay in their own process, on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from builders import families_of, new_database

from pushrelay.aggregation import Mode
from pushrelay.exposition.negotiation import negotiate
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry

SECOND = 10**9


@asynccontextmanager
async def open_relay(
    directory: Path,
    policies: Policies | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Relay]:
    """Run a relay of the database in `directory`, which is made if need be."""
    relay = Relay(new_database(directory), Telemetry(), policies, clock)
    relay.start()
    try:
        yield relay
    finally:
        await asyncio.to_thread(relay.stop)


async def put(
    relay: Relay,
    key: GroupingKey,
    body: str,
    *,
    at: int = SECOND,
    mode: Mode = Mode.REPLACE,
    stale_after: int | None = None,
) -> None:
    push = prepare_push(key, families_of(body, key), mode, at)
    await relay.push(replace(push, stale_after=stale_after))


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
