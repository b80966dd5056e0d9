"""What people are told of the store, without asking it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from builders import key_of
from databases import database_url
from postgres_use import opened
from relay_use import Clock, on_loop, open_relay, put
from run_relays import HOUR, ended, report
from sqlalchemy import make_url
from tcp_proxy import TcpProxy
from waiting import wait_until

from pushrelay.config import Limits
from pushrelay.errors import StoreUnavailable
from pushrelay.figures import LimitUse
from pushrelay.relay import Relay
from pushrelay.schedule import Expectation
from pushrelay.telemetry import Telemetry

pytestmark = pytest.mark.usefixtures("rarely")

A, B = key_of("a"), key_of("b")
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@on_loop
async def test_the_store_is_told_of_as_it_is(
    tmp_path: Path, clock: Clock, database_kind: str
) -> None:
    limits = Limits(stored_groups=4, stored_series=8)
    async with open_relay(tmp_path, clock=clock, limits=limits) as relay:
        before = relay.facts()
        assert before.kind == KINDS[database_kind]
        assert before.name == relay._database.name
        assert (before.groups, before.series, before.jobs) == (0, 0, 0)
        assert (before.commit_median, before.commit_p99) == (None, None)
        assert before.is_readable
        await put(relay, A, "x 1\ny 1", at=clock())
        await put(relay, key_of("a", instance="1"), "x 2", at=clock())
        await report(relay, ended(1, clock(), clock(), key=A), Expectation(every=HOUR))
        await report(relay, ended(2, clock(), clock(), key=B))
        assert await relay.refresh()
        after = relay.facts()
        assert after.groups == 2
        assert after.series > 3
        assert after.jobs == 2
        assert after.revision == before.revision + 4
        assert after.is_writable
        assert after.commit_median is not None
        assert after.commit_p99 is not None
        assert 0 < after.commit_median <= after.commit_p99
        used = {use.name: use for use in after.limits}
        assert list(used) == [
            *("stored_groups", "stored_series", "stored_bytes", "database_bytes"),
        ]
        assert used["stored_groups"] == LimitUse("stored_groups", 4, 2)
        assert used["stored_groups"].share == 0.5
        assert used["stored_series"].limit == 8
        assert used["stored_bytes"].used > 0
        wait_until(lambda: relay.facts().size, "the size of the database")


@pytest.mark.parametrize(
    ("name", "flag", "is_bytes"),
    [
        ("stored_groups", "--limit.stored-groups", False),
        ("database_bytes", "--limit.database-bytes", True),
    ],
)
def test_a_limit_says_how_it_is_set(name: str, flag: str, is_bytes: bool) -> None:
    use = LimitUse(name, 10, 20)
    assert (use.flag, use.is_bytes, use.share) == (flag, is_bytes, 2.0)


@pytest.mark.postgres
@on_loop
async def test_it_is_told_of_while_the_database_is_away(
    tmp_path: Path, clock: Clock
) -> None:
    url = make_url(database_url(tmp_path))
    with TcpProxy(url.port or 0) as proxy:
        relay = Relay(opened(url, port=proxy.port), Telemetry(), None, clock)
        relay.start()
        await put(relay, A, "x 1", at=clock())
        proxy.cut()
        proxy.refuses = True
        with pytest.raises(StoreUnavailable):
            await put(relay, A, "x 2", at=clock())
        assert not await relay.refresh()
        away = relay.facts()
        assert not away.is_writable
        assert not away.is_readable
        assert away.groups == 1
        proxy.refuses = False
        await asyncio.to_thread(wait_until, relay.refresh_blocking, "an answer")
        await put(relay, A, "x 2", at=clock())
        assert await relay.refresh()
        back = relay.facts()
        assert back.is_writable
        assert back.is_readable
        await asyncio.to_thread(relay.stop)
