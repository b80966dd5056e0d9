"""Servers that say nothing: frozen, or beyond a network that loses what is sent."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import closing

import pytest
from desks import PATIENCE, Desk, x
from postgres_use import opened
from sqlalchemy import URL
from tcp_proxy import TcpProxy
from waiting import wait_until
from worker_process import connections_of

from pushrelay.errors import StoreUnavailable
from pushrelay.store import (
    postgres_connection,
    postgres_pool,
    postgres_session,
)
from pushrelay.store.engine import Database, DatabaseErrors
from pushrelay.store.postgresql import PostgresDatabase
from pushrelay.store.reader import newest_position, read_snapshot

pytestmark = [pytest.mark.postgres, pytest.mark.system]

FOR_EVER = 3600.0


@pytest.fixture
def desk(far_desk: Desk) -> Desk:
    return far_desk


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres_connection, postgres_pool):
        monkeypatch.setattr(module, "SUSPICIOUS_SECONDS", 0.3)


def swallow(proxy: TcpProxy, database: Database, patience: float = 0.5) -> None:
    """Lose what is sent on all connections there are now, on which the server may be
    silent for so many seconds."""
    assert isinstance(database, PostgresDatabase)
    lost = list(proxy.links)
    proxy.before = lambda link, _data: link not in lost
    for pool in database._pools:
        for connection in pool._all():
            connection.patience = patience


def write_for_ever(desk: Desk) -> tuple[threading.Thread, list[object]]:
    """Have something written by a thread; return that, and where its answer comes."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.extend(desk.write(x("a"))))
    thread.start()
    return thread, answers


def test_a_write_to_a_silent_server_is_given_up_in_time(
    desk: Desk, proxy: TcpProxy
) -> None:
    swallow(proxy, desk.database)
    began = time.monotonic()
    [answer] = desk.write(x("b"))
    assert isinstance(answer, StoreUnavailable)
    assert "the server has not answered for 0.5 s" in str(answer)
    assert time.monotonic() - began < PATIENCE / 2
    # On another way it does.
    assert desk.write(x("b")) == [None]


def test_a_reading_of_a_silent_server_is_given_up_in_time(
    url: URL, proxy: TcpProxy
) -> None:
    database = opened(url, port=proxy.port)
    assert read_snapshot(database, None) is not None
    swallow(proxy, database)
    with pytest.raises(StoreUnavailable, match="has not answered"):
        read_snapshot(database, None)
    assert read_snapshot(database, None) is not None
    database.close()


def test_what_a_later_write_overtakes_is_given_up(desk: Desk, proxy: TcpProxy) -> None:
    swallow(proxy, desk.database, FOR_EVER)
    thread, answers = write_for_ever(desk)
    wait_until(desk.database.is_silent)
    desk.writer.probe()
    thread.join(PATIENCE)
    assert isinstance(answers[0], StoreUnavailable)


def test_what_a_later_refresh_overtakes_is_given_up(url: URL, proxy: TcpProxy) -> None:
    database = opened(url, port=proxy.port)
    assert read_snapshot(database, None) is not None
    swallow(proxy, database, FOR_EVER)
    errors: list[Exception] = []

    def refresh() -> None:
        with pytest.raises(StoreUnavailable) as raised:
            read_snapshot(database, None)
        errors.append(raised.value)

    thread = threading.Thread(target=refresh)
    thread.start()
    wait_until(database.is_silent)
    # What reads something else is not newer.
    with database.reading() as session:
        newest_position(session)
    time.sleep(0.5)
    assert errors == []
    assert read_snapshot(database, None) is not None
    thread.join(PATIENCE)
    assert "has not answered" in str(errors[0])
    database.close()


def test_who_waits_for_the_lock_is_not_given_up(
    database: Database, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have it again and again meanwhile, but for those of the same relay."""
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 60)
    own = opened(url)
    desk = Desk(own)
    assert desk.write(x("a")) == [None]
    session = database.open_writer()
    with session.transaction():
        newest_position(session)
        thread, answers = write_for_ever(desk)
        wait_until(own.is_silent)
        with pytest.raises(DatabaseErrors):
            refuse(own, monkeypatch)
        time.sleep(0.5)
        assert answers == []
    thread.join(PATIENCE)
    assert answers == [None]
    session.close()
    desk.writer.stop()
    own.close()


def refuse(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the lock in vain."""
    with monkeypatch.context() as patched:
        patched.setattr(postgres_session, "LOCK_SECONDS", 0.1)
        session = database.open_writer()
    try:
        with session.transaction():
            newest_position(session)
    finally:
        session.close()


def test_connections_that_nobody_uses_are_not_trusted_any_more(
    desk: Desk, proxy: TcpProxy
) -> None:
    with desk.database.reading() as reader:
        newest_position(reader)
    assert reader.is_current
    swallow(proxy, desk.database)
    assert isinstance(desk.write(x("a"))[0], StoreUnavailable)
    assert not reader.is_current
    assert read_snapshot(desk.database, None) is not None


def test_who_waits_when_the_database_is_closed_waits_no_longer(
    desk: Desk, proxy: TcpProxy
) -> None:
    swallow(proxy, desk.database, FOR_EVER)
    thread, answers = write_for_ever(desk)
    wait_until(desk.database.is_silent)
    desk.database.close()
    thread.join(PATIENCE)
    assert isinstance(answers[0], StoreUnavailable)


def test_a_server_that_does_not_let_in_costs_no_socket(
    url: URL, proxy: TcpProxy
) -> None:
    proxy.before = lambda _link, _data: False
    database = opened(url, port=proxy.port, query={"connect_timeout": "1"})
    gc.disable()
    try:
        with pytest.raises(DatabaseErrors, match="timeout"):
            database.open_writer()
        assert connections_of(os.getpid(), proxy.port) == 0
    finally:
        gc.enable()
    database.close()


def test_a_server_may_be_silent_a_little_longer_than_it_may_work(url: URL) -> None:
    database = opened(url, write_seconds=7)
    assert isinstance(database, PostgresDatabase)
    with closing(database.open_writer()), database.reading():
        [writing] = database._writers._all()
        [reading] = database._readers._all()
    assert (writing.patience, reading.patience) == (8, 31)
    database.close()
