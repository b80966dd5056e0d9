from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import group_of, key_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidRequest
from pushrelay.freshness import Policy, standing_of
from pushrelay.group_list import (
    Condition,
    Order,
    State,
    groups_of_job,
    matches_any,
    page_of,
)
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.selector_parser import parse_selector
from pushrelay.url_base64 import to_base64

EVERYTHING = Condition()


def condition(*selectors: str, **others: Any) -> Condition:
    return Condition([parse_selector(text) for text in selectors], **others)


def ordered(*keys: GroupingKey) -> list[Group]:
    """Return groups of `keys` as they are listed."""
    groups = [group_of("x 1", key) for key in keys]
    return sorted(groups, key=lambda group: group.key.canonical)


def placed(group: Group, now: int, policy: Policy) -> Group:
    """Return `group` as the view has it at `now`."""
    standing = standing_of(policy, group.times, lambda _: False, now)
    return replace(group, standing=standing)


# --- conditions ---

KEYS = [
    key_of("a"),
    key_of("a", instance="i"),
    key_of("a", instance="j", zone="é"),
    key_of("ab"),
    key_of("ab", instance="i"),
    key_of("b", instance=""),
    key_of("a\x00"),
    key_of("🦆"),
]
A, A_I, A_J, AB, AB_I, B, A_NUL, DUCK = KEYS


@pytest.mark.parametrize(
    ("selectors", "chosen"),
    [
        ([], KEYS),
        (["{}"], KEYS),
        (['{job="a"}'], [A, A_I, A_J]),
        (['{job="ab"}'], [AB, AB_I]),
        (['{job="nobody"}'], []),
        (['{job=""}'], []),
        (['{job="🦆"}'], [DUCK]),
        (['{job="a",instance="i"}'], [A_I]),
        (['{job="a",job!="a"}'], []),
        (['{job="a",job="b"}'], []),
        (['{job!="a"}'], [AB, AB_I, B, A_NUL, DUCK]),
        (['{job=~"a.?"}'], [A, A_I, A_J, AB, AB_I, A_NUL]),
        (['{instance="i"}'], [A_I, AB_I]),
        (['{instance=""}'], [A, AB, B, A_NUL, DUCK]),
        (['{zone="é"}'], [A_J]),
        (['{job="ab"}', '{job="a"}'], [A, A_I, A_J, AB, AB_I]),
        (['{job="a"}', '{job="a",instance="i"}'], [A, A_I, A_J]),
        (['{job="b"}', '{instance="i"}'], [A_I, AB_I, B]),
        (['{job="b"}', "{}"], KEYS),
    ],
)
def test_selectors_choose_groups_in_order(
    selectors: list[str], chosen: list[GroupingKey]
) -> None:
    found = condition(*selectors).choose(ordered(*KEYS))
    assert found == sorted(found, key=lambda group: group.key.canonical)
    assert {group.key for group in found} == set(chosen)
    assert len(found) == len(chosen)


@given(
    keys=st.sets(
        st.tuples(
            st.sampled_from(["a", "ab", "b"]), st.sampled_from(["", "i", "j", "é"])
        )
    ),
    selectors=st.lists(
        st.sampled_from(
            [
                *('{job="a"}', '{job="ab"}', '{job="b",instance="i"}', '{job="c"}'),
                *('{job="a",instance!="i"}', '{instance=~".+"}', '{job!="a"}'),
            ]
        )
    ),
)
def test_groups_are_chosen_as_if_each_was_asked(
    keys: set[tuple[str, str]], selectors: list[str]
) -> None:
    groups = ordered(*(key_of(job, instance=instance) for job, instance in keys))
    asked = condition(*selectors)
    assert asked.choose(groups) == [g for g in groups if asked.matches(g)]


@pytest.mark.parametrize("job", ["a", "ab", "a\x00", "nobody", "🦆", ""])
def test_the_groups_of_a_job_stand_together(job: str) -> None:
    groups = ordered(*KEYS)
    expected = [group for group in groups if dict(group.key.labels)["job"] == job]
    assert list(groups_of_job(groups, job)) == expected


def test_one_matching_selector_is_enough() -> None:
    selectors = [parse_selector('{job="b"}'), parse_selector('{instance="i"}')]
    assert matches_any(selectors, A_I)
    assert not matches_any(selectors, A)


@pytest.mark.parametrize(
    ("times", "last"),
    [
        ({"created_at": 5}, 5),
        ({"created_at": 5, "pushed_at": 7}, 7),
        ({"created_at": 5, "pushed_at": 7, "failed_at": 9}, 9),
        ({"created_at": 5, "pushed_at": 9, "failed_at": 7}, 9),
    ],
)
def test_age_counts_from_the_last_sign_of_life(
    times: dict[str, int], last: int
) -> None:
    group = replace(group_of(pushed_at=0), **times)
    assert condition(silent_since=last).matches(group)
    assert not condition(silent_since=last - 1).matches(group)


def test_states_are_fresh_and_stale() -> None:
    policy = Policy(stale_after=10)
    without = group_of(pushed_at=100)
    fresh, stale = (placed(without, now, policy) for now in (109, 110))
    assert [State.of(group) for group in (without, fresh, stale)] == [
        State.FRESH,
        State.FRESH,
        State.STALE,
    ]
    assert condition(state=State.STALE).choose([without, fresh, stale]) == [stale]
    assert condition(state=State.FRESH).choose([without, fresh, stale]) == [
        without,
        fresh,
    ]


