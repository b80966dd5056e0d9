"""What a relay asks of a database that it shares, and how others' writes come to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from builders import commit, key_of, new_database
from databases import database_url
from desks import x
from postgres_use import opened
from relay_use import on_loop, page_of, put, samples
from sqlalchemy import make_url
from tcp_proxy import TcpProxy

from pushrelay.changes import Changes, Position
from pushrelay.relay import Relay
from pushrelay.store.reader import FEW, ReadChanges
from pushrelay.telemetry import Telemetry

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("rarely")]


@asynccontextmanager
async def far_relay(directory: Path) -> AsyncIterator[tuple[Relay, TcpProxy]]:
    """Run a relay that has its database behind a proxy."""
    url = make_url(database_url(directory))
    with TcpProxy(url.port or 0) as proxy:
        relay = Relay(opened(url, port=proxy.port), Telemetry())
        relay.start()
        try:
            yield relay, proxy
        finally:
            await asyncio.to_thread(relay.stop)


class Readings:
    """What `relay` reads of the others' writes: the number of groups, and on which
    thread."""

    def __init__(self, relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
        self._catch_up = relay._decider.catch_up
        self.groups: list[tuple[str, int]] = []
        monkeypatch.setattr(relay._decider, "catch_up", self._noting)

    def _noting(self, read: ReadChanges) -> Position:
        def note(since: Position | None) -> Changes | None:
            changes = read(since)
            if changes is not None:
                thread = threading.current_thread().name.partition("_")[0]
                self.groups.append((thread, len(changes.groups)))
            return changes

        return self._catch_up(note)


def test_a_scrape_with_nothing_new_takes_one_round_trip(tmp_path: Path) -> None:
    @on_loop
    async def test() -> None:
        async with far_relay(tmp_path) as (relay, proxy):
            await put(relay, key_of("a"), "x 1")
            await page_of(relay)
            for _ in range(3):
                before = proxy.turns
                await page_of(relay)
                assert proxy.turns - before == 1

    test()


def test_a_scrape_reads_only_what_others_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_loop
    async def test() -> None:
        others = new_database(tmp_path)
        commit(others, *(x(f"old-{number}") for number in range(50)))
        async with far_relay(tmp_path) as (relay, proxy):
            await put(relay, key_of("own"), "x 1")
            readings = Readings(relay, monkeypatch)
            await page_of(relay)
            commit(others, x("old-1", 2), x("new"))
            before = proxy.turns
            page = await page_of(relay)
            assert proxy.turns - before == 3
            assert readings.groups == [("refresher", 2)]
            assert 'x{instance="",job="old-1"} 2\n' in page
            assert 'x{instance="",job="new"} 1\n' in page
        others.close()

    test()


def test_a_push_after_much_that_others_wrote_is_read_as_a_scrape_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_loop
    async def test() -> None:
        others = new_database(tmp_path)
        async with far_relay(tmp_path) as (relay, _):
            await put(relay, key_of("own"), "x 1")
            readings = Readings(relay, monkeypatch)
            commit(others, *(x(f"new-{number}") for number in range(FEW)))
            await put(relay, key_of("own"), "x 2")
            assert readings.groups == [("refresher", FEW)]
            assert len(await samples(relay)) == FEW + 1
        others.close()

    test()
