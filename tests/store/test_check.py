"""What is wrong in a database is found, and nothing that is right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import change, commit, group_of, key_of, new_database
from databases import database_in
from full_store import fill_in
from relay_use import SECOND, Clock, on_loop, open_relay, put
from run_relays import HOUR, begun, ended, report
from sound import check_sound, fault_of, faults_of
from sqlalchemy import delete, insert, select, text, update

from pushrelay.changes import Emptied
from pushrelay.config import Freshness
from pushrelay.errors import StartupError
from pushrelay.policies import Policies
from pushrelay.store import postgresql, pruning
from pushrelay.store.backup import back_up
from pushrelay.store.backup_reader import open_backup
from pushrelay.store.check import Check
from pushrelay.store.clock_checks import TOLERANCE
from pushrelay.store.engine import Database
from pushrelay.store.fault import CLOCK_REMEDY, FILE_REMEDY
from pushrelay.store.group_rows import to_row
from pushrelay.store.migrate import upgrade
from pushrelay.store.restore import restore
from pushrelay.store.schema import (
    commits,
    expectations,
    groups,
    jobs,
    receipts,
    run_evidence,
    runs,
    tokens,
    write_lock,
)
from pushrelay.store.server_clock import ServerClock
from pushrelay.store.sqlite import SqliteDatabase
from pushrelay.writes import receipt_of

pytestmark = pytest.mark.usefixtures("rarely")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Database]:
    """A database with something of everything."""
    fill_in(tmp_path, Clock(time.time_ns()))
    database = database_in(tmp_path)
    yield database
    database.close()


def test_nothing_is_wrong_with_what_a_relay_stores(full: Database) -> None:
    check = Check(full)
    assert list(check.faults()) == []
    assert check.revision is not None
    assert list(check.rows) == [
        *("groups", "jobs", "expectations", "receipts", "run_evidence", "runs"),
        "tokens",
    ]


def test_a_new_database_is_sound(database: Database) -> None:
    assert faults_of(database) == []


@pytest.mark.sqlite
@on_loop
async def test_what_the_janitor_has_still_to_remove_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 4)
    clock = Clock(time.time_ns())
    policies = Policies(Freshness(HOUR, 2 * HOUR))
    async with open_relay(tmp_path, policies, clock) as relay:
        for day in range(70):
            key = key_of("a", instance=str(day % 5))
            now = clock()
            receipt = receipt_of(key, str(day), b"", now)
            await put(relay, key, "x 1", at=now, receipt=receipt)
            await report(relay, begun(2 * day, now, key))
            if day % 3:
                await report(relay, ended(2 * day, now, now + SECOND, key=key))
            await report(relay, begun(2 * day + 1, now, key), is_anonymous=True)
            check_sound(tmp_path, clock())
            if day % 4 == 3:
                await relay.endings.remove_forgotten()
                await relay.runs.prune()
                check_sound(tmp_path, clock())
            clock.go(24 * 3600)


# --- the clock ---


def test_the_row_that_writers_lock_must_be_there(database: Database) -> None:
    change(database, delete(write_lock))
    assert fault_of(database) == (
        "write_lock: has no row, so that no relay can write; run `pushrelay db "
        "upgrade`, which puts it back"
    )
    assert upgrade(database)
    assert faults_of(database) == []
    change(database, insert(write_lock).values(id=7))
    assert fault_of(database).startswith("write_lock: has the rows 1, 7; stop the ")
    change(database, delete(write_lock).where(write_lock.c.id == 7))
    assert faults_of(database) == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (
            delete(commits).where(commits.c.revision == 2),
            "commits 3: comes right after commit 1: those between are missing",
        ),
        (
            update(commits).where(commits.c.revision == 2).values(nonce=b"n"),
            "commits 2: has a nonce of 1 bytes instead of 16",
        ),
        (
            update(commits).values(nonce=bytes(16)),
            "commits 1: has the nonce of commit 0",
        ),
        (
            update(commits).where(commits.c.revision == 4).values(at=2**62),
            "commits 4: was made ",
        ),
        (
            update(commits).where(commits.c.revision == 3).values(at=1),
            "commits 3: was made ",
        ),
        (
            delete(commits).where(commits.c.revision == 4),
            'groups {job="d"}: was written by commit 4, and the newest is 3',
        ),
        (
            delete(commits).where(commits.c.revision < 3),
            f"groups id {key_of('a').id.hex()}: was deleted by commit 2, which went "
            "without it: the oldest is 3",
        ),
        (
            update(commits).where(commits.c.revision == 4).values(at="now"),
            "commits 4: cannot be read: TypeError",
        ),
        (delete(commits), "commits: there are none, so that no relay can read"),
    ],
)
def test_a_clock_that_is_wrong_is_found_and_begins_anew_with_a_backup(
    statement: Any, wanted: str, database: Database, tmp_path: Path
) -> None:
    a = key_of("a")
    commit(database, group_of("x 1", a))
    commit(database, Emptied(a.id, 0))
    commit(database, group_of("x 1", key_of("c")))
    commit(database, group_of("x 1", key_of("d")))
    change(database, update(commits).values(at=time.time_ns()))
    assert faults_of(database) == []
    change(database, statement)
    found = faults_of(database)
    assert found[0].startswith(wanted)
    assert found[0].endswith(f"; {CLOCK_REMEDY}")
    back_up(database, tmp_path / "it.db")
    with open_backup(tmp_path / "it.db", "it.db") as backup:
        restore(database, backup, replace=True)
    assert faults_of(database) == []


def test_clocks_of_hosts_may_be_apart_for_a_while(database: Database) -> None:
    commit(database, group_of("x 1", key_of("a")))
    commit(database, group_of("x 1", key_of("b")))
    now = time.time_ns()
    for apart, faults in [(TOLERANCE, 0), (TOLERANCE + SECOND, 2)]:
        times = {0: now, 1: now + apart, 2: now}
        for revision, at in times.items():
            row = commits.c.revision == revision
            change(database, update(commits).where(row).values(at=at))
        found = faults_of(database, now)
        assert len(found) == faults
    seconds = TOLERANCE // SECOND + 1
    assert found == [
        f"commits 1: was made {seconds} s in the future; {CLOCK_REMEDY}",
        f"commits 2: was made {seconds} s before the commit before it; {CLOCK_REMEDY}",
    ]


@pytest.mark.postgres
def test_a_group_that_is_there_twice_is_found(database: Database) -> None:
    commit(database, group_of("x 1", key_of("a")))
    again = to_row(group_of("x 1", key_of("a"), revision=0))
    change(
        database,
        insert(groups).values(**again),
        update(commits).values(at=time.time_ns()),
    )
    assert fault_of(database) == (
        'groups {job="a"}: is there again; delete all but its row of the highest '
        "revision, and start the relays again"
    )


@pytest.mark.postgres
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_host_with_a_wrong_clock_takes_the_time_from_the_server(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_database(tmp_path).close()
    wrong = partial(ServerClock, wall=lambda: time.time_ns() + hours * HOUR)
    monkeypatch.setattr(postgresql, "ServerClock", wrong)
    database = database_in(tmp_path)
    assert faults_of(database) == []
    back_up(database, tmp_path / "it.db")
    database.close()
    database = database_in(tmp_path)
    with open_backup(tmp_path / "it.db", "it.db") as backup:
        restore(database, backup)
    database.close()
    monkeypatch.undo()
    check_sound(tmp_path)
    database = database_in(tmp_path)
    with database.snapshot() as connection:
        at = connection.execute(select(commits.c.at)).scalar_one()
    database.close()
    assert abs(time.time_ns() - at) < 600 * SECOND


# --- the database ---


def test_a_table_an_index_or_a_column_that_is_gone_is_named(full: Database) -> None:
    remedy = "back it up if that is still possible, and restore into an empty database"
    change(full, text("DROP INDEX ix_groups_revision"), text("DROP TABLE receipts"))
    assert faults_of(full) == [
        f"groups: lacks ix_groups_revision; {remedy}",
        f"receipts: is not there; {remedy}",
    ]
    change(full, text("ALTER TABLE groups DROP COLUMN running_totals"))
    assert f"groups: lacks running_totals; {remedy}" in faults_of(full)


@pytest.mark.postgres
def test_a_key_that_is_gone_is_named(full: Database) -> None:
    without = "ALTER TABLE groups DROP CONSTRAINT pk_groups"
    change(full, text(without), text("DROP TABLE jobs"))
    assert faults_of(full)[0].startswith("groups: lacks its primary key; back it up")


def test_another_schema_is_said(database: Database) -> None:
    change(database, text("UPDATE alembic_version SET version_num = '0005'"))
    with pytest.raises(StartupError, match="run `pushrelay db upgrade"):
        faults_of(database)


PAGE = 4096


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("name", "lost", "wanted"),
    [
        ("ix_groups_revision", 100, "is damaged: "),
        (
            "groups",
            PAGE,
            "cannot be read any further: database disk image is malformed",
        ),
    ],
)
def test_a_file_that_is_damaged_is_found(
    name: str, lost: int, wanted: str, full: Database
) -> None:
    assert isinstance(full, SqliteDatabase)
    with full.snapshot() as connection:
        root = text("SELECT rootpage FROM sqlite_master WHERE name = :name")
        page = connection.execute(root, {"name": name}).scalar_one()
    full.close()
    content = bytearray(full.path.read_bytes())
    # The first cells are at the end of the page.
    content[page * PAGE - lost : page * PAGE] = bytes(lost)
    full.path.write_bytes(content)
    found = faults_of(full)
    assert all(fault.endswith(FILE_REMEDY) for fault in found)
    assert any(fault.startswith(f"database: {wanted}") for fault in found), found


GROUP, JOB = groups.c.families.is_not(None), jobs.c.pushed_at.is_not(None)
EXPECTATION = expectations.c.expectation.is_not(None)
EVIDENCE = run_evidence.c.evidence.is_not(None)


def test_faults_of_each_table_are_found_at_once_and_nothing_is_changed(
    full: Database,
) -> None:
    change(
        full,
        update(groups).where(GROUP).values(families=b"["),
        update(jobs).where(JOB).values(name=b"b"),
        update(expectations).where(EXPECTATION).values(expectation=b"{"),
        update(receipts).values(body=b"x"),
        update(run_evidence).where(EVIDENCE).values(evidence=b"{}"),
        update(runs).values(outcome="lost"),
        update(tokens).values(selectors="["),
    )
    found = faults_of(full)
    assert {fault.split()[0] for fault in found} == {
        *("groups", "jobs", "expectations", "receipts", "run_evidence", "runs"),
        "tokens",
    }
    assert faults_of(full) == found
