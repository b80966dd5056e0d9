"""Evidence, expectations and runs are committed together, or nothing of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest
from builders import key_of
from run_builders import contents, run_of
from sqlalchemy import func, select

from pushrelay.changes import Changes, Emptied, ExpectationRecord, Position
from pushrelay.errors import StoreUnavailable
from pushrelay.expectations import JobExpectation
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import Run
from pushrelay.schedule import Expectation
from pushrelay.store import pruning
from pushrelay.store.books import Books
from pushrelay.store.decisions import Decision
from pushrelay.store.engine import Database, NotAllowed
from pushrelay.store.reader import ReadChanges, read_snapshot
from pushrelay.store.run_rows import RunRows
from pushrelay.store.schema import expectations, run_evidence
from pushrelay.store.session import Session
from pushrelay.store.statements import sql
from pushrelay.store.writer import Writer

PATIENCE = 10.0
Write = Callable[[Decision, int, Books], Any]
EXPECTED = JobExpectation(rule=Expectation(every=5))


class Replica:
    """What a relay knows of runs and expectations. Its writes are called."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.position: Position | None = None
        self.evidence: dict[bytes, RunEvidence] = {}
        self.expected: dict[str, JobExpectation] = {}
        self.answers: SimpleQueue[list[tuple[Any, Any]]] = SimpleQueue()
        self.writer = Writer(
            database,
            self,
            self.answers.put,
            self.refresh,
            lambda *_: None,
            database.now,
        )

    def write(self, *writes: Write) -> list[Any]:
        """Have `writes` done, in one batch if the writer is not yet started."""
        for number, write in enumerate(writes):
            self.writer.submit(Waiting(number), write)
        if not self.writer.is_running:
            self.writer.start()
        answers: dict[int, Any] = {}
        while len(answers) < len(writes):
            answers |= dict(self.answers.get(timeout=PATIENCE))
        return [answers[number] for number in range(len(writes))]

    def refresh(self) -> None:
        self.catch_up(lambda since: read_snapshot(self.database, since))

    def catch_up(self, read: ReadChanges) -> Position:
        changes = read(self.position)
        if changes is not None:
            self.committed(changes)
        assert self.position is not None
        return self.position

    def decide(self, writes: list[Write], revision: int, books: Books) -> Decision:
        decision = Decision()
        for write in writes:
            decision.answers.append(write(decision, revision, books))
        return decision

    def committed(self, changes: Changes) -> None:
        if changes.since is None:
            self.evidence, self.expected = {}, {}
        for change in changes.runs:
            if isinstance(change, Emptied):
                self.evidence.pop(change.id, None)
            else:
                self.evidence[change.key.id] = change
        for record in changes.expectations:
            self.expected.pop(record.job, None)
            if record.expected is not None:
                self.expected[record.job] = record.expected
        self.position = changes.position

    @property
    def known(self) -> dict[str, object]:
        """The number of overlaps of each key's runs, and what is expected."""
        overlaps = {str(each.key): each.overlaps for each in self.evidence.values()}
        return {**overlaps, **self.expected}


class Waiting(int):
    """A ticket; whoever holds it waits for ever."""

    def done(self) -> bool:
        return False


@pytest.fixture
def replica(database: Database) -> Iterator[Replica]:
    replica = Replica(database)
    yield replica
    if replica.writer.is_running:
        replica.writer.stop()


def evidence(job: str, overlaps: int = 0) -> Write:
    def write(decision: Decision, revision: int, _: Books) -> None:
        held = RunEvidence(key_of(job), revision, overlaps=overlaps)
        decision.runs.append(held)

    return write


def no_evidence(job: str) -> Write:
    def write(decision: Decision, revision: int, _: Books) -> None:
        decision.runs.append(Emptied(key_of(job).id, revision))

    return write


def expect(job: str, expected: JobExpectation | None) -> Write:
    def write(decision: Decision, revision: int, _: Books) -> None:
        decision.expectations.append(ExpectationRecord(job, revision, expected))

    return write


def report(run: Run) -> Write:
    """Store `run`, and answer what was known of it."""

    def write(_: Decision, __: int, books: Books) -> Run | None:
        known = books.runs.get(run.id)
        books.runs.put(run)
        return known

    return write


