"""What is particular to databases on a server: settings, schemas, limits, messages."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from builders import commit, group_of, key_of, write_locked
from databases import database_url
from desks import PATIENCE, Desk, PlainDecider, x
from postgres_server import run_sql
from postgres_use import opened, setting, with_options
from sqlalchemy import URL, func, insert, make_url, select, text
from tcp_proxy import TcpProxy

from pushrelay.errors import LimitExceeded, StartupError, StoreUnavailable
from pushrelay.groups import Group
from pushrelay.store import postgres_pool, postgres_session, postgresql
from pushrelay.store.engine import (
    Database,
    DatabaseErrors,
    DriverError,
    open_database,
    without_password,
)
from pushrelay.store.migrate import HEAD, current_schema, require_head, upgrade
from pushrelay.store.reader import newest_position, read_snapshot
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

pytestmark = pytest.mark.postgres

REPOSITORY = Path(__file__).parents[2]
INSERT = sql(insert(commits))
COUNT = sql(select(func.count()).select_from(commits))
OTHER_DEFAULTS = (
    "-c default_transaction_isolation=repeatable\\ read "
    "-c default_transaction_read_only=on"
)
"""What a role may have for its transactions."""


@pytest.fixture
def empty_url(tmp_path: Path) -> URL:
    """The URL of a database without tables."""
    return make_url(database_url(tmp_path, has_tables=False))


def row(revision: int) -> dict[str, object]:
    return {"revision": revision, "nonce": b"n" * 16, "at": 0}


# --- transactions ---


def test_transactions_are_isolated_as_they_must_be_whatever_the_default(
    url: URL,
) -> None:
    desks = [Desk(opened(with_options(url, OTHER_DEFAULTS))) for _ in range(2)]

    def work(desk: Desk) -> None:
        for value in range(20):
            assert desk.write(x("both", value)) == [None]

    threads = [threading.Thread(target=work, args=(desk,)) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desks[0].stored() == desks[1].stored()
    assert desks[0].count(commits) == 41
    for desk in desks:
        desk.writer.stop()
        desk.database.close()


@pytest.mark.parametrize(
    ("sync", "default", "waits"),
    [
        ("full", "on", "on"),
        ("full", "off", "on"),
        ("full", "remote_apply", "remote_apply"),
        ("full", "local", "local"),
        ("normal", "on", "off"),
    ],
)
def test_a_commit_waits_as_it_is_told(
    url: URL, sync: str, default: str, waits: str
) -> None:
    database = opened(with_options(url, f"-c synchronous_commit={default}"), sync)
    with closing(database.open_writer()) as session:
        with session.transaction():
            assert setting(session, "synchronous_commit") == waits
        assert setting(session, "synchronous_commit") == default
    database.close()


def test_a_transaction_says_what_it_may_take(url: URL) -> None:
    database = opened(url)
    with closing(database.open_writer()) as session:
        with session.transaction():
            assert setting(session, "transaction_isolation") == "read committed"
            assert setting(session, "lock_timeout") == "7s"
            assert setting(session, "statement_timeout") == "10s"
            assert setting(session, "idle_in_transaction_session_timeout") == "5s"
        # Another one may have the connection next.
        assert setting(session, "lock_timeout") == "0"
    with database.reading() as session, session.transaction():
        assert setting(session, "transaction_isolation") == "repeatable read"
        assert setting(session, "transaction_read_only") == "on"
        assert setting(session, "statement_timeout") == "30s"
    database.close()


def test_nothing_is_committed_of_a_transaction_in_which_something_failed(
    database: Database,
) -> None:
    def write_and_go_on(session: Session) -> None:
        session.run(INSERT, row(1))
        with suppress(DriverError):
            session.first(sql(text("SELECT 1 FROM nothing")))

    with closing(database.open_writer()) as session:
        with (
            pytest.raises(DriverError, match="transaction is aborted"),
            session.transaction(),
        ):
            write_and_go_on(session)
        assert session.first(COUNT) == (1,)


def test_a_lock_that_others_have_is_unavailable_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 0.1)
    desk = Desk(database)
    with write_locked(database):
        began = time.monotonic()
        [answer] = desk.write(x("a"))
        assert isinstance(answer, StoreUnavailable)
        assert time.monotonic() - began < PATIENCE / 2
    assert desk.write(x("a")) == [None]
    desk.writer.stop()


def send_the_beginning(session: Session) -> None:
    """Send something after which more is to come, as amid a large commit."""
    assert isinstance(session, postgres_session.PostgresSession)
    session._driver.execute("SELECT 1")


@pytest.mark.parametrize("is_sending", [False, True])
def test_a_relay_that_is_frozen_does_not_stop_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_sending: bool
) -> None:
    with monkeypatch.context() as patched:
        if not is_sending:
            patched.setattr(postgres_session, "IDLE_SECONDS", 0.2)
        frozen = database.open_writer()
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 0.5)
    desk = Desk(database)

    def freeze(session: Session) -> None:
        with session.transaction():
            newest_position(session)
            session.run(INSERT, row(1))
            if is_sending:
                send_the_beginning(session)
                # A server that waits for the rest ends nothing by itself.
                time.sleep(0.5)
                [refused] = desk.write(x("a"))
                assert isinstance(refused, StoreUnavailable)
            assert desk.write(x("a")) == [None]

    with pytest.raises(DatabaseErrors):
        freeze(frozen)
    assert set(desk.stored()) == {"a"}
    desk.writer.stop()
    frozen.discard()


def test_a_relay_that_is_busy_with_its_transaction_is_not_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 1.5)
    desk = Desk(database)
    with closing(database.open_writer()) as busy, busy.transaction():
        newest_position(busy)
        busy.run(INSERT, row(1))
        refused = threading.Thread(target=lambda: answers.extend(desk.write(x("a"))))
        answers: list[object] = []
        refused.start()
        while refused.is_alive():
            send_the_beginning(busy)
            refused.join(0.05)
        assert isinstance(answers[0], StoreUnavailable)
    assert desk.count(commits) == 2
    desk.writer.stop()


@pytest.mark.parametrize(
    ("seconds", "limits"),
    [
        (15, ["7s", "10s", "5s"]),
        (100, ["7s", "10s", "5s"]),
        (3, ["1500ms", "3s", "1s"]),
    ],
)
def test_a_transaction_takes_no_longer_than_anybody_waits_for_it(
    seconds: float, limits: list[str], url: URL
) -> None:
    begin = postgres_session.begin_writing(15, True, seconds)
    database = opened(url)
    names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
    with database.snapshot() as connection:
        connection.exec_driver_sql(begin[1])
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names
        ]
    database.close()
    assert shown == limits


def test_no_time_is_none_at_all() -> None:
    [_, settings, _] = postgres_session.begin_writing(15, True, 0.0001)
    assert settings.count("'1'") == 3


# --- round trips, connections ---


def test_a_push_takes_two_round_trips(url: URL) -> None:
    with TcpProxy(url.port or 0) as proxy:
        database = opened(url, port=proxy.port)
        desk = Desk(database)
        desk.write(x("a"))
        before = proxy.turns
        desk.write(x("b"))
        assert proxy.turns - before == 2
        desk.writer.stop()
        database.close()


def test_what_others_wrote_takes_one_more(url: URL, database: Database) -> None:
    with TcpProxy(url.port or 0) as proxy:
        far = opened(url, port=proxy.port)
        desk = Desk(far)
        desk.write(x("a"))
        commit(database, x("b"))
        before = proxy.turns
        desk.write(x("c"))
        assert proxy.turns - before == 3
        reader = PlainDecider()
        reader.catch_up(lambda since: read_snapshot(far, since))
        before = proxy.turns
        assert read_snapshot(far, reader.position) is None
        assert proxy.turns - before == 1
        desk.writer.stop()
        far.close()


def test_connections_are_kept_but_not_too_many(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "KEPT_IDLE", 2)
    database = opened(url)
    writers = [database.open_writer() for _ in range(3)]
    for writer in writers:
        writer.close()
    again = [database.open_writer() for _ in range(3)]
    assert len(set(again) & set(writers)) == 2
    database.close()
    # What comes back late is closed, too; the driver would warn of what is not.
    for writer in again:
        writer.close()


# --- schemas ---


def test_a_server_that_is_too_old_is_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "OLDEST_VERSION", 99)
    words = r"PostgreSQL 1\d.*needs 99 or newer: upgrade it, or choose another"
    for call in (current_schema, require_head, upgrade):
        with pytest.raises(StartupError, match=words):
            call(database)


@pytest.fixture
def own_schema(empty_url: URL) -> URL:
    """The URL of a schema beside that of another application."""
    run_sql(
        empty_url,
        "CREATE TABLE accounts (id int); CREATE TABLE groups (name text);"
        "CREATE TABLE alembic_version (version_num text);"
        "INSERT INTO alembic_version VALUES ('theirs')",
    )
    return with_options(empty_url, "-c search_path=own,public")


def test_a_schema_of_its_own_is_enough(own_schema: URL, empty_url: URL) -> None:
    database = opened(own_schema)
    with pytest.raises(StartupError, match="schema theirs"):
        upgrade(opened(with_options(empty_url, "-c search_path=public")))
    run_sql(empty_url, "CREATE SCHEMA own")
    try:
        assert current_schema(database) is None
        assert upgrade(database)
        assert not upgrade(database)
        require_head(database)
        desk = Desk(database)
        assert desk.write(x("a")) == [None]
        assert set(desk.stored()) == {"a"}
        desk.writer.stop()
        theirs = run_sql(empty_url, "SELECT version_num FROM public.alembic_version")
        assert theirs == [("theirs",)]
    finally:
        database.close()
        run_sql(empty_url, "DROP SCHEMA own CASCADE")


def test_a_schema_that_is_not_there_is_said(empty_url: URL) -> None:
    database = opened(with_options(empty_url, "-c search_path=nowhere"))
    for call in (current_schema, upgrade):
        with pytest.raises(StartupError, match="no schema in the search_path"):
            call(database)


def test_upgrades_at_once_are_safe_whatever_the_default(empty_url: URL) -> None:
    url = with_options(empty_url, OTHER_DEFAULTS).render_as_string(hide_password=False)
    command = [sys.executable, "-m", "pushrelay", "db", "upgrade"]
    upgrades = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "PUSHRELAY_DATABASE_URL": url,
            },
        )
        for _ in range(3)
    ]
    told = sorted(process.communicate(timeout=60)[0] for process in upgrades)
    assert [process.returncode for process in upgrades] == [0] * 3, told
    name = open_database(url).name
    already = f"{name} is already at schema {HEAD}\n"
    assert told == [already, already, f"{name} upgraded to schema {HEAD}\n"]


# --- what is refused ---


def test_values_that_are_too_large_do_not_fail_their_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "LARGEST_BYTES", 1000)
    desk = Desk(database)
    large = group_of("x 1\n# HELP x " + "x" * 1000, key_of("b"))
    never = Group(key_of("c"), 1, 2**63, 0, x("c").payload)
    answers = desk.write(x("a"), large, never, x("d"))
    assert answers[0] is answers[3] is None
    for answer in answers[1:3]:
        assert isinstance(answer, LimitExceeded)
        assert "does not take so large a group" in str(answer)
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "d"}
    desk.writer.stop()


def test_what_is_told_has_no_values_in_it(database: Database) -> None:
    with closing(database.open_writer()) as session:
        with pytest.raises(DatabaseErrors, match="unique constraint") as raised:
            session.run(INSERT, row(0))
        assert str(raised.value) == (
            'duplicate key value violates unique constraint "pk_commits"'
        )


# --- passwords ---


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"password": "s3cret"}, 'password authentication failed for user "postgres"'),
        ({"password": "s3cret", "database": "nowhere"}, "failed"),
        ({"password": "s3cret", "port": 1}, "Connection refused"),
        ({"password": None, "query": {"password": "s3cret"}}, "failed for user"),
        ({"password": "s3cret", "query": {"nonsense": "1"}}, "nonsense"),
        ({"password": "s3cret", "host": "nowhere.invalid"}, "nowhere.invalid"),
    ],
)
def test_no_message_has_the_password_in_it(
    url: URL, parts: dict[str, object], words: str
) -> None:
    if parts.get("password") is None:
        url = URL.create("postgresql", url.username, None, url.host, url.port, "x")
    else:
        url = url.set(password="s3cret")
    database = opened(url, **{k: v for k, v in parts.items() if k != "password"})
    with pytest.raises(StartupError) as at_start:
        current_schema(database)
    with pytest.raises(StoreUnavailable) as later:
        read_snapshot(database, None)
    for raised in (at_start, later):
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)
        assert "s3cret" not in str(raised.value)
    assert "s3cret" not in database.name


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d?password=s3cret", "postgresql://u@h/d?password=HIDDEN"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql://u:s3cret@h:port/d?password=s3cret", "postgresql://h:port/d"),
        ("postgresql://u:s@s3cret@h/d?p=s3cret", "postgresql://h/d"),
        ("postgresql:/u:s3cret@h/d", "postgresql:..."),
        ("s3qlite", "s3qlite"),
        ("sqlite:///data/x.db", "sqlite:///data/x.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
