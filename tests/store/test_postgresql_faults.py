"""Lost confirmations of commits, connections that are cut, servers that restart."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty

import pytest
from builders import key_of, new_database
from databases import Databases, database_url, taking_from
from desks import Desk, Number, x
from postgres_server import (
    FAST,
    IMMEDIATE,
    PATIENCE,
    PostgresServer,
    find_programs,
    run_sql,
)
from postgres_use import cut_all, wait_until
from relay_use import on_loop, open_relay, page_of, put, samples
from sqlalchemy import URL, make_url
from tcp_proxy import Link, TcpProxy, hang_up

from pushrelay.errors import StoreUnavailable
from pushrelay.relay import Relay
from pushrelay.store import postgres_session
from pushrelay.store.reader import newest_position

pytestmark = [pytest.mark.postgres, pytest.mark.system]

SYNC = b"S\0\0\0\4"
"""What has a server do all that was sent, and say so."""
WAITS_FOR_A_LOCK = "wait_event_type = 'Lock'"


# --- commits whose confirmation is lost ---


@pytest.fixture
def desk(far_desk: Desk) -> Desk:
    return far_desk


def at_the_next_commit(proxy: TcpProxy, act: Callable[[Link, bytes], bool]) -> None:
    """Have this done with the commit that is sent next; whether it is passed on."""

    def look(link: Link, data: bytes) -> bool:
        if b"COMMIT\0" not in data:
            return True
        proxy.before = lambda _link, _data: True
        return act(link, data)

    proxy.before = look


def test_a_commit_that_took_place_is_found_out(desk: Desk, proxy: TcpProxy) -> None:
    def pass_on_and_cut(link: Link, _: bytes) -> bool:
        link.loses_answer = True
        return True

    at_the_next_commit(proxy, pass_on_and_cut)
    assert desk.write(x("a"), x("b")) == [None, None]
    assert set(desk.stored()) == set(desk.decider.jobs) == {"before", "a", "b"}
    assert desk.write(x("c")) == [None]
    assert desk.decider.whole_readings == 1


def test_a_commit_that_did_not_take_place_is_unavailable(
    desk: Desk, proxy: TcpProxy
) -> None:
    def cut(link: Link, _: bytes) -> bool:
        link.cut()
        return False

    at_the_next_commit(proxy, cut)
    assert isinstance(desk.write(x("a"))[0], StoreUnavailable)
    assert set(desk.stored()) == set(desk.decider.jobs) == {"before"}
    assert desk.write(x("c")) == [None]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_that_is_still_on_its_way_is_waited_for(
    desk: Desk, proxy: TcpProxy, url: URL, arrives: bool
) -> None:
    held: list[tuple[Link, bytes]] = []

    def hold(link: Link, data: bytes) -> bool:
        held.append((link, data))
        # Only the client notices.
        hang_up(link.client)
        assert delivered.wait(PATIENCE)
        return False

    delivered = threading.Event()
    at_the_next_commit(proxy, hold)
    answers: list[object] = []
    waits = threading.Thread(target=lambda: answers.extend(desk.write(x("a"))))
    waits.start()
    # Before it has the lock, who looks the commit up must not say that there is none.
    wait_until(url, WAITS_FOR_A_LOCK)
    [(link, data)] = held
    if arrives:
        link.server.sendall(data + SYNC)
    else:
        hang_up(link.server)
    delivered.set()
    waits.join()
    assert (answers == [None]) is arrives
    assert set(desk.stored()) == {"before", "a"} if arrives else {"before"}


# --- connections that are cut ---


def test_connections_that_were_cut_are_not_used(url: URL, tmp_path: Path) -> None:
    database = new_database(tmp_path)
    desk = Desk(database)
    desk.write(x("a"))
    with database.reading() as reader:
        newest_position(reader)
    session = desk.writer._session
    assert session is not None
    assert session.is_current
    cut_all(url)
    assert not session.is_current
    assert not reader.is_current
    # Nobody is told of a failure: neither who reads nor who writes.
    with database.reading() as other:
        assert other is not reader
        newest_position(other)
    assert desk.write(x("b")) == [None]
    desk.writer.probe()
    desk.writer.stop()
    database.close()


def test_a_connection_that_is_cut_while_it_is_used_is_given_up(
    url: URL, tmp_path: Path
) -> None:
    database = new_database(tmp_path)
    desk = Desk(database)
    [answer] = desk.write(lambda: cut_all(url))
    # It wrote nothing, but did not end well either.
    assert isinstance(answer, StoreUnavailable)
    assert desk.write(x("b")) == [None]
    desk.writer.stop()
    database.close()


# --- servers that restart ---


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that only tests of this module use."""
    server = PostgresServer(find_programs(), wal_level="replica", max_wal_senders="4")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def restartable(own_server: PostgresServer) -> Iterator[PostgresServer]:
    """The same, from which the databases of a test are taken."""
    own_server.start()
    databases = Databases(own_server.url())
    with taking_from(databases):
        yield own_server
    databases.drop()


