"""Documents of runs go when there are too many or they are old, and rows later."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from builders import NO_TABLE, key_of
from databases import database_in
from plans import assert_plan
from run_builders import run_id, run_of
from sqlalchemy import select

from pushrelay.errors import StoreUnavailable
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import REMEMBERED, Run
from pushrelay.store import run_pruning
from pushrelay.store.engine import Database
from pushrelay.store.evidence_rows import write_evidence
from pushrelay.store.run_list import find_run
from pushrelay.store.run_pruning import KNOWN, prune_in_portions, prune_runs
from pushrelay.store.run_rows import RunRows
from pushrelay.store.schema import runs
from pushrelay.store.statements import sql

DAY = 24 * 3600 * 10**9
NOW = 1000 * DAY
ALL = 10**6
A, B = key_of("a"), key_of("b")


def put(database: Database, *each: Run, revision: int = 1) -> None:
    """Store runs, and evidence of their keys."""
    with closing(database.open_writer()) as session, session.transaction():
        for run in each:
            RunRows(session).put(run)
        evidence = {run.key.id: RunEvidence(run.key, revision) for run in each}
        write_evidence(session, evidence.values())


def runs_of(key: GroupingKey, *numbers: int) -> list[Run]:
    """Return runs that are newer the higher their numbers are, by a second."""
    return [run_of(n, NOW - DAY + n * 10**9, key=key) for n in numbers]


def known(database: Database) -> set[bytes]:
    with database.reading() as session:
        return {id_ for (id_,) in session.all(sql(select(runs.c.id)))}


def with_document(database: Database) -> set[bytes]:
    return {id_ for id_ in known(database) if find_run(database, id_) is not None}


def ids(*numbers: int) -> set[bytes]:
    return {run_id(number) for number in numbers}


# runs.md: 27
def test_a_job_keeps_the_documents_of_its_newest_runs(database: Database) -> None:
    put(database, *runs_of(A, 1, 4, 2, 6, 5, 3))
    put(database, *runs_of(key_of("a", i="1"), 7), *runs_of(B, 11, 12))
    assert prune_runs(database, 3, 90 * DAY, NOW) == 4
    assert with_document(database) == ids(5, 6, 7, 11, 12)
    assert known(database) == ids(1, 2, 3, 4, 5, 6, 7, 11, 12)
    assert prune_runs(database, 3, 90 * DAY, NOW) == 0


def test_only_jobs_with_new_reports_are_looked_at(database: Database) -> None:
    put(database, *runs_of(A, 1, 2, 3), revision=4)
    put(database, *runs_of(B, 11, 12, 13), revision=5)
    assert prune_runs(database, 1, 90 * DAY, NOW, since=4) == 2
    assert with_document(database) == ids(1, 2, 3, 13)


def test_old_documents_go_and_their_runs_stay_known(database: Database) -> None:
    max_age = 2 * DAY
    old = run_of(1, NOW - 5 * DAY, NOW - max_age - 1)
    recent = run_of(2, NOW - 5 * DAY, NOW - max_age)
    running = run_of(3, NOW - max_age - 1)
    put(database, old, recent, running)
    assert prune_runs(database, ALL, max_age, NOW) == 2
    assert with_document(database) == {recent.id}
    assert known(database) == {old.id, recent.id, running.id}


@pytest.mark.parametrize("max_age", [DAY, 90 * DAY])
def test_runs_without_a_document_go_when_no_report_can_come(
    database: Database, max_age: int
) -> None:
    old = run_of(1, NOW - KNOWN - DAY, NOW - KNOWN - 1)
    last = run_of(2, NOW - KNOWN - DAY, NOW - KNOWN)
    newest = run_of(3, NOW - DAY // 2)
    put(database, old, last, newest)
    assert prune_runs(database, 1, max_age, NOW) > 0
    assert known(database) == {last.id, newest.id}
    assert KNOWN > REMEMBERED


def test_documents_may_be_kept_longer_than_runs_must_be_known(
    database: Database,
) -> None:
    kept = run_of(1, NOW - 90 * DAY)
    old = run_of(2, NOW - 90 * DAY - 1)
    put(database, kept, old)
    assert prune_runs(database, ALL, 90 * DAY, NOW) == 1
    assert known(database) == with_document(database) == {kept.id}


def test_a_run_that_is_reported_meanwhile_stays(database: Database) -> None:
    put(database, *(run_of(n, NOW - 99 * DAY) for n in range(2)))
    read = run_pruning._read

    def read_and_be_overtaken(*arguments: object) -> list[bytes]:
        found = read(*arguments)  # type: ignore[arg-type]  # they are its own
        if run_id(0) in found:
            put(database, replace(run_of(0, NOW - 99 * DAY, NOW), host="db1"))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_pruning, "_read", read_and_be_overtaken)
        prune_runs(database, ALL, 90 * DAY, NOW)
    assert with_document(database) == ids(0)


def test_much_goes_in_portions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pruning, "AT_ONCE", 10)
    put(database, *runs_of(A, *range(30)), *runs_of(B, *range(100, 105)))
    put(database, *(run_of(n, NOW - 99 * DAY) for n in range(200, 225)))
    portions = list(prune_in_portions(database, 3, 90 * DAY, NOW, 0))
    # Beyond the newest three; then, of these, the rows that are old as well.
    assert portions == [10] * 5 + [4] + [10, 10, 5]
    assert with_document(database) == ids(27, 28, 29, 102, 103, 104)
    assert known(database) == ids(*range(30), *range(100, 105))


def test_others_have_their_turn_between_portions(database: Database) -> None:
    put(database, *runs_of(A, *range(20)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_pruning, "AT_ONCE", 5)
        for _ in prune_in_portions(database, 1, 90 * DAY, NOW, 0):
            waits = threading.Thread(target=put, args=(database, *runs_of(B, 99)))
            waits.start()
            waits.join(10)
            assert not waits.is_alive()
    assert with_document(database) == ids(19, 99)


def test_a_portion_is_quick(database: Database) -> None:
    number = run_pruning.AT_ONCE
    tail = "x" * 10_000
    put(database, *(replace(run, host=2 * tail) for run in runs_of(A, *range(number))))
    began = time.monotonic()
    assert prune_runs(database, 1, 90 * DAY, NOW) == number - 1
    assert time.monotonic() - began < 1


def test_a_database_that_fails_is_unavailable(tmp_path: Path) -> None:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        prune_runs(database, 1, DAY, NOW)
    database.close()


@pytest.mark.parametrize(
    ("statement", "plan"),
    [
        ("_OLD_DOCUMENTS", "ix_runs_listed_reported_at (reported_at<?)"),
        ("_OLD_ROWS", "ix_runs_let_go_reported_at (reported_at<?)"),
        ("_SURPLUS", "ix_runs_listed_job (job=?)"),
        ("_JOBS_SINCE", "ix_run_evidence_revision (revision>?)"),
        ("_LET_GO", "sqlite_autoindex_runs_1 (id=?)"),
        ("_LET_OLD_GO", "sqlite_autoindex_runs_1 (id=?)"),
        ("_REMOVE_OLD", "sqlite_autoindex_runs_1 (id=?)"),
    ],
)
def test_all_is_looked_up_by_an_index(
    database: Database, statement: str, plan: str
) -> None:
    values = {"before": 0, "most": 1, "job": b"", "keep": 1, "since": 0, "id": b""}
    with database.reading() as session:
        assert_plan(session, getattr(run_pruning, statement), values, plan)
