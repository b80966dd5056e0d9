from __future__ import annotations

import logging
import random
import re
import sqlite3
import string
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import (
    LOCKED,
    commit,
    group_of,
    key_of,
    locked,
    new_database,
    write_locked,
)
from desks import PATIENCE, Abandoned, Desk, Leaving, Number, PlainDecider, x
from sqlalchemy import select, text

from pushrelay.config import Limits
from pushrelay.errors import Overloaded, StoreUnavailable
from pushrelay.groups import Group
from pushrelay.store import postgres_session, pruning, sqlite, write_queue
from pushrelay.store.engine import Database, NotAllowed
from pushrelay.store.reader import newest_position, read_snapshot
from pushrelay.store.schema import commits, groups
from pushrelay.store.session import Session
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.store.statements import sql

GONE = sqlite3.OperationalError("disk I/O error")


InCommit = Callable[[Callable[[Session], None]], None]


def fail(_session: Session) -> None:
    raise GONE


def commit_and_lose_the_confirmation(session: Any) -> None:
    session._commit()
    raise GONE


def test_a_write_is_answered_when_it_is_on_disk(desk: Desk) -> None:
    assert desk.write(x("a")) == [None]
    assert desk.stored() == desk.decider.jobs == {"a": 'x{instance="",job="a"} 1\n'}


def test_writes_that_wait_are_one_commit(desk: Desk) -> None:
    assert desk.write(x("a"), x("b"), x("c")) == [None] * 3
    assert [len(batch) for batch in desk.decider.batches] == [3]
    assert desk.decider.position is not None
    assert desk.decider.position.revision == 1
    assert [writes for _, writes in desk.observed] == [3]
    assert set(desk.stored()) == {"a", "b", "c"}


def test_a_batch_has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "MAX_BATCH", 4)
    assert desk.write(*(x(f"j{n}") for n in range(10))) == [None] * 10
    assert [len(batch) for batch in desk.decider.batches] == [4, 4, 2]
    assert len(desk.stored()) == 10


def test_writes_that_come_while_others_have_the_lock_join_the_batch(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "MAX_BATCH", 3)
    desk.write(x("a"))
    with write_locked(database) as session:
        desk.writer.submit(Number(0), x("b"))
        while desk.writer._queue._entries.qsize():
            time.sleep(0.001)
        desk.writer.submit(Number(1), x("c"))
        desk.writer.submit(Abandoned(2), x("left"))
        desk.writer.submit(Number(3), x("d"))
        desk.writer.submit(Number(4), x("e"))
        assert newest_position(session).revision == 1
    answers = desk.deliveries.get(timeout=PATIENCE)
    assert answers == [(0, None), (1, None), (3, None)]
    assert desk.deliveries.get(timeout=PATIENCE) == [(4, None)]
    assert set(desk.stored()) == {"a", "b", "c", "d", "e"}


def test_a_writer_that_is_stopped_while_others_have_the_lock_ends_after_the_batch(
    desk: Desk, database: Database
) -> None:
    desk.write(x("a"))
    with write_locked(database):
        desk.writer.submit(Number(0), x("b"))
        stopping = threading.Thread(target=desk.writer.stop)
        stopping.start()
    stopping.join(PATIENCE)
    assert not desk.writer.is_running
    assert set(desk.stored()) == {"a", "b"}


def test_writes_are_done_in_the_order_they_came(desk: Desk) -> None:
    a = key_of("a")
    desk.write(x("a", 1), x("b", 1), a, x("a", 2), x("b", 2), key_of("b"))
    assert desk.stored() == desk.decider.jobs == {"a": 'x{instance="",job="a"} 2\n'}


def test_a_refused_write_leaves_the_others_of_its_batch_alone(desk: Desk) -> None:
    refusal = ValueError("no")
    assert desk.write(x("a"), refusal, x("b")) == [None, refusal, None]
    assert set(desk.stored()) == {"a", "b"}


def test_what_changes_nothing_does_not_advance_the_clock(desk: Desk) -> None:
    desk.write(ValueError("no"))
    assert desk.count(commits) == 1
    assert desk.decider.taken_over == []


def test_a_write_the_database_refuses_does_not_fail_its_batch(desk: Desk) -> None:
    bad = x("bad")
    broken = Group(bad.key, 1, None, 0, bad.payload)  # type: ignore[arg-type]  # broken
    answers = desk.write(x("a"), broken, x("b"))
    assert answers[0] is answers[2] is None
    assert isinstance(answers[1], NotAllowed)
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "b"}
    assert desk.write(x("c")) == [None]