async def store_is_up(relay: Relay) -> bool:
    return "\npushrelay_store_up 1\n" in await page_of(relay)


async def put_until_taken(relay: Relay, job: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await put(relay, key_of(job), "x 1")
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("how", [FAST, IMMEDIATE])
def test_a_server_that_restarts_is_used_again(
    restartable: PostgresServer, tmp_path: Path, how: signal.Signals
) -> None:
    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, sync="full") as relay:
            await put(relay, key_of("a"), "x 1")
            await asyncio.to_thread(restartable.stop, how)
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="Connection refused"):
                await put(relay, key_of("b"), "x 1")
            with pytest.raises(StoreUnavailable):
                await relay.require_ready()
            assert not await store_is_up(relay)
            assert len(await samples(relay)) == 1
            relay.require_alive()
            assert time.monotonic() - began < PATIENCE / 6

            await asyncio.to_thread(restartable.start)
            await put(relay, key_of("c"), "x 1")
            await relay.require_ready()
            assert await store_is_up(relay)
            assert len(await samples(relay)) == 2

    test()


@pytest.mark.parametrize("how", [FAST, IMMEDIATE])
def test_nothing_that_was_taken_is_lost_by_a_restart(
    restartable: PostgresServer, tmp_path: Path, how: signal.Signals
) -> None:
    taken: list[str] = []

    async def push(relay: Relay, first: str, done: asyncio.Event) -> None:
        number = 0
        while not done.is_set():
            number += 1
            await put_until_taken(relay, f"{first}{number}")
            taken.append(f"{first}{number}")

    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, sync="full") as relay:
            done = asyncio.Event()
            pushers = [asyncio.create_task(push(relay, job, done)) for job in "abcd"]
            await put_until_taken(relay, "first")
            await asyncio.to_thread(restartable.stop, how)
            await asyncio.to_thread(restartable.start)
            await put_until_taken(relay, "last")
            done.set()
            await asyncio.gather(*pushers)
            shown = "\n".join(await samples(relay))
        for job in ["first", *taken, "last"]:
            assert f'job="{job}"' in shown

    test()


def test_a_commit_waits_for_its_standby_longer_than_statements_may_take(
    restartable: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "STATEMENT_SECONDS", 0.5)
    monkeypatch.setattr(postgres_session, "TRANSACTION_SECONDS", 0.7)
    url = restartable.url()
    desk = Desk(new_database(tmp_path, "full"))
    desk.write(x("a"))
    run_sql(url, "ALTER SYSTEM SET synchronous_standby_names = 'none'")
    run_sql(url, "SELECT pg_reload_conf()")
    try:
        # It takes a moment until the server knows of the standby.
        with suppress(Empty):
            for number in range(100):
                desk.writer.submit(Number(), x("b", number))
                desk.deliveries.get(timeout=1.5)
        wait_until(make_url(database_url(tmp_path)), "wait_event = 'SyncRep'")
    finally:
        run_sql(url, "ALTER SYSTEM RESET synchronous_standby_names")
        run_sql(url, "SELECT pg_reload_conf()")
    assert desk.deliveries.get(timeout=PATIENCE) == [(0, None)]
    desk.writer.stop()
    desk.database.close()