def explode(*_: object) -> None:
    raise ZeroDivisionError


def stored(database: Database, id_: bytes) -> Run | None:
    with database.reading() as session:
        return RunRows(session).get(id_)


def test_evidence_alone_and_expectations_alone_are_commits(
    replica: Replica, database: Database
) -> None:
    other = Replica(database)
    other.refresh()
    replica.write(evidence("a", 1))
    other.refresh()
    assert other.known == {'{job="a"}': 1}
    replica.write(expect("a", EXPECTED))
    other.refresh()
    assert other.known == {'{job="a"}': 1, "a": EXPECTED}
    assert other.position is not None
    assert other.position.revision == 2
    replica.write(no_evidence("a"), expect("a", None))
    other.refresh()
    assert other.known == replica.known == {}


def test_the_writer_takes_over_what_it_wrote(replica: Replica) -> None:
    replica.write(evidence("a", 1), evidence("b"), evidence("a", 2))
    replica.write(expect("a", EXPECTED))
    assert replica.known == {'{job="a"}': 2, '{job="b"}': 0, "a": EXPECTED}
    other = Replica(replica.database)
    other.refresh()
    assert other.known == replica.known
    for id_, held in replica.evidence.items():
        assert contents(other.evidence[id_]) == contents(held)


def test_replicas_decide_by_what_the_others_wrote(
    replica: Replica, database: Database
) -> None:
    other = Replica(database)
    replica.write(evidence("a", 1), report(run_of(1)))
    finished = run_of(1, finished_at=200)
    assert other.write(report(finished)) == [run_of(1)]
    assert other.known == {'{job="a"}': 1}
    assert replica.write(report(finished)) == [finished]
    other.writer.stop()


def test_a_later_report_of_a_batch_sees_the_earlier_ones(replica: Replica) -> None:
    started, finished = run_of(1), run_of(1, finished_at=200)
    answers = replica.write(report(started), report(finished), report(finished))
    assert answers == [None, started, finished]


def test_runs_alone_are_stored_without_a_commit_of_the_clock(
    replica: Replica, database: Database
) -> None:
    replica.write(report(run_of(1)))
    assert stored(database, run_of(1).id) == run_of(1)
    assert replica.position is not None
    assert replica.position.revision == 0


def test_a_commit_that_fails_leaves_no_run(
    replica: Replica,
    database: Database,
    in_commit: Callable[[Callable[[Session], None]], None],
) -> None:
    def fail(_: Session) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    in_commit(fail)
    answers = replica.write(report(run_of(1)), evidence("a"))
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
    assert stored(database, run_of(1).id) is None
    assert replica.write(report(run_of(1)), evidence("a")) == [None, None]
    assert stored(database, run_of(1).id) == run_of(1)


def test_a_batch_that_is_tried_one_by_one_does_not_see_what_was_undone(
    replica: Replica, database: Database
) -> None:
    answers = replica.write(report(run_of(1)), explode, report(run_of(1)))
    assert answers[0] is None
    assert isinstance(answers[1], ZeroDivisionError)
    assert answers[2] == run_of(1)
    assert stored(database, run_of(1).id) == run_of(1)


def test_a_run_that_cannot_be_stored_does_not_fail_its_batch(
    replica: Replica, database: Database
) -> None:
    broken = replace(run_of(1), started_at=None)  # type: ignore[arg-type]  # broken
    answers = replica.write(report(broken), report(run_of(2)))
    assert isinstance(answers[0], NotAllowed)
    assert answers[1] is None
    assert stored(database, run_of(2).id) == run_of(2)


def test_what_was_removed_is_pruned(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 4)
    monkeypatch.setattr(pruning, "KEPT_COMMITS", 4)
    replica.write(evidence("kept"), expect("kept", EXPECTED))
    for number in range(12):
        job = f"{number}"
        replica.write(evidence(job), expect(job, EXPECTED))
        replica.write(no_evidence(job), expect(job, None))
    with replica.database.reading() as session:
        for table in (run_evidence, expectations):
            [[rows]] = session.all(sql(select(func.count()).select_from(table)))
            assert 1 <= rows <= 6
    other = Replica(replica.database)
    other.refresh()
    assert other.known == replica.known == {'{job="kept"}': 0, "kept": EXPECTED}
