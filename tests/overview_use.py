"""What tests of rows build: a store that is looked at, and changes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from board_use import HOUR, evidence, group, rows_at
from builders import key_of
from hypothesis import strategies as st
from relay_use import SECOND, Clock

from pushrelay.board_rows import BoardRow, place_of
from pushrelay.changes import (
    Changes,
    Emptied,
    EvidenceChange,
    ExpectationRecord,
    GroupChange,
    Position,
)
from pushrelay.config import Freshness
from pushrelay.expectations import JobExpectation
from pushrelay.groups import Group
from pushrelay.job_rules import parse_rules
from pushrelay.overview import Overview
from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.view.view import View

NOW = 1_795_000_000 * SECOND
PODS = '[[jobs]]\nmatch = \'job="pods"\'\nstale_after = "1h"\non_stale = "forget"\n'
POLICIES = [
    Policies(),
    Policies(Freshness(HOUR)),
    Policies(Freshness(2 * HOUR, 4 * HOUR), parse_rules(PODS, "rules.toml")),
]


class Store:
    """A view, to which changes come as if a store had them; its rows are looked at."""

    def __init__(self, policies: Policies | None = None) -> None:
        self.clock = Clock(NOW)
        self.view = View(policies)
        self.revision = 0
        self.view.advance(NOW)
        self.reload()
        self.overview = Overview(self.view, self.clock)

    def commit(
        self,
        *groups: Group | Emptied,
        runs: tuple[RunEvidence | Emptied, ...] = (),
        expected: dict[str, JobExpectation | None] | None = None,
    ) -> None:
        """Let the store have these from now on, and the view take them over."""
        self.revision += 1
        new_groups: list[GroupChange] = [
            replace(each, revision=self.revision) for each in groups
        ]
        new_runs: list[EvidenceChange] = [
            replace(each, revision=self.revision) for each in runs
        ]
        records = [
            ExpectationRecord(job, self.revision, said)
            for job, said in (expected or {}).items()
        ]
        since, position = self.view.position, Position(self.revision, b"n" * 16)
        self.view.apply(Changes(since, position, new_groups, [], new_runs, records))

    def reload(self, *, without: int = 0) -> None:
        """Let the view be read anew from a store of which the last commits are lost."""
        self.revision = max(self.revision - without, 0)
        standings, board = self.view.standings, self.view.board
        held = [*self.view.groups.values(), *standings.forgotten.groups.values()]
        groups: list[GroupChange] = [g for g in held if g.revision <= self.revision]
        runs, records = board.records()
        position = Position(self.revision, b"m" * 16)
        self.view.apply(
            Changes(
                None,
                position,
                groups,
                [],
                [each for each in runs if each.revision <= self.revision],
                [each for each in records if each.revision <= self.revision],
            )
        )

    def rows(self) -> list[BoardRow]:
        return list(self.overview.rows())

    def anew(self) -> list[BoardRow]:
        """Return the rows that all there is comes to, job by job."""
        view, now = self.view, self.clock.now
        board, groups = view.board, list(view.groups.values())
        rows = []
        for job in {*board.stored_jobs(), *(each.key.job for each in groups)}:
            living, expected = board.runs_of(job, now)
            of_job = [each for each in groups if each.key.job == job]
            forget_at = board.evidences.forget_at
            rows += rows_at(job, living, expected, of_job, now, forget_at)
        return sorted(rows, key=place_of)

    def check(self) -> list[BoardRow]:
        """Return the rows, which must be those that there are."""
        rows = self.rows()
        assert rows == self.anew()
        return rows


def names(rows: list[BoardRow]) -> list[str]:
    return [f"{row.state.value}: {row.job} {row.instance}".strip() for row in rows]


# --- changes ---

JOBS = st.sampled_from(["a", "b", "pods"])
LABELS = st.sampled_from(
    [{}, {"instance": "i"}, {"instance": "j"}, {"instance": "i", "shard": "1"}]
)
AGO = st.integers(-1, 6 * 60).map((60 * SECOND).__mul__)
Change = Callable[[Store], None]


def pushed(job: str, labels: dict[str, str], ago: int, failed: int) -> Change:
    return lambda store: store.commit(
        group(
            store.clock.now - ago,
            failed_at=max(store.clock.now - failed, 0) if failed else 0,
            job=job,
            **labels,
        )
    )


def ran(job: str, labels: dict[str, str], ago: int, outcome: Outcome | None) -> Change:
    def change(store: Store) -> None:
        start = store.clock.now - ago
        opened = () if outcome else (start,)
        done = evidence(*opened, job=job, outcome=outcome, last_start=start, **labels)
        store.commit(runs=(done,))

    return change


def expected(
    job: str, said: Expectation | None, pause: int, named: tuple[str, ...] = ()
) -> Change:
    def change(store: Store) -> None:
        now = store.clock.now
        record = JobExpectation(
            api=said, since=now, paused_until=pause and now + pause, instances=named
        )
        store.commit(expected={job: record if said else None})

    return change


def gone(job: str, labels: dict[str, str], *, of_runs: bool) -> Change:
    mark = Emptied(key_of(job, **labels).id, 0)
    if of_runs:
        return lambda store: store.commit(runs=(mark,))
    return lambda store: store.commit(mark)


EXPECTATIONS = st.none() | st.builds(
    Expectation,
    every=st.none() | st.just(HOUR),
    grace=st.just(0),
    max_runtime=st.none() | st.just(HOUR // 2),
    per_instance=st.booleans(),
)
CHANGES = st.one_of(
    st.builds(pushed, JOBS, LABELS, AGO, st.sampled_from([0, 0, 1, HOUR])),
    st.builds(ran, JOBS, LABELS, AGO, st.none() | st.sampled_from(Outcome)),
    st.builds(expected, JOBS, EXPECTATIONS, st.sampled_from([0, 0, HOUR])),
    st.builds(gone, JOBS, LABELS, of_runs=st.booleans()),
    st.sampled_from([60, 1800, 3600, 3601, 4 * 3600, -2, -7200]).map(
        lambda seconds: lambda store: store.clock.go(seconds)
    ),
    st.just(lambda store: store.view.advance(store.clock.now)),
    st.just(lambda store: store.view.settle()),
    st.sampled_from(POLICIES).map(
        lambda policies: lambda store: store.view.follow(policies)
    ),
    st.integers(0, 3).map(lambda lost: lambda store: store.reload(without=lost)),
)
