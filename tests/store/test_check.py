"""What is wrong in a database is found, and nothing that is right."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import commit, group_of, key_of
from databases import database_in
from full_store import fill_in
from relay_use import SECOND, Clock
from run_builders import run_id
from sqlalchemy import delete, insert, text, update

from pushrelay.changes import Emptied
from pushrelay.errors import StartupError
from pushrelay.runs import REMEMBERED
from pushrelay.store.check import Check
from pushrelay.store.clock_checks import TOLERANCE
from pushrelay.store.engine import Database
from pushrelay.store.fault import CLOCK_REMEDY, FILE_REMEDY, ROW_REMEDY
from pushrelay.store.schema import (
    commits,
    expectations,
    groups,
    jobs,
    receipts,
    run_evidence,
    runs,
    write_lock,
)
from pushrelay.store.sqlite import SqliteDatabase

pytestmark = pytest.mark.usefixtures("rarely")

NOW = time.time_ns()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Database]:
    """A database with something of everything."""
    fill_in(tmp_path, Clock(NOW))
    database = database_in(tmp_path)
    yield database
    database.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of such a database."""
    directory = tmp_path_factory.mktemp("filled")
    fill_in(directory, Clock(NOW))
    return directory / "relay.db"


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of it."""
    shutil.copy(filled, tmp_path)
    database = database_in(tmp_path)
    yield database
    database.close()


def faults_of(database: Database, now: int = NOW) -> list[str]:
    return [str(fault) for fault in Check(database, now).faults()]


def fault_of(database: Database) -> str:
    [fault] = faults_of(database)
    return fault


def change(database: Database, *statements: Any) -> None:
    with database.migrating() as connection:
        for statement in statements:
            connection.execute(statement)


def test_nothing_is_wrong_with_what_a_relay_stores(full: Database) -> None:
    check = Check(full, NOW)
    assert list(check.faults()) == []
    assert check.revision is not None
    assert list(check.rows) == [
        *("groups", "jobs", "expectations", "receipts", "run_evidence", "runs")
    ]


def test_a_new_database_is_sound(database: Database) -> None:
    assert faults_of(database, time.time_ns()) == []


# --- rows ---

A = key_of("a", instance="i")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"families": b"["}, "cannot be read: ValueError"),
        ({"families": b"x"}, "cannot be read: "),
        ({"families": b"[]\n[0,[0,1],[]]\n"}, "has families whose lengths do not add"),
        (
            {"families": b'[["x",1,"",2,null,false,[]]]\n[0,[0,4],[]]\nx 1\n'},
            'has 1 metrics in the family "x", which says it has 2',
        ),
        (
            {"families": b'[["x",1,"",1,null,false,[]]]\n[0,[0,4],[]]\nx y\n'},
            "cannot be read: ParseError",
        ),
        (
            {"running_totals": b"[]\n[0,[0,1],[]]\n"},
            "has running totals of families whose lengths do not add up",
        ),
        ({"grouping_key": None}, "has only one of grouping key and families"),
        ({"families": None}, "has only one of grouping key and families"),
        ({"created_at": -1}, "has a time before 1970"),
        ({"pushed_at": "today"}, "cannot be read: TypeError"),
    ],
)
def test_groups_that_cannot_be_shown_are_found(
    values: dict[str, Any], what: str, copy: Database
) -> None:
    change(copy, update(groups).where(groups.c.id == A.id).values(**values))
    shown = f"id {A.id.hex()}" if "grouping_key" in values else str(A)
    fault = fault_of(copy)
    assert fault.startswith(f"groups {shown}: {what}")
    assert fault.endswith(f"; {ROW_REMEDY}")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("canonical", "what"),
    [
        (b"job\xffb\xfe", 'groups {job="b"}: has the id of another grouping key'),
        (b"a\xffi\xfejob\xffa\xfe", "has a grouping key that is not in order"),
        (b"a\xffi\xfe", "cannot be read: KeyError"),
        (b"job\xff\x80\xfe", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_rows_of_other_keys_are_found(
    canonical: bytes, what: str, copy: Database
) -> None:
    where = groups.c.id == A.id
    change(copy, update(groups).where(where).values(grouping_key=canonical))
    assert what in fault_of(copy)


OF_JOB = update(jobs).where(jobs.c.pushed_at.is_not(None))
OF_A = update(run_evidence).where(run_evidence.c.id == key_of("a").id)
EXPECTED = update(expectations).where(expectations.c.expectation.is_not(None))
DONE = update(runs).where(runs.c.id == run_id(100))
OPEN = runs.c.id == run_id(101)
RUN, OPEN_RUN = [f"00000000-0000-0000-0000-0000000000{n}" for n in (64, 65)]
ANOTHER = "has the id of another job"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (OF_JOB.values(name=b"b"), f'jobs "b": {ANOTHER}'),
        (OF_JOB.values(name=b"\xff"), ": cannot be read: UnicodeDecodeError"),
        (EXPECTED.values(name=b"c"), f'expectations "c": {ANOTHER}'),
        (EXPECTED.values(expectation=b"{"), "cannot be read: JSONDecodeError"),
        (OF_A.values(evidence=b"{}"), 'run_evidence {job="a"}: cannot be read: KeyE'),
        (OF_A.values(evidence=None), "has only one of grouping key and evidence"),
        (update(receipts).values(body=b"x"), "has an id or a body that is no SHA-256"),
        (
            update(receipts).values(at=NOW + TOLERANCE + 2 * SECOND),
            ": was made 302 s in the future",
        ),
        (DONE.values(outcome="lost"), f"runs {RUN}: cannot be read: ValueError"),
        (DONE.values(started_at=1), "has another started_at than its document says"),
        (DONE.values(document=b"\x00"), f"runs {RUN}: cannot be read: JSONDecodeError"),
        (DONE.values(document=None, outcome=None), "has only one of outcome and end"),
        (DONE.values(document=None, job=bytes(32)), "has the job of another grouping"),
        (
            DONE.values(document=None, key=bytes(32)),
            'is of another grouping key than {job="a"} says',
        ),
        (
            DONE.values(document=None, finished_at=1),
            'has another end than {job="a"} says',
        ),
        (
            update(runs)
            .where(OPEN)
            .values(document=None, finished_at=NOW, outcome="success"),
            f'runs {OPEN_RUN}: has ended, and {{job="a"}} waits for its end',
        ),
        (
            delete(runs).where(OPEN),
            f'run_evidence {{job="a"}}: waits for the end of the run {OPEN_RUN}, which '
            "is not there; report the end of the run, or retire its job",
        ),
        (
            delete(runs).where(runs.c.id == run_id(100)),
            f'run_evidence {{job="a"}}: ends with the run {RUN}, which is not there',
        ),
    ],
)
def test_rows_that_say_what_cannot_be_are_found(
    statement: Any, wanted: str, copy: Database
) -> None:
    change(copy, statement)
    found = faults_of(copy)
    assert found
    assert all(wanted in fault for fault in found), found


@pytest.mark.sqlite
def test_runs_that_may_be_forgotten_are_missed_by_nobody(copy: Database) -> None:
    change(copy, delete(runs), delete(receipts))
    later = NOW + REMEMBERED + SECOND
    assert faults_of(copy, later) == []
    # Until then their rows stay.
    assert len(faults_of(copy, later - 2 * SECOND)) > 0


# --- the clock ---


def test_the_row_that_writers_lock_must_be_there(database: Database) -> None:
    change(database, delete(write_lock))
    assert fault_of(database) == (
        "write_lock: has no row, so that writers on a server do not wait for each "
        "other; stop the relays and run: INSERT INTO write_lock (id) VALUES (1)"
    )
    change(database, insert(write_lock).values(id=1), insert(write_lock).values(id=7))
    assert fault_of(database).startswith("write_lock: has the rows 1, 7; stop the ")
    change(database, delete(write_lock).where(write_lock.c.id == 7))
    assert faults_of(database) == []


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
            update(commits)
            .where(commits.c.revision == 4)
            .values(at=NOW + TOLERANCE + 2 * SECOND),
            "commits 4: was made 302 s in the future",
        ),
        (
            update(commits)
            .where(commits.c.revision == 3)
            .values(at=NOW - TOLERANCE - 2 * SECOND),
            "commits 3: was made 302 s before the commit before it",
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
        (delete(commits), "commits: there are none, so that no relay can read"),
    ],
)
def test_a_clock_that_is_wrong_is_found_and_begins_anew_with_a_backup(
    statement: Any, wanted: str, database: Database
) -> None:
    a = key_of("a")
    commit(database, group_of("x 1", a))
    commit(database, Emptied(a.id, 0))
    commit(database, group_of("x 1", key_of("c")))
    commit(database, group_of("x 1", key_of("d")))
    change(database, update(commits).values(at=NOW))
    assert faults_of(database) == []
    change(database, statement)
    found = faults_of(database)
    assert found[0].startswith(wanted)
    assert found[0].endswith(f"; {CLOCK_REMEDY}")


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
    name: str, lost: int, wanted: str, copy: Database
) -> None:
    assert isinstance(copy, SqliteDatabase)
    with copy.snapshot() as connection:
        root = text("SELECT rootpage FROM sqlite_master WHERE name = :name")
        page = connection.execute(root, {"name": name}).scalar_one()
    content = bytearray(copy.path.read_bytes())
    # The first cells are at the end of the page.
    content[page * PAGE - lost : page * PAGE] = bytes(lost)
    copy.path.write_bytes(content)
    found = faults_of(copy)
    assert all(fault.endswith(f"; {FILE_REMEDY}") for fault in found)
    assert any(fault.startswith(f"database: {wanted}") for fault in found), found


def test_faults_of_each_table_are_found_at_once_and_nothing_is_changed(
    full: Database,
) -> None:
    statements = [
        update(groups).where(groups.c.id == A.id).values(families=b"["),
        OF_JOB.values(name=b"b"),
        EXPECTED.values(expectation=b"{"),
        update(receipts).values(body=b"x"),
        OF_A.values(evidence=b"{}"),
        DONE.values(outcome="lost"),
    ]
    change(full, *statements)
    found = faults_of(full)
    assert {fault.split()[0] for fault in found} == {
        *("groups", "jobs", "expectations", "receipts", "run_evidence", "runs")
    }
    assert faults_of(full) == found
