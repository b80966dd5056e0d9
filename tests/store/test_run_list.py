"""Runs are listed in pages, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import NO_TABLE, key_of, new_database
from databases import database_in
from hypothesis import given
from hypothesis import strategies as st
from plans import assert_plan, plan_of
from run_builders import run_id, run_of

from pushrelay.errors import StoreUnavailable
from pushrelay.runs import Outcome, Run
from pushrelay.store import run_list, run_pruning
from pushrelay.store.engine import Database
from pushrelay.store.run_list import (
    ABANDONED,
    RUNNING,
    STATES,
    RunFilter,
    find_run,
    find_runs,
    list_runs,
)
from pushrelay.store.run_rows import RunRows

ENDS = [None, *Outcome]
RUNS = [
    run_of(
        number,
        number // 3,
        None if (outcome := ENDS[number % len(ENDS)]) is None else 50,
        outcome or Outcome.SUCCESS,
        key=key_of("ab"[number % 2], i=f"{number % 3}"),
    )
    for number in range(40)
]
LET_GO = RUNS[::7]
SHOWN = [run for run in RUNS if run not in LET_GO]


@pytest.fixture(scope="module")
def database(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    database = new_database(tmp_path_factory.mktemp(database_kind))
    with closing(database.open_writer()) as session, session.transaction():
        for run in RUNS:
            RunRows(session).put(run)
        gone = [{"id": run.id} for run in LET_GO]
        session.run_many(run_pruning._LET_GO, gone)
    yield database
    database.close()


def place(run: Run) -> tuple[int, bytes]:
    return run.started_at, run.id


def states(run: Run) -> tuple[str, ...]:
    return (RUNNING, ABANDONED) if run.end is None else (run.end.outcome.value,)


def is_wanted(run: Run, wanted: RunFilter) -> bool:
    return (
        wanted.job in (None, run.key.job)
        and wanted.state in (None, *states(run))
        and (wanted.since is None or run.started_at >= wanted.since)
        and (wanted.until is None or run.started_at < wanted.until)
        and (wanted.after is None or place(run) < wanted.after)
        and (wanted.ids is None or wanted.ids[0] <= run.id <= wanted.ids[1])
    )


@given(
    st.builds(
        RunFilter,
        st.sampled_from([None, "a", "b", "c"]),
        st.sampled_from([None, *STATES]),
        st.none() | st.integers(0, 15),
        st.none() | st.integers(0, 15),
        st.none() | st.sampled_from(RUNS).map(place),
        st.integers(0, 50),
        st.none() | st.tuples(*[st.integers(0, 40).map(run_id)] * 2),
    )
)
def test_all_that_is_wanted_is_listed(database: Database, wanted: RunFilter) -> None:
    newest_first = sorted(SHOWN, key=place, reverse=True)
    expected = [run for run in newest_first if is_wanted(run, wanted)]
    assert list_runs(database, wanted) == expected[: wanted.limit]


def test_pages_join_without_gaps(database: Database) -> None:
    pages: list[Run] = []
    after = None
    while page := list_runs(database, RunFilter(after=after, limit=4)):
        pages += page
        after = place(page[-1])
    assert pages == sorted(SHOWN, key=place, reverse=True)


def test_a_run_is_found_while_it_has_its_document(database: Database) -> None:
    assert find_run(database, SHOWN[0].id) == SHOWN[0]
    assert find_run(database, LET_GO[0].id) is None
    assert find_run(database, run_id(99)) is None
    found = find_runs(database, [SHOWN[1].id, run_id(99), LET_GO[0].id, SHOWN[0].id])
    assert found == {run.id: run for run in SHOWN[:2]}


def test_a_database_that_fails_is_unavailable(tmp_path: Path) -> None:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        list_runs(database, RunFilter())
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        find_run(database, run_id(1))
    database.close()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (RunFilter(), "ix_runs_listed_started_at"),
        (RunFilter(job="a"), "ix_runs_listed_job (job=?)"),
        (RunFilter(job="a", state="failure"), "ix_runs_listed_job (job=?)"),
        (RunFilter(job="a", state=RUNNING), "ix_runs_listed_job (job=?)"),
        (RunFilter(state=RUNNING), "ix_runs_unfinished_started_at"),
        (RunFilter(state=ABANDONED), "ix_runs_unfinished_started_at"),
        (RunFilter(state="failure"), "ix_runs_listed_outcome (outcome=?)"),
        (
            RunFilter(state="failure", since=1, until=2),
            "ix_runs_listed_outcome (outcome=? AND started_at>? AND started_at<?)",
        ),
        (
            RunFilter(state="failure", after=(1, b"")),
            "ix_runs_listed_outcome (outcome=? AND (started_at,id)<(?,?))",
        ),
        (
            RunFilter(state=RUNNING, after=(1, b"")),
            "ix_runs_unfinished_started_at ((started_at,id)<(?,?))",
        ),
        (
            RunFilter(job="a", state="failure", after=(1, b"")),
            "ix_runs_listed_job (job=? AND (started_at,id)<(?,?))",
        ),
        (
            RunFilter(job="a", state=RUNNING, since=1),
            "ix_runs_listed_job (job=? AND started_at>?)",
        ),
        (
            RunFilter(job="a", since=1, until=2),
            "ix_runs_listed_job (job=? AND started_at>? AND started_at<?)",
        ),
        (
            RunFilter(since=1, until=2),
            "ix_runs_listed_started_at (started_at>? AND started_at<?)",
        ),
        (
            RunFilter(job="a", after=(1, b"")),
            "ix_runs_listed_job (job=? AND (started_at,id)<(?,?))",
        ),
        (
            RunFilter(after=(1, b"")),
            "ix_runs_listed_started_at ((started_at,id)<(?,?))",
        ),
    ],
)
def test_lists_are_read_in_the_order_of_an_index(
    database: Database, wanted: RunFilter, index: str
) -> None:
    values = run_list._values(wanted)
    listing = run_list._listing(frozenset(values))
    with database.reading() as session:
        # Whose runs without an end are fewer depends on the rows there are.
        other = "ix_runs_unfinished_started_at" if wanted.state == RUNNING else None
        assert_plan(session, listing, values, index, other)


@pytest.mark.sqlite  # others choose by the rows there are
def test_runs_whose_ids_are_in_a_range_are_looked_up_by_that(
    database: Database,
) -> None:
    values = run_list._values(RunFilter(ids=(run_id(1), run_id(2))))
    listing = run_list._listing(frozenset(values))
    with database.reading() as session:
        steps = plan_of(session, listing, values)
    assert "sqlite_autoindex_runs_1 (id>? AND id<?)" in steps[0]
