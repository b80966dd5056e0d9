"""What someone sees of jobs that are theirs in part: as if that part were all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from board_use import HOUR, evidence, group
from builders import key_of
from hypothesis import given
from hypothesis import strategies as st
from overview_use import (
    AGO,
    EXPECTATIONS,
    JOBS,
    NOW,
    POLICIES,
    Change,
    Store,
    expected,
    gone,
    names,
    pushed,
    ran,
)

from pushrelay.expectations import JobExpectation
from pushrelay.policies import Policies
from pushrelay.rights import ALL_RIGHTS, SCOPES, Grant
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.seen_jobs import JobPart, part_for
from pushrelay.selector_parser import parse_selector


def grant_of(*selectors: str) -> Grant:
    return Grant(frozenset(SCOPES), tuple(map(parse_selector, selectors)))


# --- parts ---


@pytest.mark.parametrize(
    ("selectors", "seen"),
    [
        ([], ["never ran: b", "running: a j", "ok: a i"]),
        (["{}"], ["never ran: b", "running: a j", "ok: a i"]),
        (['{job="a"}'], ["running: a j", "ok: a i"]),
        (['{job=~"b|c"}'], ["never ran: b"]),
        (['{job="b",instance=""}'], []),
        (['{job="a",instance="i"}'], ["ok: a i"]),
        (['{team="x"}'], ["ok: a i", "ok: a j"]),
        (['{team="y"}'], ["running: a j"]),
        (['{team="x"}', '{team="y"}'], ["running: a j", "ok: a i"]),
        (['{team="x",instance="i"}', '{job="b"}'], ["never ran: b", "ok: a i"]),
        (['{team=""}'], []),
        (['{job="nobody"}'], []),
    ],
)
def test_a_row_is_made_of_what_is_covered(
    selectors: list[str], seen: list[str]
) -> None:
    store = Store()
    store.commit(
        group(NOW, instance="i", team="x"),
        group(NOW, instance="j", team="x"),
        runs=(evidence(NOW, instance="j", team="y"),),
        expected={"b": JobExpectation(api=Expectation(every=HOUR), since=NOW)},
    )
    assert names(list(store.overview.rows(grant_of(*selectors)))) == seen


def test_that_a_run_of_others_came_is_not_seen() -> None:
    store = Store()
    whole = JobExpectation(api=Expectation(every=HOUR, grace=0), since=NOW)
    runs = [
        evidence(outcome=Outcome.SUCCESS, last_start=NOW, instance=name)
        for name in "ij"
    ]
    store.commit(runs=tuple(runs), expected={"a": whole})
    store.clock.go(7200)
    mine, all_of_it = grant_of('{instance="i"}'), grant_of('{job="a"}')
    before = store.overview.rows(mine)
    assert names(list(before)) == ["ok: a i"]
    assert names(store.overview.rows_of("a", all_of_it))[0] == "overdue: a i"
    store.commit(runs=(evidence(store.clock.now, instance="j"),))
    assert names(store.overview.rows_of("a", all_of_it)) == ["running: a j", "ok: a i"]
    assert store.overview.rows(mine) == before


def test_an_instance_that_is_covered_as_a_whole_is_seen_to_be_late() -> None:
    store = Store()
    each = Expectation(every=HOUR, grace=0, per_instance=True)
    said = JobExpectation(api=each, since=NOW, instances=("i", "j"))
    store.commit(group(NOW, instance="i", team="x"), expected={"a": said})
    store.clock.go(3600)
    assert names(store.overview.rows_of("a", grant_of('{instance="i"}'))) == [
        "overdue: a i"
    ]
    assert names(store.overview.rows_of("a", grant_of('{team="x"}'))) == ["ok: a i"]


LATE = Expectation(every=HOUR, max_runtime=HOUR)


@pytest.mark.parametrize(
    ("selector", "said", "known"),
    [
        ('{job="a"}', LATE, LATE),
        ('{instance="i"}', LATE, Expectation(max_runtime=HOUR)),
        ('{instance="i"}', Expectation(every=HOUR), None),
        ('{instance="i"}', None, None),
    ],
)
def test_of_what_is_expected_of_any_instance_only_the_longest_run_is_known(
    selector: str, said: Expectation | None, known: Expectation | None
) -> None:
    whole = JobPart("a", (), (), JobExpectation(api=said, last_start=NOW))
    assert part_for(grant_of(selector), whole).expected.effective == known


def test_who_may_see_all_is_given_what_there_is() -> None:
    store = Store()
    store.commit(group(NOW, instance="i"), group(NOW, job="b"))
    assert store.overview.rows(ALL_RIGHTS) is store.overview.rows()
    known = JobPart("a", (), (group(NOW),), JobExpectation())
    assert part_for(ALL_RIGHTS, known) is known


# --- whatever happens ---

Step = Callable[[Grant], Change]
"""What of a change is covered by a grant."""

LABELS = st.fixed_dictionaries(
    {},
    optional={"instance": st.sampled_from("ij"), "team": st.sampled_from("xy")},
)
GRANTS = st.lists(
    st.sampled_from(
        [
            *('{instance="i"}', '{job="a",instance="i"}', '{instance=""}'),
            *('{job="a"}', '{job=~"b|pods"}', '{job!="a",team="x"}', '{team="x"}'),
            *('{team=""}', '{job="pods",team!="y"}', '{job="nobody"}', "{}"),
        ]
    ),
    min_size=1,
    max_size=2,
).map(lambda selectors: grant_of(*selectors))


def nothing(store: Store) -> None:
    pass


def of_key(
    job: str, labels: dict[str, str], make: Callable[[str, dict[str, str]], Change]
) -> Step:
    change, key = make(job, labels), key_of(job, **labels)
    return lambda grant: change if grant.covers(key) else nothing


def of_job(
    job: str, said: Expectation | None, pause: int, instances: list[str]
) -> Step:
    def covered(grant: Grant) -> Change:
        named = [
            each
            for each in instances
            if grant.covers_job(job)
            or grant.covers_all_series(key_of(job, instance=each))
        ]
        return expected(job, said, pause, tuple(named))

    return covered


def of_time(seconds: int) -> Step:
    return lambda grant: lambda store: store.clock.go(seconds)


PUSHES = st.tuples(AGO, st.sampled_from([0, 0, 1, HOUR])).map(
    lambda told: lambda job, labels: pushed(job, labels, *told)
)
RUNS = st.tuples(AGO, st.none() | st.sampled_from(Outcome)).map(
    lambda told: lambda job, labels: ran(job, labels, *told)
)
ENDS = st.booleans().map(
    lambda of_runs: lambda job, labels: gone(job, labels, of_runs=of_runs)
)
STEPS = st.one_of(
    st.builds(of_key, JOBS, LABELS, st.one_of(PUSHES, RUNS, RUNS, ENDS)),
    st.builds(
        of_job,
        JOBS,
        EXPECTATIONS,
        st.sampled_from([0, 0, HOUR]),
        st.lists(st.sampled_from("ij"), max_size=2, unique=True),
    ),
    st.sampled_from([60, 1800, 3600, 4 * 3600]).map(of_time),
)


@given(
    st.sampled_from(POLICIES),
    GRANTS,
    st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=25),
)
def test_rows_are_those_of_a_store_that_has_nothing_else(
    policies: Policies, grant: Grant, steps: list[tuple[Step, bool]]
) -> None:
    store, part = Store(policies), Store(policies)
    for step, is_looked_at in [*steps, (of_time(1), True)]:
        step(ALL_RIGHTS)(store)
        step(grant)(part)
        if not is_looked_at:
            continue
        rows = list(store.overview.rows(grant))
        assert rows == list(part.overview.rows(grant))
        for job in ("a", "b", "pods"):
            of_job = [row for row in rows if row.job == job]
            assert store.overview.rows_of(job, grant) == of_job
            if not store.view.board.expected(job).effective:
                assert of_job == part.overview.rows_of(job)
