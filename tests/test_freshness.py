"""States as tables: what the times of a group come to under a policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.freshness import Policy, Standing, Times, standing_of
from pushrelay.model import MetricType

GAUGE, COUNTER, UNTYPED = MetricType.GAUGE, MetricType.COUNTER, MetricType.UNTYPED


def is_timestamp(name: str) -> bool:
    return name.endswith("_timestamp_seconds")


def times(
    *families: tuple[str, MetricType, int],
    created: int = 100,
    pushed: int = 100,
    failed: int = 0,
) -> Times:
    return Times(created, pushed, failed, families)


def at(policy: Policy, group: Times, now: int) -> Standing:
    return standing_of(policy, group, is_timestamp, now)


def state(standing: Standing) -> str:
    if standing.is_forgotten:
        return "forgotten"
    return "stale" if standing.is_stale else "fresh"


ONE = times(("x", GAUGE, 100))
FAILING = times(("x", GAUGE, 100), failed=150)
ONLY_FAILED = times(pushed=0, failed=100)
EMPTY = times()
IMPORTED = times(("x", GAUGE, 100), created=180)


# freshness.md: 1, 5, 6, 13
@pytest.mark.parametrize(
    ("policy", "group", "now", "expected"),
    [
        # never
        (Policy(), ONE, 10**18, "fresh"),
        (Policy(forget_after=1000), ONE, 1099, "fresh"),
        # fresh until the last push + stale_after, and not a moment longer
        (Policy(10), ONE, 100, "fresh"),
        (Policy(10), ONE, 109, "fresh"),
        (Policy(10), ONE, 110, "stale"),
        (Policy(10), ONE, 10**18, "stale"),
        # before its own push, as after a step back of the clock
        (Policy(10), ONE, 5, "fresh"),
        (Policy(0), ONE, 100, "stale"),
        # forgotten after that
        (Policy(10, 50), ONE, 149, "stale"),
        (Policy(10, 50), ONE, 150, "forgotten"),
        (Policy(None, 50), ONE, 149, "fresh"),
        (Policy(None, 50), ONE, 150, "forgotten"),
        # a refused push is a sign of life, and makes nothing fresh
        (Policy(10, 50), FAILING, 110, "stale"),
        (Policy(10, 50), FAILING, 199, "stale"),
        (Policy(10, 50), FAILING, 200, "forgotten"),
        # so is an import
        (Policy(10, 50), IMPORTED, 229, "stale"),
        (Policy(10, 50), IMPORTED, 230, "forgotten"),
        # what is fresh is not forgotten
        (Policy(100, 50), ONE, 150, "fresh"),
        (Policy(100, 50), ONE, 199, "fresh"),
        (Policy(100, 50), ONE, 200, "forgotten"),
        # a group that only ever failed has never been fresh
        (Policy(10), ONLY_FAILED, 100, "stale"),
        (Policy(10, 50), ONLY_FAILED, 149, "stale"),
        (Policy(10, 50), ONLY_FAILED, 150, "forgotten"),
        # a push without metrics is a push
        (Policy(10), EMPTY, 109, "fresh"),
        (Policy(10), EMPTY, 110, "stale"),
        # forgotten as soon as stale
        (Policy(10, forgets_when_stale=True), ONE, 109, "fresh"),
        (Policy(10, forgets_when_stale=True), ONE, 110, "forgotten"),
        (Policy(10, 500, forgets_when_stale=True), ONE, 110, "forgotten"),
        (Policy(None, None, forgets_when_stale=True), ONE, 10**18, "fresh"),
        # but not while pushes are refused
        (Policy(10, forgets_when_stale=True), FAILING, 110, "stale"),
        (Policy(10, forgets_when_stale=True), FAILING, 159, "stale"),
        (Policy(10, forgets_when_stale=True), FAILING, 160, "forgotten"),
        (Policy(10, forgets_when_stale=True), ONLY_FAILED, 100, "stale"),
        (Policy(10, forgets_when_stale=True), ONLY_FAILED, 110, "forgotten"),
    ],
)
def test_a_group_is_fresh_then_stale_then_forgotten(
    policy: Policy, group: Times, now: int, expected: str
) -> None:
    assert state(at(policy, group, now)) == expected


MIXED = times(
    ("old", GAUGE, 100),
    ("new", COUNTER, 140),
    ("done_timestamp_seconds", GAUGE, 100),
    ("started_timestamp_seconds", UNTYPED, 100),
    # A counter is no point in time, whatever its name is.
    ("odd_timestamp_seconds", COUNTER, 100),
    pushed=140,
)


@pytest.mark.parametrize(
    ("now", "withheld", "is_stale"),
    [
        (109, set(), False),
        (110, {"old", "odd_timestamp_seconds"}, False),
        (149, {"old", "odd_timestamp_seconds"}, False),
        (150, {"old", "odd_timestamp_seconds", "new"}, True),
    ],
)
def test_each_family_goes_stale_by_its_own_push_and_timestamps_stay(
    now: int, withheld: set[str], is_stale: bool
) -> None:
    standing = at(Policy(10), MIXED, now)
    assert standing.withheld == withheld
    assert standing.is_stale is is_stale
    assert standing.stale_at == 150


@pytest.mark.parametrize(
    ("policy", "group", "now", "due"),
    [
        (Policy(), ONE, 100, None),
        (Policy(10), ONE, 100, 110),
        (Policy(10), ONE, 110, None),
        (Policy(10, 50), ONE, 110, 150),
        (Policy(10, 50), ONE, 150, None),
        (Policy(10), MIXED, 100, 110),
        (Policy(10), MIXED, 110, 150),
        (Policy(10), MIXED, 150, None),
    ],
)
def test_the_next_change_is_known(
    policy: Policy, group: Times, now: int, due: int | None
) -> None:
    assert at(policy, group, now).due == due


MOMENTS = st.integers(0, 50)
DURATIONS = st.none() | st.integers(0, 50)
NAMES = st.sampled_from(["a", "b", "c_timestamp_seconds"])


@given(
    st.builds(Policy, DURATIONS, DURATIONS, st.booleans()),
    st.builds(
        Times,
        MOMENTS,
        MOMENTS,
        MOMENTS,
        st.lists(
            st.tuples(NAMES, st.sampled_from(MetricType), MOMENTS),
            max_size=3,
            unique_by=lambda family: family[0],
        ).map(tuple),
    ),
    MOMENTS,
)
def test_nothing_changes_before_it_is_due_and_nothing_comes_back(
    policy: Policy, group: Times, now: int
) -> None:
    before = at(policy, group, now)
    end = 200 if before.due is None else before.due
    for moment in range(now, end):
        later = at(policy, group, moment)
        assert (later.withheld, state(later)) == (before.withheld, state(before))
    last = at(policy, group, 200)
    assert before.withheld <= last.withheld
    order = ["fresh", "stale", "forgotten"]
    assert order.index(state(before)) <= order.index(state(last))
