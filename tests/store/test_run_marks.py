"""Charts read the last runs of many keys at once, and no documents."""

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
from postgres_use import opened
from run_builders import run_id, run_of
from sqlalchemy import URL, bindparam, update
from tcp_proxy import TcpProxy

from pushrelay.errors import StoreUnavailable
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome, Run
from pushrelay.store import run_marks, run_pruning
from pushrelay.store.engine import Database
from pushrelay.store.run_marks import find_marks, last_marks
from pushrelay.store.run_rows import RunRows
from pushrelay.store.schema import LISTED, runs
from pushrelay.store.session import Session
from pushrelay.store.sqlite_session import SqliteSession
from pushrelay.store.statements import sql

ENDS = [None, *Outcome]
KEYS = [key_of("a", i="0"), key_of("a", i="1"), key_of("b"), key_of("never")]
RUNS = [
    run_of(
        number,
        number // 3,
        None if (outcome := ENDS[number * 7 % len(ENDS)]) is None else 50 + number,
        outcome or Outcome.SUCCESS,
        key=KEYS[number % 3],
    )
    for number in range(80)
]
LET_GO = {run.id for run in RUNS[::5]}
_BREAK_DOCUMENTS = sql(update(runs).where(LISTED).values(document=bindparam("junk")))


def store(database: Database, stored: list[Run]) -> None:
    with closing(database.open_writer()) as session, session.transaction():
        for run in stored:
            RunRows(session).put(run)


@pytest.fixture(scope="module")
def database(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with `RUNS`, whose documents cannot be read."""
    database = new_database(tmp_path_factory.mktemp(database_kind))
    store(database, RUNS)
    with closing(database.open_writer()) as session, session.transaction():
        session.run_many(run_pruning._LET_GO, [{"id": id_} for id_ in LET_GO])
        session.run(_BREAK_DOCUMENTS, {"junk": b"no document"})
    yield database
    database.close()


def mark_of(run: Run) -> RunMark:
    end = run.end
    return RunMark(
        run.id,
        run.key.id,
        run.started_at,
        None if end is None else end.finished_at,
        None if end is None else end.outcome,
        is_listed=run.id not in LET_GO,
    )


def is_shown(run: Run) -> bool:
    """Whether a chart shows `run`: nothing finds one that never ran, or has not ended,
    once its document was let go."""
    has_run = run.end is not None and run.end.outcome is not Outcome.SKIPPED
    return has_run or run.id not in LET_GO


def place(mark: RunMark) -> tuple[int, bytes]:
    return mark.started_at, mark.id


MARKS = sorted([mark_of(run) for run in RUNS if is_shown(run)], key=place)


def last(marks: list[RunMark], most: int) -> list[RunMark]:
    return marks[max(0, len(marks) - most) :]


@given(st.sets(st.sampled_from(KEYS)), st.integers(0, 40))
def test_the_last_runs_of_each_key_are_read_by_their_start(
    database: Database, keys: set[GroupingKey], most: int
) -> None:
    expected = {
        key.id: last([mark for mark in MARKS if mark.key == key.id], most)
        for key in keys
    }
    assert last_marks(database, keys, most) == expected


def test_runs_of_a_key_that_were_skipped_are_not_looked_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_marks, "LOOKED_THROUGH", 10)
    rare, often = key_of("a", i="rare"), key_of("a", i="often")
    skipped = run_of(1, 1, 2, Outcome.SKIPPED, key=rare)
    others = [run_of(number, number, number, key=often) for number in range(2, 11)]
    database = new_database(tmp_path)
    store(database, [skipped, *others])
    assert last_marks(database, [rare], 5) == {rare.id: [mark_of(skipped)]}
    store(database, [run_of(11, 11, 11, key=often)])
    assert last_marks(database, [rare], 5) == {rare.id: []}
    # Of more keys of the job, more are looked through.
    assert last_marks(database, [rare, often], 5)[rare.id] == [mark_of(skipped)]
    database.close()


def test_runs_are_found_by_their_ids(database: Database) -> None:
    wanted = [RUNS[0], RUNS[1]]
    ids = [run.id for run in wanted]
    assert find_marks(database, [*ids, run_id(99)]) == {
        run.id: mark_of(run) for run in wanted
    }


def test_a_database_that_fails_is_unavailable(tmp_path: Path) -> None:
    database = database_in(tmp_path, has_tables=False)
    database.create()
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        last_marks(database, KEYS, 1)
    with pytest.raises(StoreUnavailable, match=NO_TABLE):
        find_marks(database, [run_id(1)])
    database.close()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.reading() as session:
        yield session


def test_runs_that_ended_are_read_in_the_order_of_an_index(session: Session) -> None:
    index = "ix_runs_ran_started_at (key=?)"
    assert_plan(session, run_marks._RAN_OF_KEY, {"key": b"k", "most": 30}, index)


def test_others_are_looked_for_in_the_order_of_an_index(session: Session) -> None:
    asked = {"job": b"j", "since": 1, "most": 30}
    steps = plan_of(session, run_marks._OTHERS_OF_JOB, asked)
    told = " ".join(steps)
    assert "ix_runs_listed_job" in told, steps
    if isinstance(session, SqliteSession):
        assert "(job=? AND started_at>?)" in told, steps
        assert "TEMP B-TREE" not in told, steps
    else:
        assert "Sort" not in told, steps


@pytest.mark.postgres
def test_many_keys_take_few_round_trips(url: URL, proxy: TcpProxy) -> None:
    database = opened(url, port=proxy.port)
    keys = [key_of("a", i=f"{number}") for number in range(25)]
    keys += [key_of(f"b{number}") for number in range(25)]
    store(database, [run_of(n, n, n, key=key) for n, key in enumerate(keys)])
    last_marks(database, keys, 30)  # now there is a connection
    before = proxy.turns
    found = last_marks(database, keys, 30)
    # Three, or some more where what is sent in parts is answered in parts.
    assert proxy.turns - before < 10
    assert [len(marks) for marks in found.values()] == [1] * 50
    database.close()
