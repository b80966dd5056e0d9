"""Runs as reports are decided by them: known by their ids, asked about others."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from builders import key_of, new_database
from databases import database_url
from hypothesis import given
from hypothesis import strategies as st
from plans import assert_plan
from run_builders import run_id, run_of
from sqlalchemy import func, select

from pushrelay.run_evidence import History, Neighbour, RunEvidence
from pushrelay.runs import End, Outcome, Run
from pushrelay.store import run_pruning, run_rows
from pushrelay.store.books import Books
from pushrelay.store.engine import Database
from pushrelay.store.evidence_rows import write_evidence
from pushrelay.store.run_rows import RunRows
from pushrelay.store.schema import runs
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

REPOSITORY = Path(__file__).parents[2]
A = key_of("a")
MOMENTS = st.integers(0, 9)


@pytest.fixture(scope="module")
def directory(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(database_kind)


@pytest.fixture(scope="module")
def database(directory: Path) -> Iterator[Database]:
    database = new_database(directory)
    yield database
    database.close()


@contextmanager
def undone(database: Database) -> Iterator[Session]:
    """Give a session whose transaction is undone."""
    with closing(database.open_writer()) as session:
        try:
            with session.transaction():
                yield session
                raise InterruptedError
        except InterruptedError:
            pass


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with undone(database) as session:
        yield session


@pytest.fixture
def rows(session: Session) -> RunRows:
    return RunRows(session)


def count(session: Session) -> int:
    [[number]] = session.all(sql(select(func.count()).select_from(runs)))
    return int(number)


def let_go(session: Session, run: Run) -> None:
    session.run(run_pruning._LET_GO, {"id": run.id})


# --- by id ---


def test_a_run_is_known_as_soon_as_it_was_put(session: Session) -> None:
    books = Books(session, now=0)
    started = run_of(1, 5)
    assert books.runs.get(started.id) is None
    books.runs.put(started)
    assert books.runs.get(started.id) == started
    finished = replace(started, host="db1", end=End(9, Outcome.FAILURE, exit_code=3))
    books.runs.put(finished)
    assert books.runs.get(started.id) == finished
    assert count(session) == 1


def test_of_a_run_without_its_document_little_is_known(
    session: Session, rows: RunRows
) -> None:
    run = replace(run_of(1, 5, 9, Outcome.TIMEOUT, min_interval=7), host="db1")
    running = run_of(2, 6)
    for each in (run, running):
        rows.put(each)
        let_go(session, each)
    found = rows.get(run.id)
    assert found is not None
    assert found.key.id == run.key.id
    assert replace(found, key=run.key) == replace(run, host=None)
    found = rows.get(running.id)
    assert found is not None
    assert found.end is None


def test_its_key_is_known_if_there_is_evidence(session: Session, rows: RunRows) -> None:
    run = run_of(1, 5, 9)
    rows.put(run)
    let_go(session, run)
    write_evidence(session, [RunEvidence(run.key, 1)])
    assert rows.get(run.id) == run


def test_a_run_that_is_put_again_has_its_document_again(
    session: Session, rows: RunRows
) -> None:
    run = run_of(1, 5, 9)
    rows.put(run)
    let_go(session, run)
    rows.put(replace(run, host="db1"))
    assert rows.get(run.id) == replace(run, host="db1")


def test_ending_a_job_removes_all_its_runs(session: Session, rows: RunRows) -> None:
    of_job = [run_of(n, n, key=key_of("a", i=f"{n % 2}")) for n in range(6)]
    other = run_of(9, key=key_of("b"))
    for run in [*of_job, other]:
        rows.put(run)
    let_go(session, of_job[0])
    rows.end_job("a")
    assert [rows.get(run.id) for run in of_job] == [None] * 6
    assert rows.get(other.id) == other


def test_ending_all_removes_all(session: Session, rows: RunRows) -> None:
    for number in range(3):
        rows.put(run_of(number, key=key_of(f"{number}")))
    rows.end_all()
    assert count(session) == 0


def test_what_was_put_is_gone_after_a_kill(database: Database, directory: Path) -> None:
    code = """
import os, sys
from run_builders import run_of
from pushrelay.store.engine import open_database
from pushrelay.store.run_rows import RunRows
session = open_database(sys.argv[1]).open_writer()
with session.transaction():
    rows = RunRows(session)
    rows.put(run_of(77))
    assert rows.get(run_of(77).id) == run_of(77)
    os._exit(9)
