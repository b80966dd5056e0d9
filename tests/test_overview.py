"""The rows of a view: whatever happens to it, they are those that it comes to."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from board_use import HOUR, evidence, group, rows_at
from builders import group_of, key_of
from hypothesis import given
from hypothesis import strategies as st
from relay_use import SECOND, Clock, on_loop, open_relay, put
from run_use import Reports

from pushrelay.board_rows import BoardRow, RowState, place_of
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
from pushrelay.rights import SCOPES, Grant
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.view.view import JITTER, View

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


# --- one change after the other ---


def test_rows_are_in_the_order_of_attention() -> None:
    store = Store()
    said = JobExpectation(api=Expectation(every=HOUR), since=NOW - 9 * HOUR)
    store.commit(
        group(NOW, job="b", instance="i"),
        group(NOW, job="a", instance="j"),
        group(NOW, job="a", instance="i"),
        group(1, job="c", failed_at=2),
        runs=(evidence(NOW, job="d"),),
        expected={"z": said},
    )
    assert names(store.check()) == [
        "overdue: z",
        "failed: c",
        *("running: d", "ok: a i", "ok: a j", "ok: b i"),
    ]
    assert names(store.overview.rows_of("a")) == ["ok: a i", "ok: a j"]
    assert store.overview.rows_of("nobody") == []


def test_rows_come_change_and_go_with_what_they_are_made_of() -> None:
    store = Store()
    assert store.check() == []
    store.commit(group(NOW), group(NOW, shard="1"))
    [row] = store.check()
    assert row.groups == 2
    store.commit(runs=(evidence(outcome=Outcome.FAILURE),))
    assert names(store.check()) == ["failed: a"]
    store.commit(Emptied(key_of().id, 0))
    [row] = store.check()
    assert (row.groups, row.state) == (1, RowState.FAILED)
    store.commit(runs=(Emptied(key_of().id, 0),))
    assert names(store.check()) == ["ok: a"]
    store.commit(Emptied(key_of(shard="1").id, 0), expected={"a": EACH})
    assert names(store.check()) == ["never ran: a"]
    store.commit(expected={"a": None})
    assert store.check() == []


EACH = JobExpectation(
    api=Expectation(every=HOUR, grace=0, per_instance=True), since=NOW
)


def test_with_time_rows_become_something_else_though_the_view_was_not_told() -> None:
    store = Store(Policies(Freshness(2 * HOUR, 4 * HOUR)))
    store.commit(group(NOW), expected={"b": EACH})
    assert names(store.check()) == ["never ran: b", "ok: a"]
    store.clock.go(3600)
    assert names(store.check()) == ["overdue: b", "ok: a"]
    store.clock.go(3600)
    assert names(store.check()) == ["overdue: b", "stale: a"]
    store.clock.go(7200)
    assert names(store.check()) == ["overdue: b"]


def test_the_first_run_of_an_instance_ends_the_row_of_the_job_as_a_whole() -> None:
    store = Store()
    store.commit(expected={"a": EACH})
    assert names(store.check()) == ["never ran: a"]
    store.commit(runs=(evidence(NOW, instance="i"),))
    assert names(store.check()) == ["running: a i"]
    store.commit(runs=(Emptied(key_of(instance="i").id, 0),))
    assert names(store.check()) == ["never ran: a"]


def test_a_run_of_one_instance_is_seen_in_the_rows_of_all() -> None:
    store = Store()
    whole = replace(EACH, api=Expectation(every=HOUR, grace=0))
    runs = [
        evidence(outcome=Outcome.SUCCESS, last_start=NOW, instance=name)
        for name in "ijk"
    ]
    store.commit(runs=tuple(runs), expected={"a": whole})
    assert {row.next_expected for row in store.check()} == {NOW + HOUR}
    store.commit(runs=(replace(runs[1], last_start=NOW + 5),))
    assert {row.next_expected for row in store.check()} == {NOW + 5 + HOUR}


def test_a_clock_that_steps_back_a_little_stands_still() -> None:
    store = Store()
    store.commit(expected={"a": EACH})
    store.clock.go(3600)
    assert names(store.rows()) == ["overdue: a"]
    before = store.overview.rows()
    store.clock.now -= JITTER
    assert store.overview.rows() is before
    store.clock.now -= 1
    assert names(store.check()) == ["never ran: a"]


def test_nothing_new_is_no_work() -> None:
    store = Store(Policies(Freshness(HOUR)))
    store.commit(group(NOW), group(NOW, job="b"), expected={"c": EACH})
    before = store.overview.rows()
    store.clock.go(1800)
    assert store.overview.rows() is before
    store.commit(group(NOW + 1, job="b"))
    after = store.overview.rows()
    assert [one is other for one, other in zip(before, after, strict=True)] == [
        *(True, True, False)
    ]


def test_what_was_pushed_earlier_is_not_held_in_memory() -> None:
    store = Store()
    old = group_of("x 1", key_of())
    store.commit(old, runs=(evidence(NOW, instance="i"),))
    store.check()
    held = weakref.ref(old.payload)
    del old
    store.commit(group(NOW))
    store.view.snapshot()
    gc.collect()
    assert held() is None


def test_a_bounded_grant_covers_rows_by_all_that_they_are_made_of() -> None:
    store = Store()
    store.commit(
        group(NOW, instance="i", team="x"),
        group(NOW, instance="j", team="x"),
        runs=(evidence(NOW, instance="j", team="y"),),
        expected={"b": EACH},
    )

    def seen(selector: str) -> list[str]:
        grant = Grant(frozenset(SCOPES), (parse_selector(selector),))
        rows = store.overview.rows(grant)
        assert store.overview.rows_of("a", grant) == [r for r in rows if r.job == "a"]
        return names(list(rows))

    assert seen("{}") == ["never ran: b", "running: a j", "ok: a i"]
    assert seen('{team="x"}') == ["ok: a i"]
    assert seen('{team=~"x|y"}') == ["running: a j", "ok: a i"]
    assert seen('{job="b"}') == ["never ran: b"]


# --- whatever happens ---

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


def expected(job: str, said: Expectation | None, pause: int) -> Change:
    def change(store: Store) -> None:
        now = store.clock.now
        record = JobExpectation(api=said, since=now, paused_until=pause and now + pause)
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


@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=25),
)
def test_whatever_happens_rows_are_those_that_there_are(
    policies: Policies, changes: list[tuple[Change, bool]]
) -> None:
    store = Store(policies)
    for change, is_looked_at in changes:
        change(store)
        if is_looked_at:
            store.check()
    store.check()


def test_many_changes_at_once_are_as_good_as_one() -> None:
    store = Store(Policies(Freshness(HOUR)))
    keys = [
        {"job": f"{number % 7}", "instance": f"{number % 11}", "n": f"{number}"}
        for number in range(300)
    ]
    store.commit(*[group(NOW, **labels) for labels in keys])
    store.check()
    for step in (1, 3, 50, 300):
        store.clock.go(60)
        now = store.clock.now
        store.commit(*[group(now, failed_at=now + 1, **x) for x in keys[::step]])
        store.check()
        store.commit(*[group(now, **labels) for labels in keys[1::step]])
        store.check()
    ids = [key_of(**labels).id for labels in keys[::2]]
    store.commit(*[Emptied(id_, 0) for id_ in ids])
    store.check()


def test_rows_that_were_given_to_someone_stay_as_they_are() -> None:
    store = Store()
    store.commit(*[group(NOW, job=f"{number:02}") for number in range(30)])
    given_rows = store.overview.rows()
    before = list(given_rows)
    store.commit(group(NOW + 1, job="07"), group(NOW, job="08", failed_at=NOW + 1))
    assert names(store.check())[0] == "failed: 08"
    store.commit(Emptied(key_of("09").id, 0), group(NOW, job="new"))
    assert len(store.check()) == 30
    assert list(given_rows) == before


def test_a_view_may_be_looked_at_while_it_is_loaded_anew() -> None:
    store = Store()
    for job in "abcd":
        store.commit(group(NOW, job=job))
    newest = store.view.position
    store.reload(without=3)
    # For a moment, it has its groups and not yet its position.
    loaded, store.view.position = store.view.position, newest
    assert names(store.check()) == ["ok: a"]
    store.view.position = loaded
    store.commit(group(NOW, job="e"))
    assert names(store.check()) == ["ok: a", "ok: e"]


def test_threads_may_look_while_the_view_changes() -> None:
    store = Store()
    ends = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        try:
            while not ends.is_set():
                rows = store.overview.rows()
                places = [place_of(row) for row in rows]
                assert places == sorted(set(places))
        except BaseException as failure:  # noqa: BLE001  # told by the test below
            failures.append(failure)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(300):
            name = str(number % 20)
            store.commit(
                group(NOW + number, job=name, failed_at=NOW + 150),
                runs=(evidence(NOW + number, job=name, instance=str(number)),),
            )
            if number % 3 == 2:
                store.commit(
                    Emptied(key_of(name).id, 0),
                    runs=(Emptied(key_of(name, instance=str(number)).id, 0),),
                )
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert failures == []
    store.check()


# --- in a relay ---


@on_loop
async def test_a_relay_shows_what_was_pushed_and_reported(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        assert list(relay.overview.rows()) == []
        await put(relay, key_of("pushed", instance="i"), "x 1", at=clock.now)
        await Reports(relay, clock, "ran").ended(
            1, clock.now / SECOND - 60, clock.now / SECOND, "failure"
        )
        assert relay.refresh_blocking()
        rows = list(relay.overview.rows())
        assert names(rows) == ["failed: ran", "ok: pushed i"]
        assert rows[0].failures == 1
        assert rows[1].pushed_at == clock.now
        await relay.endings.retire("ran")
        assert relay.refresh_blocking()
        assert names(list(relay.overview.rows())) == ["ok: pushed i"]
