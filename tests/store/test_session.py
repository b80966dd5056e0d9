from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text

from pushrelay.store import postgres_session
from pushrelay.store.engine import Database, DatabaseErrors, NotAllowed
from pushrelay.store.postgres_session import PostgresSession
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

INSERT = sql(insert(commits))
EVERYTHING = sql(select(commits).order_by(commits.c.revision))
REVISIONS = sql(select(commits.c.revision).order_by(commits.c.revision))


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with closing(database.open_writer()) as session:
        yield session


def row(revision: int) -> dict[str, object]:
    return {"revision": revision, "nonce": b"n" * 16, "at": 0}


def test_a_statement_is_run_for_each_row(session: Session) -> None:
    with session.transaction():
        session.run(INSERT, row(1))
        session.run_many(INSERT, [row(2), row(3)])
    assert list(session.all(REVISIONS)) == [(0,), (1,), (2,), (3,)]


def test_the_only_row_is_found_if_there_is_one(session: Session) -> None:
    at_revision = commits.c.revision == bindparam("revision")
    query = sql(select(commits.c.at).where(at_revision))
    session.run(INSERT, row(1))
    assert session.first(query, {"revision": 1}) == (0,)
    assert session.first(query, {"revision": 2}) is None


def test_nothing_is_seen_by_others_before_the_commit(
    session: Session, database: Database
) -> None:
    with session.transaction(), database.reading() as other:
        session.run(INSERT, row(1))
        assert list(other.all(REVISIONS)) == [(0,)]
    with database.reading() as other:
        assert list(other.all(REVISIONS)) == [(0,), (1,)]


def test_what_fails_is_undone_as_a_whole(session: Session) -> None:
    def insert_and_fail() -> None:
        session.run(INSERT, row(1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), session.transaction():
        insert_and_fail()
    with pytest.raises(NotAllowed), session.transaction():
        session.run_many(INSERT, [row(1), row(0)])
    with session.transaction():
        session.run(INSERT, row(2))
    assert list(session.all(REVISIONS)) == [(0,), (2,)]


@pytest.mark.sqlite  # others say so when their transaction fails
def test_a_transaction_that_the_database_gave_up_is_not_committed(
    session: Session,
) -> None:
    with pytest.raises(DatabaseErrors, match="no transaction"), session.transaction():
        session.run(sql(text("ROLLBACK")), {})


def test_a_transaction_sees_one_state(session: Session, database: Database) -> None:
    with database.reading() as reader, reader.transaction():
        assert list(reader.all(REVISIONS)) == [(0,)]
        session.run(INSERT, row(1))
        assert list(reader.all(REVISIONS)) == [(0,)]


def test_what_a_discarded_session_did_not_commit_is_undone(database: Database) -> None:
    def insert_and_discard(session: Session) -> None:
        session.run(INSERT, row(1))
        assert len(list(session.all(REVISIONS))) == 2
        session.discard()

    session = database.open_writer()
    with pytest.raises(DatabaseErrors), session.transaction():
        insert_and_discard(session)
    with database.reading() as reader:
        assert list(reader.all(REVISIONS)) == [(0,)]


def test_what_is_written_is_read_in_its_transaction(session: Session) -> None:
    with session.transaction():
        session.run(INSERT, row(1))
        assert list(session.all(REVISIONS)) == [(0,), (1,)]


def test_many_rows_are_read_one_after_the_other(session: Session) -> None:
    with session.transaction():
        session.run_many(INSERT, map(row, range(1, 500)))
        # As when a history of its own is found under the write lock.
        streams = [session.stream(REVISIONS) for _ in range(2)]
        for stream in streams:
            assert list(stream) == [(revision,) for revision in range(500)]
    assert len(list(session.all(REVISIONS))) == 500


@pytest.mark.postgres
def test_large_rows_come_few_at_a_time(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = PostgresSession._ask

    def note(self: PostgresSession, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return ask(self, sql, *arguments)

    monkeypatch.setattr(PostgresSession, "_ask", note)
    monkeypatch.setattr(postgres_session, "_BYTES", 50_000)
    small = [row(revision) for revision in range(1, 21)]
    large = [{**row(revision), "nonce": bytes(10_000)} for revision in range(21, 121)]
    with session.transaction():
        session.run_many(INSERT, small + large)
        read = list(session.stream(EVERYTHING))
    assert [each[0] for each in read] == list(range(121))
    counts = [int(each.split()[1]) for each in asked if each.startswith("FETCH")]
    assert counts[:6] == [1, 4, 16, 64, 5, 5]
