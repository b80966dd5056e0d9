"""What tests of the store have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import new_database

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