"""
    path = f"{REPOSITORY}:{REPOSITORY / 'tests'}"
    killed = subprocess.run(
        [sys.executable, "-c", code, database_url(directory)],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=30,
    )
    assert killed.returncode == 9
    with database.reading() as session:
        assert RunRows(session).get(run_id(77)) is None


# --- the history of a key ---


class PlainHistory:
    """What a `History` says, worked out from a list of all runs."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = [
            (run, run.end)
            for run in runs
            if run.end is not None and run.end.outcome is not Outcome.SKIPPED
        ]

    def overlapping(self, run: Run) -> int:
        assert run.end is not None
        until = run.end.finished_at
        return sum(
            other.started_at < until and run.started_at < end.finished_at
            for other, end in self._runs
            if other.id != run.id
        )

    def neighbours(self, run: Run) -> tuple[Neighbour | None, Neighbour | None]:
        places = sorted(
            (other.started_at, other.id, other.min_interval) for other, _ in self._runs
        )
        this = (run.started_at, run.id)
        before = [Neighbour(at, least) for at, id_, least in places if (at, id_) < this]
        after = [Neighbour(at, least) for at, id_, least in places if (at, id_) > this]
        return before[-1] if before else None, after[0] if after else None

    def failures_after(self, finished_at: int) -> tuple[int, int | None]:
        times = [
            end.finished_at
            for _, end in self._runs
            if end.outcome is not Outcome.SUCCESS and end.finished_at > finished_at
        ]
        return len(times), min(times, default=None)


ENDED = st.builds(
    lambda number, started_at, duration, outcome, min_interval: run_of(
        number,
        started_at,
        None if duration is None else started_at + duration,
        outcome,
        min_interval=min_interval,
    ),
    st.integers(0, 20),
    MOMENTS,
    st.none() | MOMENTS,
    st.sampled_from(Outcome),
    st.none() | MOMENTS,
)
ASKED = ENDED.filter(lambda run: run.end is not None)


@given(
    st.lists(ENDED, max_size=12, unique_by=lambda run: run.id),
    ASKED,
    st.booleans(),
)
def test_a_history_says_what_a_list_of_the_runs_would(
    database: Database, runs: list[Run], asked: Run, is_put: bool
) -> None:
    others = [run for run in runs if run.id != asked.id]
    with undone(database) as session:
        rows = RunRows(session)
        for run in others:
            rows.put(run)
            rows.put(replace(run, id=b"other".ljust(11) + run.id[11:], key=key_of("b")))
        if is_put:
            rows.put(asked)
        history: History = rows.of(A)
        plain = PlainHistory(others)
        assert history.overlapping(asked) == plain.overlapping(asked)
        assert history.neighbours(asked) == plain.neighbours(asked)
        assert asked.end is not None
        if asked.end.outcome is Outcome.SUCCESS or not is_put:
            at = asked.end.finished_at
            assert history.failures_after(at) == plain.failures_after(at)


# runs.md: 27
def test_runs_count_without_their_documents(session: Session, rows: RunRows) -> None:
    run = run_of(1, 5, 9, Outcome.FAILURE, min_interval=3)
    rows.put(run)
    let_go(session, run)
    history = rows.of(A)
    assert history.overlapping(run_of(2, 6, 7)) == 1
    assert history.neighbours(run_of(2, 6, 7)) == (Neighbour(5, 3), None)
    assert history.failures_after(8) == (1, 9)


def test_a_run_without_an_end_goes_on(rows: RunRows) -> None:
    rows.put(run_of(1, 5, 9))
    assert rows.of(A).overlapping(run_of(2, 8)) == 1
    assert rows.of(A).overlapping(run_of(2, 9)) == 0


# --- what it costs ---

VALUES = {
    "id": run_id(1),
    "key": A.id,
    "job": bytes(32),
    "started_at": 0,
    "finished_at": 0,
}


@pytest.mark.parametrize(
    ("statement", "plan"),
    [
        ("_GET", "USING INDEX sqlite_autoindex_runs_1 (id=?)"),
        ("_KEY_OF", "USING INDEX sqlite_autoindex_run_evidence_1 (id=?)"),
        ("_OVERLAPPING", "ix_runs_ran_finished_at (key=? AND finished_at>?)"),
        ("_BEFORE", "ix_runs_ran_started_at (key=? AND (started_at,id)<(?,?))"),
        ("_AFTER", "ix_runs_ran_started_at (key=? AND (started_at,id)>(?,?))"),
        ("_FAILURES_AFTER", "ix_runs_ran_finished_at (key=? AND finished_at>?)"),
        ("_END_LISTED", "ix_runs_listed_job (job=?)"),
        ("_END_LET_GO", "ix_runs_let_go_job (job=?)"),
    ],
)
def test_all_is_looked_up_by_an_index(
    session: Session, statement: str, plan: str
) -> None:
    assert_plan(session, getattr(run_rows, statement), VALUES, plan)


def best_of(times: int, do: Callable[[], object]) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def test_what_comes_in_order_costs_the_same_after_many_runs(rows: RunRows) -> None:
    def report(number: int) -> None:
        start = number * 10
        run = run_of(number, start, start + 5, Outcome.FAILURE)
        history = rows.of(A)
        history.overlapping(run)
        history.neighbours(run)
        history.failures_after(start)
        rows.put(run)

    numbers = iter(range(20_000))
    first = best_of(200, lambda: report(next(numbers)))
    for number in random.Random(1).sample(range(1000, 19_000), 10_000):
        rows.put(run_of(number, number * 10, number * 10 + 5))
    last = iter(range(19_000, 20_000))
    assert best_of(200, lambda: report(next(last))) < 5 * first
