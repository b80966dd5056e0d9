"""Pages ask for runs with a deadline, whatever the database does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from builders import key_of
from databases import database_url
from postgres_use import opened
from relay_use import Clock, on_loop, open_relay
from run_builders import run_id
from run_relays import HOUR, A, begun, ended, report
from sqlalchemy import make_url
from tcp_proxy import Link, TcpProxy
from waiting import wait_until

from pushrelay import page_runs, store_health
from pushrelay.config import Freshness
from pushrelay.errors import StoreUnavailable
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome, Run
from pushrelay.schedule import Expectation
from pushrelay.store.run_list import find_run
from pushrelay.store.run_marks import last_marks
from pushrelay.store.run_pruning import prune_runs
from pushrelay.telemetry import Telemetry

pytestmark = pytest.mark.usefixtures("rarely")

B = key_of("b")
SECOND = 10**9
LIMITED = Expectation(max_runtime=HOUR)


async def marks_of(relay: Relay, key: bytes = A.id, most: int = 30) -> list[RunMark]:
    found = await asyncio.to_thread(relay.runs.marks_of_keys, [key], most)
    return found[key]


def numbers(marks: list[RunMark]) -> list[int]:
    return [int.from_bytes(mark.id, "big") for mark in marks]


@on_loop
async def test_pages_are_told_which_runs_are_abandoned(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), LIMITED)
        clock.go(3600)
        await report(relay, ended(2, clock(), clock() + SECOND, Outcome.FAILURE))
        clock.go(2)
        await report(relay, begun(3, clock()))
        told = [(1, None, True), (2, Outcome.FAILURE, False), (3, None, False)]
        marks = await marks_of(relay)
        assert told == [
            (number, mark.outcome, mark.is_abandoned)
            for number, mark in zip(numbers(marks), marks, strict=True)
        ]
        for mark in marks:
            found_run = await asyncio.to_thread(relay.runs.find_blocking, mark.id)
            assert found_run == await relay.runs.find(mark.id)
            assert found_run is not None
            assert found_run.is_abandoned == mark.is_abandoned
        assert await asyncio.to_thread(relay.runs.find_blocking, run_id(9)) is None


@on_loop
async def test_the_last_runs_are_told_oldest_first(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        start = clock()
        for number in range(1, 6):
            await report(relay, ended(number, start + number, start + 10))
        assert numbers(await marks_of(relay, most=3)) == [3, 4, 5]


@on_loop
async def test_runs_whose_documents_were_let_go_are_told_without_them(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        for number in range(1, 4):
            await report(relay, ended(number, clock() - 10 + number, clock()))
        prune_runs(relay._database, 2, 10**18, clock())
        marks = await marks_of(relay)
        assert numbers(marks) == [1, 2, 3]
        assert [mark.is_listed for mark in marks] == [False, True, True]
        assert await asyncio.to_thread(relay.runs.find_blocking, run_id(1)) is None


@on_loop
async def test_nothing_is_told_of_what_is_forgotten_or_was_never_known(
    tmp_path: Path, clock: Clock
) -> None:
    daily = Policies(Freshness(forget_after=24 * HOUR))
    async with open_relay(tmp_path, daily, clock) as relay:
        await report(relay, ended(1, clock(), clock()))
        clock.go(3600)
        await report(relay, ended(2, clock(), clock(), key=B))
        clock.go(23 * 3600)
        assert await marks_of(relay) == []
        assert numbers(await marks_of(relay, B.id)) == [2]
        assert await marks_of(relay, b"?" * 32) == []


@on_loop
async def test_a_run_that_ends_while_a_page_reads_is_not_taken_for_abandoned(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()))

        def end() -> None:
            run = ended(1, clock(), clock() + 1)
            asyncio.run_coroutine_threadsafe(report(relay, run), loop).result(30)
            assert relay.refresh_blocking()

        def read_and_end(*asked: Any) -> Any:
            found = last_marks(*asked)
            end()
            return found

        monkeypatch.setattr(page_runs, "last_marks", read_and_end)
        [mark] = await marks_of(relay)
        assert mark == RunMark(run_id(1), A.id, clock(), clock() + 1, Outcome.SUCCESS)


@on_loop
async def test_a_run_that_another_relay_begins_is_not_taken_for_abandoned(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with (
        open_relay(tmp_path, clock=clock) as relay,
        open_relay(tmp_path, clock=clock) as other,
    ):
        await report(relay, ended(1, clock(), clock()))
        begun_elsewhere: list[Run] = []

        def begin(*asked: Any) -> Any:
            if not begun_elsewhere:
                begun_elsewhere.append(run := begun(2, clock() + 1))
                asyncio.run_coroutine_threadsafe(report(other, run), loop).result(30)
            return last_marks(*asked)

        monkeypatch.setattr(page_runs, "last_marks", begin)
        marks = await marks_of(relay)
        assert numbers(marks) == [1, 2]
        assert not any(mark.is_abandoned for mark in marks)

        def begin_another(*asked: Any) -> Any:
            run = begun(3, clock() + 2)
            asyncio.run_coroutine_threadsafe(report(other, run), loop).result(30)
            return find_run(*asked)

        monkeypatch.setattr(page_runs, "find_run", begin_another)
        found = await asyncio.to_thread(relay.runs.find_blocking, run_id(3))
        assert found is not None
        assert not found.is_abandoned


@pytest.mark.postgres
@pytest.mark.system
@on_loop
async def test_pages_do_not_wait_for_a_server_that_loses_what_they_ask(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_runs, "ANSWER_SECONDS", 0.3)
    # On a busy machine, the database is not taken for dead.
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 30.0)
    url = make_url(database_url(tmp_path))
    with TcpProxy(url.port or 0) as proxy:
        relay = Relay(opened(url, port=proxy.port), Telemetry(), None, clock)
        relay.start()
        await report(relay, ended(1, clock(), clock()))
        lost = []

        def lose(link: Link, data: bytes) -> bool:
            if b"is_listed" in data:
                lost.append(link)
            return link not in lost

        proxy.before = lose
        for told in ("within 0.3 s", "within 0.3 s", "earlier requests", "earlier"):
            with pytest.raises(StoreUnavailable, match=told):
                await marks_of(relay)
        await asyncio.to_thread(
            wait_until, lambda: len(lost) == page_runs.PAGE_THREADS, "that all hang"
        )
        # Others ask as before.
        assert await relay.runs.find(run_id(1)) is not None
        proxy.before = lambda _link, _data: True
        for link in lost:
            link.cut()
        deadline = time.monotonic() + 30
        marks: list[RunMark] = []
        while not marks and time.monotonic() < deadline:
            with suppress(StoreUnavailable):
                marks = await marks_of(relay)
        assert numbers(marks) == [1]
        await asyncio.to_thread(relay.stop)


@pytest.mark.postgres
@pytest.mark.system
@on_loop
async def test_pages_do_not_ask_a_server_that_is_known_not_to_answer(
    tmp_path: Path, clock: Clock
) -> None:
    url = make_url(database_url(tmp_path))
    with TcpProxy(url.port or 0) as proxy:
        relay = Relay(opened(url, port=proxy.port), Telemetry(), None, clock)
        relay.start()
        await report(relay, ended(1, clock(), clock()))
        proxy.cut()
        proxy.refuses = True
        asks: list[Callable[[], object]] = [
            lambda: relay.runs.marks_of_keys([A.id], 1),
            lambda: relay.runs.find_blocking(run_id(1)),
        ]
        for ask in asks:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await asyncio.to_thread(ask)
        proxy.refuses = False
        await asyncio.to_thread(wait_until, relay.refresh_blocking, "an answer")
        assert numbers(await marks_of(relay)) == [1]
        await asyncio.to_thread(relay.stop)


@on_loop
async def test_many_runs_are_found_at_once(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()))
        await report(relay, ended(2, clock(), clock() + SECOND))
        ids = [run_id(number) for number in (1, 2, 3)]
        found = await asyncio.to_thread(relay.runs.find_all_blocking, ids)
        assert found == {id_: await relay.runs.find(id_) for id_ in ids[:2]}