def test_who_leaves_meanwhile_is_passed_over_where_writes_are_tried_one_by_one(
    desk: Desk,
) -> None:
    leaving = Leaving(0)

    def fail() -> None:
        leaving.has_left = True
        raise ZeroDivisionError

    desk.writer.submit(leaving, x("a"))
    desk.writer.submit(Number(1), fail)
    desk.writer.start()
    [(ticket, answer)] = desk.deliveries.get(timeout=PATIENCE)
    assert (ticket, type(answer)) == (1, ZeroDivisionError)
    assert desk.stored() == {}


def test_a_write_that_cannot_be_put_in_a_row_does_not_fail_its_batch(
    desk: Desk,
) -> None:
    bad = group_of("# HELP x A help that no other test has.\nx 1", key_of("bad"))
    [shape] = bad.payload.layout.families
    object.__setattr__(shape, "help", "\udcff")
    answers = desk.write(x("a"), bad, x("b"))
    assert [answers[0], type(answers[1]), answers[2]] == [
        None,
        UnicodeEncodeError,
        None,
    ]
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "b"}


def test_a_decision_that_fails_is_answered_and_forgotten(desk: Desk) -> None:
    def explode() -> None:
        raise ZeroDivisionError

    answers = desk.write(x("a"), explode)
    assert answers[0] is None
    assert isinstance(answers[1], ZeroDivisionError)
    assert set(desk.stored()) == {"a"}


def test_a_commit_that_fails_answers_all_and_keeps_nothing(
    desk: Desk, in_commit: InCommit
) -> None:
    desk.write(x("before"))
    in_commit(fail)
    assert isinstance(desk.write(x("a"))[0], StoreUnavailable)
    assert set(desk.stored()) == set(desk.decider.jobs) == {"before"}
    assert desk.write(x("b")) == [None]
    assert set(desk.stored()) == set(desk.decider.jobs) == {"before", "b"}


def test_a_batch_whose_commit_fails_fails_as_a_whole(
    desk: Desk, in_commit: InCommit
) -> None:
    in_commit(fail)
    answers = desk.write(x("a"), x("b"))
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
    assert "disk I/O error" in str(answers[0])
    assert len(desk.decider.batches) == 1
    assert desk.stored() == {}


def test_why_commits_fail_is_logged_once_until_there_is_one(
    desk: Desk, in_commit: InCommit, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for _ in range(3):
            in_commit(fail)
            assert isinstance(desk.write(x("a"))[0], StoreUnavailable)
        assert desk.write(x("a")) == [None]
    logged = [each.getMessage() for each in caplog.records]
    assert len(logged) == 2
    for each in logged:
        assert each.startswith("writes fail from now on: the database is unavailable: ")
    assert {each.levelno for each in caplog.records} == {logging.ERROR}


def test_a_commit_whose_confirmation_was_lost_is_looked_up(
    desk: Desk, in_commit: InCommit
) -> None:
    in_commit(commit_and_lose_the_confirmation)
    assert desk.write(x("a"), x("b")) == [None, None]
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "b"}
    assert desk.count(commits) == 2
    assert desk.write(x("c")) == [None]
    assert desk.decider.whole_readings == 1


def test_a_commit_that_cannot_be_looked_up_is_found_by_the_next_one(
    desk: Desk,
    database: Database,
    in_commit: InCommit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk.write(x("before"))

    def lose_more(session: Session) -> None:
        def refuse() -> None:
            raise OSError("no more files")

        monkeypatch.setattr(database, "open_writer", refuse)
        commit_and_lose_the_confirmation(session)

    in_commit(lose_more)
    assert isinstance(desk.write(x("a"))[0], StoreUnavailable)
    monkeypatch.undo()
    desk.write(x("b"))
    assert set(desk.stored()) == set(desk.decider.jobs) == {"before", "a", "b"}


def test_a_locked_database_is_unavailable_until_it_is_unlocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 0.1)
    database = new_database(tmp_path)
    desk = Desk(database)
    with locked(database):
        [answer] = desk.write(x("a"))
        assert isinstance(answer, StoreUnavailable)
        assert re.search(LOCKED, str(answer))
        with pytest.raises(StoreUnavailable, match=LOCKED):
            desk.writer.probe()
    assert desk.write(x("b")) == [None]
    desk.writer.probe()
    assert set(desk.stored()) == {"b"}
    desk.writer.stop()
    database.close()


@pytest.mark.sqlite  # a server has a disk of its own
def test_a_full_disk_is_unavailable_until_there_is_room(tmp_path: Path) -> None:
    database = new_database(tmp_path)
    desk = Desk(database)
    desk.write(x("a"))
    kept = desk.writer._session
    assert kept is not None
    [[pages]] = kept.all(sql(text("PRAGMA page_count")))
    kept.run(sql(text(f"PRAGMA max_page_count = {pages}")), {})
    # Nothing that could be compressed.
    large = "".join(random.Random(1).choices(string.ascii_letters, k=10**6))
    [answer] = desk.write(group_of("x 1\n# HELP x " + large, key_of("b")))
    assert isinstance(answer, StoreUnavailable)
    assert "full" in str(answer)
    assert desk.write(x("c")) == [None]
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "c"}
    desk.writer.stop()
    database.close()


