"""What tests of the store have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import new_database
from databases import database_url
from desks import Desk, x
from postgres_use import opened
from sqlalchemy import URL, make_url
from tcp_proxy import TcpProxy

from pushrelay.store.engine import Database
from pushrelay.store.postgres_session import PostgresSession
from pushrelay.store.session import Session
from pushrelay.store.sqlite_session import SqliteSession

Act = Callable[[Session], None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database of a test's own."""
    database = new_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """A writer that is started by the first writes."""
    desk = Desk(database)
    yield desk
    if desk.started:
        desk.writer.stop()


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """The URL of a database of a test's own, with its tables."""
    return make_url(database_url(tmp_path))


@pytest.fixture
def proxy(url: URL) -> Iterator[TcpProxy]:
    """What may stand before the server of that."""
    with TcpProxy(url.port or 0) as proxy:
        yield proxy


@pytest.fixture
def far_desk(url: URL, proxy: TcpProxy) -> Iterator[Desk]:
    """A writer on the far side of `proxy`, which has written before."""
    database = opened(url, port=proxy.port)
    desk = Desk(database)
    assert desk.write(x("before")) == [None]
    yield desk
    desk.writer.stop()
    database.close()


@pytest.fixture
def in_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """Does something in place of the next commit only."""

    def instead(act: Act) -> None:
        with_commits = {kind: kind._commit for kind in (SqliteSession, PostgresSession)}

        def commit_once(session: Session) -> None:
            for kind, commit in with_commits.items():
                monkeypatch.setattr(kind, "_commit", commit)
            act(session)

        for kind in with_commits:
            monkeypatch.setattr(kind, "_commit", commit_once)

    return instead
