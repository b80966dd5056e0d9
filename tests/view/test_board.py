"""Whatever a board was told, it shows what one shows that is told the end alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from builders import key_of
from hypothesis import given
from hypothesis import strategies as st
from run_builders import run_id

from pushrelay.changes import Emptied, EvidenceChange, ExpectationRecord
from pushrelay.expectations import JobExpectation, Source
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.run_evidence import OpenRun, RunEvidence
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.view.board import Board

KEYS = [
    key_of("a"),
    key_of("a", instance="1"),
    key_of("a", instance="1", shard="x"),
    key_of("a", instance="2"),
    key_of("b"),
    key_of("pods", instance="1"),
    key_of("pods", instance="2"),
]
JOBS = ["a", "b", "pods"]
RULES = Policies(
    None,
    parse_rules(
        '[[jobs]]\nmatch = \'job="pods"\'\nforget_after = "20s"\n', "rules.toml"
    ),
)
SECOND = 10**9


def seconds(number: int) -> int:
    return number * SECOND


EXPECTATIONS = st.sampled_from(
    [
        None,
        Expectation(every=seconds(5), grace=0),
        Expectation(every=seconds(7), grace=seconds(1), max_runtime=seconds(3)),
        Expectation(every=seconds(5), grace=0, per_instance=True),
        Expectation(max_runtime=seconds(4)),
    ]
)
MOMENTS = st.integers(1, 60).map(seconds)


@st.composite
def _evidence(draw: st.DrawFn) -> EvidenceChange:
    key = draw(st.sampled_from(KEYS))
    if draw(st.integers(0, 4)) == 0:
        return Emptied(key.id, 1)
    opened = sorted(draw(st.lists(MOMENTS, max_size=2, unique=True)))
    return RunEvidence(
        key,
        runs={Outcome.SUCCESS: draw(st.integers(0, 3))},
        last_start=max([draw(MOMENTS), *opened]),
        success_start=draw(MOMENTS),
        open=tuple([OpenRun(run_id(at), at) for at in opened]),
    )


@st.composite
def _record(draw: st.DrawFn) -> ExpectationRecord:
    job = draw(st.sampled_from(JOBS))
    if draw(st.integers(0, 4)) == 0:
        return ExpectationRecord(job, 1, None)
    expected = JobExpectation(
        report=draw(EXPECTATIONS),
        rule=draw(EXPECTATIONS),
        reported_at=draw(MOMENTS),
        since=draw(MOMENTS),
        paused_until=draw(st.just(0) | MOMENTS),
        instances=draw(st.sampled_from([(), ("2", "never")])),
        last_start=draw(st.just(0) | MOMENTS),
    )
    return ExpectationRecord(job, 1, expected)


STEPS = st.lists(st.one_of(_evidence(), _record(), MOMENTS), max_size=25)


@dataclass
class Stored:
    """What the store has in the end."""

    runs: dict[bytes, RunEvidence] = field(default_factory=dict)
    expected: dict[str, ExpectationRecord] = field(default_factory=dict)

    def take(self, change: EvidenceChange | ExpectationRecord) -> None:
        match change:
            case RunEvidence():
                self.runs[change.key.id] = change
            case Emptied():
                self.runs.pop(change.id, None)
            case ExpectationRecord(expected=None):
                self.expected.pop(change.job, None)
            case ExpectationRecord():
                self.expected[change.job] = change


def shown(board: Board) -> dict[str, bytes]:
    """Return what is shown of each family, as it lies in the blocks."""
    return {
        name: b"".join([b"".join(block.text()) for block in family.groups.blocks])
        for name, family in board.pages.families.items()
    }


def measures(board: Board) -> tuple[object, ...]:
    pages = board.pages
    families = {
        name: (family.type, family.help, family.groups.series)
        for name, family in pages.families.items()
    }
    stock = board.evidences.stock
    stored = [stock.total, *map(stock.of_job, JOBS)]
    return pages.series, pages.size, families, stored


def settled(board: Board, now: int, most: int | None) -> set[str]:
    """Settle in portions; return which families look different."""
    while not board.prepare(now, most):
        pass
    return board.show()


@given(STEPS, st.integers(0, 60).map(seconds), st.none() | st.integers(1, 5))
def test_any_history_shows_what_a_board_shows_that_is_loaded_afterwards(
    steps: list[EvidenceChange | ExpectationRecord | int], later: int, most: int | None
) -> None:
    board, stored, now = Board(RULES), Stored(), 1
    for step in steps:
        if isinstance(step, int):
            now = max(now, step)
            settled(board, now, most)
            assert board.next_due > now
            continue
        stored.take(step)
        if isinstance(step, ExpectationRecord):
            board.note([], [step])
        else:
            board.note([step], [])
    now = max(now, later)
    before = shown(board)
    changed = settled(board, now, most)
    fresh = Board(RULES)
    fresh.note(stored.runs.values(), stored.expected.values())
    fresh.settle(now)
    after = shown(board)
    assert after == shown(fresh)
    assert measures(board) == measures(fresh)
    assert changed >= {
        name for name in {*before, *after} if before.get(name) != after.get(name)
    }
    assert board.jobs(now) == fresh.jobs(now)
    assert [board.state(job, now) for job in JOBS] == [
        fresh.state(job, now) for job in JOBS
    ]
    gone = {each.key.id for each in board.forgotten()}
    assert gone == {each.key.id for each in fresh.forgotten()}


@given(STEPS, MOMENTS)
def test_before_something_is_due_nothing_changes(
    steps: list[EvidenceChange | ExpectationRecord | int], now: int
) -> None:
    board = Board(Policies())
    for step in steps:
        if isinstance(step, ExpectationRecord):
            board.note([], [step])
        elif not isinstance(step, int):
            board.note([step], [])
    board.settle(now)
    before, due = shown(board), board.next_due
    if due < 10 * seconds(60):
        fresh = Board(Policies())
        fresh.note(*board.records())
        fresh.settle(int(due) - 1)
        assert shown(fresh) == before


def test_a_board_without_news_has_nothing_to_do() -> None:
    board = Board(Policies())
    board.note([RunEvidence(KEYS[0])], [])
    assert board.next_due < 0
    assert board.settle(5)
    assert board.work == 0
    assert board.settle(6) == set()


def test_a_report_that_repeats_what_is_expected_leaves_other_keys_alone() -> None:
    board = Board(Policies())
    expected = JobExpectation().reported(Expectation(every=5, max_runtime=5), 1)
    board.note(
        [RunEvidence(key) for key in KEYS], [ExpectationRecord("a", 1, expected)]
    )
    board.settle(1)
    again = expected.reported(Expectation(every=5, max_runtime=5), 2)
    board.note(
        [RunEvidence(KEYS[0], 2, last_start=2)], [ExpectationRecord("a", 2, again)]
    )
    assert board.work == 2
    assert board.expected("a") == again


@pytest.mark.parametrize("source", Source)
def test_a_job_is_known_as_long_as_it_has_runs_or_something_is_expected(
    source: Source,
) -> None:
    board = Board(RULES)
    expected = JobExpectation().told(source, Expectation(every=5), 1)
    board.note([RunEvidence(KEYS[5], last_start=seconds(1))], [])
    assert board.jobs(seconds(20)) == ["pods"]
    assert board.jobs(seconds(21)) == []
    board.note([], [ExpectationRecord("pods", 1, expected)])
    assert board.jobs(seconds(21)) == ["pods"]
    board.note([], [ExpectationRecord("pods", 1, JobExpectation(since=5))])
    assert board.jobs(seconds(21)) == []
    assert board.stored_jobs() == ["pods"]


def test_of_jobs_that_come_and_go_without_a_run_nothing_is_left() -> None:
    board = Board(Policies())
    expected = JobExpectation(api=Expectation(every=SECOND))
    for job in JOBS:
        board.note([], [ExpectationRecord(job, 1, expected)])
        board.settle(SECOND)
        board.note([], [ExpectationRecord(job, 2, None)])
        board.settle(SECOND)
    assert board.stored_jobs() == []
    assert board.evidences._last_starts == {}