@pytest.mark.sqlite  # the others have logs of their own
def test_the_log_is_copied_to_the_database_and_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOG_PAGES", 30)
    database = new_database(tmp_path)
    assert isinstance(database, SqliteDatabase)
    desk = Desk(database)
    for number in range(60):
        desk.write(x("a", number))
    log = database.path.with_name(database.path.name + "-wal")
    # Each commit is 3 pages or more.
    assert log.stat().st_size < 60 * 4096
    desk.writer.stop()
    database.close()


@pytest.mark.sqlite  # of a file
def test_a_replaced_database_is_written_and_not_the_lost_one(
    desk: Desk, database: Database, tmp_path: Path
) -> None:
    assert isinstance(database, SqliteDatabase)
    desk.write(x("a"))
    (tmp_path / "other").mkdir()
    other = new_database(tmp_path / "other")
    commit(other, x("restored"))
    other.close()
    for suffix in ("-wal", "-shm"):
        database.path.with_name(database.path.name + suffix).unlink()
    other.path.rename(database.path)

    assert desk.write(x("b")) == [None]

    assert set(desk.stored()) == set(desk.decider.jobs) == {"restored", "b"}


@pytest.mark.sqlite  # of a file
def test_a_deleted_database_is_unavailable(
    desk: Desk, database: Database, tmp_path: Path
) -> None:
    desk.write(x("a"))
    for path in tmp_path.glob("relay.db*"):
        path.unlink()
    [answer] = desk.write(x("b"))
    assert isinstance(answer, StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        read_snapshot(database, desk.decider.position)


def test_what_others_commit_is_seen_before_anything_is_decided(
    desk: Desk, database: Database
) -> None:
    seen: list[set[str]] = []
    desk.write(x("a"))
    commit(database, x("theirs"))
    desk.write(lambda: seen.append(set(desk.decider.jobs)))
    assert seen == [{"a", "theirs"}]


def test_two_writers_of_one_database_take_turns(
    database: Database, tmp_path: Path
) -> None:
    desks = [Desk(database), Desk(new_database(tmp_path))]

    def work(number: int) -> None:
        for value in range(25):
            assert desks[number].write(x(f"{number}-{value}"), x("both", value)) == [
                None,
                None,
            ]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for desk in desks:
        desk.writer.stop()
    with database.snapshot() as connection:
        revisions = connection.execute(select(commits.c.revision)).scalars().all()
    # No gaps, none twice.
    assert sorted(revisions) == list(range(len(revisions)))
    assert len(desks[0].stored()) == 51
    for desk in desks:
        desk.decider.catch_up(lambda since: read_snapshot(database, since))
        assert desk.decider.jobs == desks[0].stored()
        assert desk.decider.whole_readings == 1
    desks[1].database.close()


def test_stop_finishes_what_waits(desk: Desk) -> None:
    for ticket in range(50):
        desk.writer.submit(Number(ticket), x(f"j{ticket}"))
    desk.writer.start()
    desk.writer.stop()
    assert len(desk.stored()) == 50
    assert desk.deliveries.qsize() >= 1


def test_stop_ends_a_writer_that_has_nothing_to_do(desk: Desk) -> None:
    desk.writer.start()
    desk.writer.stop()
    assert desk.deliveries.empty()


def test_the_time_of_the_last_commit_is_known(desk: Desk) -> None:
    assert desk.writer.committed_at == -float("inf")
    before = time.monotonic()
    desk.write(x("a"))
    assert before <= desk.writer.committed_at <= time.monotonic()


def test_a_probe_does_not_advance_the_clock(desk: Desk) -> None:
    desk.writer.probe()
    assert desk.count(commits) == 1


@pytest.fixture
def quick_pruning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 4)
    monkeypatch.setattr(pruning, "KEPT_COMMITS", 10)


@pytest.mark.usefixtures("quick_pruning")
def test_old_commits_and_deletions_are_pruned(desk: Desk) -> None:
    for number in range(20):
        desk.write(x(f"j{number}"))
        desk.write(key_of(f"j{number}"))
    assert desk.count(commits) <= 10 + 4
    # A deletion is kept as long as its commit.
    assert desk.count(groups) <= 7
    assert desk.stored() == desk.decider.jobs == {}


@pytest.mark.usefixtures("quick_pruning")
def test_groups_outlive_the_commits_that_wrote_them(desk: Desk) -> None:
    desk.write(x("kept"))
    for number in range(30):
        desk.write(x("changing", number))
    assert set(desk.stored()) == {"kept", "changing"}