def test_a_forgotten_group_is_never_meant() -> None:
    group = placed(group_of(pushed_at=100), 120, Policy(forget_after=10))
    assert not EVERYTHING.matches(group)
    assert not condition('{job="a"}').matches(group)


def test_all_of_a_condition_must_hold() -> None:
    policy = Policy(stale_after=10)
    group = placed(group_of(pushed_at=100), 110, policy)
    parts: dict[str, Any] = {"state": State.STALE, "silent_since": 100}
    assert condition('{job="a"}', **parts).matches(group)
    assert not condition('{job="b"}', **parts).matches(group)
    assert not condition('{job="a"}', **parts | {"state": State.FRESH}).matches(group)
    assert not condition('{job="a"}', **parts | {"silent_since": 99}).matches(group)


# --- pages ---


def pushed(job: str, at: int) -> Group:
    return group_of("x 1", key_of(job), pushed_at=at)


@pytest.mark.parametrize(
    ("order", "jobs"),
    [
        (Order.KEY, ["a", "b", "c", "d"]),
        (Order.PUSHED, ["b", "a", "d", "c"]),
        (Order.LAST_PUSHED, ["c", "d", "a", "b"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_follow_each_other_in_order(
    order: Order, jobs: list[str], limit: int
) -> None:
    groups = [pushed("a", 20), pushed("b", 10), pushed("c", 30), pushed("d", 20)]
    listed, cursor = [], None
    while True:
        after = None if cursor is None else order.read_cursor(cursor)
        page = page_of(groups, EVERYTHING, order, limit, after)
        assert page.matching == 4
        assert 1 <= len(page.groups) <= limit
        listed += [dict(group.key.labels)["job"] for group in page.groups]
        cursor = page.next
        if cursor is None:
            break
    assert listed == jobs


def test_no_groups_are_one_empty_page() -> None:
    page = page_of([], EVERYTHING, Order.KEY, 10, None)
    assert (page.groups, page.matching, page.next) == ([], 0, None)


def test_a_page_counts_what_matches_and_not_what_there_is() -> None:
    page = page_of(ordered(*KEYS), condition('{job="a"}'), Order.KEY, 2, None)
    assert (len(page.groups), page.matching) == (2, 3)


JOBS = st.text("ab\x00é", min_size=1, max_size=2)


@given(
    states=st.lists(
        st.dictionaries(JOBS, st.integers(0, 5), max_size=8), min_size=1, max_size=6
    ),
    order=st.sampled_from(Order),
    limit=st.integers(1, 3),
)
def test_groups_that_stay_are_seen_once_while_others_come_and_go(
    states: list[dict[str, int]], order: Order, limit: int
) -> None:
    """states: what there is, by job and time of the push, page by page."""
    seen: list[Group] = []
    cursor: str | None = None
    for number in range(100):
        state = states[min(number, len(states) - 1)]
        groups = ordered(*map(key_of, state))
        groups = [
            replace(g, pushed_at=state[dict(g.key.labels)["job"]]) for g in groups
        ]
        after = None if cursor is None else order.read_cursor(cursor)
        page = page_of(groups, EVERYTHING, order, limit, after)
        seen += page.groups
        cursor = page.next
        if cursor is None:
            break
    assert cursor is None
    places = [order.place(group) for group in seen]
    expected = sorted(set(places), reverse=order is Order.LAST_PUSHED)
    assert places == expected
    visited = states[: number + 1]
    always = set.intersection(*(set(state.items()) for state in visited))
    shown = {(dict(g.key.labels)["job"], g.pushed_at) for g in seen}
    assert always <= shown


# --- cursors ---


@given(
    order=st.sampled_from(Order),
    at=st.integers(0, 2**63 - 1),
    labels=st.dictionaries(st.text("ab", min_size=1), st.text()),
)
def test_a_cursor_gives_back_its_position(
    order: Order, at: int, labels: dict[str, str]
) -> None:
    key = GroupingKey.of({"job": "j", **labels})
    group = group_of("", key, pushed_at=at)
    cursor = order.cursor(group)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?%")
    assert order.read_cursor(cursor) == order.place(group)


CURSOR = Order.PUSHED.cursor(pushed("backup", 1_795_378_800_000_000_000))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "x",
        "é",
        "!" + CURSOR,
        CURSOR + "A",
        CURSOR[1:],
        Order.KEY.cursor(pushed("backup", 1)),
        Order.LAST_PUSHED.cursor(pushed("backup", 1)),
        to_base64(b"pushed -1 job\xffa\xfe"),
        to_base64(b"pushed %s job\xffa\xfe" % (b"9" * 5000)),
        to_base64(b"pushed  job\xffa\xfe"),
        to_base64(b"pushed 1 a\xffb\xfe"),
        to_base64(b"other 1 job\xffa\xfe"),
    ],
)
def test_a_broken_cursor_is_refused(broken: str) -> None:
    with pytest.raises(InvalidRequest, match="begin again without a cursor"):
        Order.PUSHED.read_cursor(broken)


def test_a_cursor_that_was_cut_is_refused() -> None:
    for length in range(len(CURSOR)):
        with pytest.raises(InvalidRequest):
            Order.PUSHED.read_cursor(CURSOR[:length])