@pytest.mark.usefixtures("quick_pruning")
def test_a_view_within_what_is_kept_reads_on(desk: Desk, database: Database) -> None:
    other = PlainDecider()
    for number in range(40):
        desk.write(x(f"j{number % 7}", number), key_of(f"j{(number + 3) % 7}"))
        if number % 5 == 0:
            other.catch_up(lambda since: read_snapshot(database, since))
            assert other.jobs == desk.decider.jobs
    assert other.whole_readings == 1


@pytest.mark.usefixtures("quick_pruning")
def test_a_view_below_what_was_pruned_reloads(desk: Desk, database: Database) -> None:
    desk.write(x("deleted"), x("kept"))
    other = PlainDecider()
    other.catch_up(lambda since: read_snapshot(database, since))
    desk.write(key_of("deleted"))
    for number in range(30):
        desk.write(x("changing", number))
    other.catch_up(lambda since: read_snapshot(database, since))
    assert other.jobs == desk.decider.jobs
    assert other.whole_readings == 2


@pytest.mark.usefixtures("quick_pruning")
def test_a_history_that_went_back_is_written_and_pruned(
    desk: Desk, database: Database
) -> None:
    for number in range(40):
        desk.write(x("a", number))
    with database.migrating() as connection:
        # As a backup that is put in its place; who scrapes has read it before.
        connection.execute(commits.update().values(nonce=b"another history!"))
        connection.execute(commits.delete().where(commits.c.revision < 40))
        connection.execute(commits.update().values(revision=0))
        connection.execute(groups.update().values(revision=0))
    desk.refresh()
    for number in range(40):
        assert desk.write(x("b", number)) == [None]
    assert desk.count(commits) <= 10 + 4
    assert set(desk.stored()) == set(desk.decider.jobs) == {"a", "b"}


def test_commits_of_an_hour_ago_are_pruned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 4)
    for number in range(5):
        desk.write(x("a", number), key_of("b"))
    desk.now += (pruning.KEPT_SECONDS + 1) * 10**9
    for number in range(4):
        desk.write(x("a", number))
    assert desk.count(commits) == 4  # 6 to 9; what is left of 8 was the pruner
    assert set(desk.stored()) == {"a"}


@pytest.mark.usefixtures("quick_pruning")
def test_no_prune_takes_long(desk: Desk, database: Database) -> None:
    for _ in range(30):
        commit(database)
    desk.write(x("a"))
    assert desk.count(commits) == 32
    desk.write(x("b"))
    # Of 21 that are too many, and of all that are too old, twice as many as come
    # until the next prune.
    assert desk.count(commits) == 33 - (2 * 4 + 1)


def test_the_newest_commit_is_never_pruned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 1)
    monkeypatch.setattr(pruning, "KEPT_COMMITS", 0)
    for number in range(5):
        desk.write(x("a", number))
        assert desk.count(commits) == 1
    assert desk.decider.whole_readings == 1


def test_a_write_that_nobody_waits_for_is_dropped(desk: Desk) -> None:
    desk.writer.submit(Abandoned(), x("left"))
    assert desk.write(x("stays")) == [None]
    assert desk.stored() == {"stays": 'x{instance="",job="stays"} 1\n'}


def test_too_many_waiting_writes_are_refused_at_once(desk: Desk) -> None:
    for number in range(Limits().queued_writes):
        desk.writer.submit(Number(number), x("a"))
    with pytest.raises(Overloaded, match="4000 writes wait") as refusal:
        desk.writer.submit(Number(), x("b"))
    assert refusal.value.limit == "queued_writes"


def test_too_large_waiting_writes_are_refused_at_once(desk: Desk) -> None:
    most = Limits().queued_bytes
    desk.writer.submit(Number(), x("alone"), 2 * most)
    with pytest.raises(Overloaded, match=f"{2 * most} bytes") as refusal:
        desk.writer.submit(Number(), x("more"), 1)
    assert refusal.value.limit == "queued_bytes"
    # There is room again once they were taken.
    assert desk.write(x("a")) == [None]
    desk.writer.submit(Number(), x("b"), most)


def test_answers_that_cannot_be_delivered_do_not_end_the_writer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = desk.deliveries.put
    tried = threading.Event()

    def fail_once(answers: list[tuple[Any, Any]]) -> None:
        if not tried.is_set():
            tried.set()
            raise RuntimeError("nobody there")
        deliver(answers)

    monkeypatch.setattr(desk.writer, "_deliver", fail_once)
    desk.writer.submit(Number(), x("lost"))
    desk.writer.start()
    desk.started = True
    tried.wait(PATIENCE)
    assert desk.write(x("a")) == [None]
    assert desk.writer.is_running
