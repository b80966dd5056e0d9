"""What the checker finds in histories with a planted fault, and in good ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torture.checker import check
from torture.history import Contents, Ending, Kind, Outcome
from torture.planted import (
    GROUP,
    OTHER,
    RUNS,
    SUM,
    Observer,
    add,
    added,
    delete,
    finish,
    found,
    history,
    lost_tail,
    operation,
    put,
    ran,
    state,
)
from torture.violations import Wrong

UNKNOWN = Outcome.UNKNOWN
POST = operation(Kind.POST, GROUP, (("torture_state gauge", "2"),), 2)


def test_a_good_history_has_nothing_wrong() -> None:
    one, other = Observer(), Observer("replica 1", "2")
    assert not found(
        put(1, 1),
        one.sees(1.8, {GROUP: state(1)}),
        POST,
        other.sees(2.8, {GROUP: state(2, done=1)}),
        one.sees(2.9, {GROUP: state(2, done=1)}),
        delete(3),
        one.sees(3.2, {}),
        add(3, 5),
        add(4, 7),
        finish(5),
        other.sees(6, {SUM: added(12), RUNS: ran(1)}),
        Ending("replica 0", "same", [("run at 5", "finished")]),
        Ending("replica 1", "same", [("run at 5", "finished")]),
    )


@pytest.mark.parametrize("shown", [state(1), state(2)], ids=["not done", "done"])
def test_what_is_unknown_may_be_done_or_not(shown: Contents) -> None:
    one = Observer()
    assert not found(put(1, 1), put(2, 2, outcome=UNKNOWN), one.sees(9, {GROUP: shown}))


def test_what_is_unknown_may_be_done_late() -> None:
    one = Observer()
    assert not found(
        put(1, 1, outcome=UNKNOWN),
        delete(2, tries=2),
        one.sees(3, {}),
        one.sees(4, {GROUP: state(1)}),
        one.sees(5, {}),
    )


def test_what_is_acknowledged_and_missing_in_the_end_is_lost() -> None:
    nothing, first = Observer().sees(3, {}), Observer().sees(3, {GROUP: state(1)})
    assert found(put(1, 1), nothing) == [Wrong.LOST]
    assert found(put(1, 1), put(2, 2), first) == [Wrong.LOST]
    assert found(put(1, 1), delete(2), first) == [Wrong.LOST]


def test_what_is_never_seen_again_is_lost_even_if_it_was_seen() -> None:
    one = Observer()
    seen = one.sees(2, {GROUP: state(1)})
    assert found(put(1, 1), seen, one.sees(3, {})) == [Wrong.LOST]


def test_what_is_acknowledged_and_shown_late_is_stale() -> None:
    one = Observer()
    late = [one.sees(2, {}), one.sees(3, {GROUP: state(1)})]
    assert found(put(1, 1), *late) == [Wrong.STALE]


def test_a_page_that_may_be_old_may_lack_something() -> None:
    one = Observer()
    assert not found(put(1, 1), one.sees(2, {}, fresh=False))


def test_a_deletion_between_two_pushes_must_be_shown() -> None:
    one = Observer()
    assert found(
        put(1, 1),
        one.sees(2, {GROUP: state(1)}),
        delete(3),
        put(4, 2),
        one.sees(5, {}),
        delete(6),
        one.sees(7, {}),
    ) == [Wrong.STALE]


@pytest.mark.parametrize(
    "shown",
    [
        state(2, done=1),
        state(1, done=2),
        state(1)[:1],
        (("torture_done_total counter", "1|2"), ("torture_state gauge", "2")),
        (("torture_done_total counter", "2"), ("torture_state gauge", "2 in 3 of 4")),
        state(99),
    ],
)
def test_half_of_a_push_is_torn(shown: Contents) -> None:
    pushed = [put(1, 1), put(2, 2)]
    assert found(*pushed, Observer().sees(3, {GROUP: shown})) == [Wrong.TORN]


def test_what_nobody_wrote_is_wrong() -> None:
    assert found(Observer().sees(3, {GROUP: state(1)})) == [Wrong.TORN]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [(17, Wrong.SUM), (24, Wrong.SUM), (19, Wrong.SUM), (5, Wrong.LOST)],
    ids=["once too often", "the last twice", "all again", "one missing"],
)
def test_an_addition_counts_once(value: int, wrong: Wrong) -> None:
    additions = [add(1, 5), add(2, 7, tries=3)]
    assert found(*additions, Observer().sees(3, {SUM: added(value)})) == [wrong]


@pytest.mark.parametrize(
    ("value", "wrong"), [(1, Wrong.LOST), (3, Wrong.SUM)], ids=["one less", "one more"]
)
def test_a_run_counts_once(value: int, wrong: Wrong) -> None:
    runs = [finish(1), finish(2, tries=2)]
    assert found(*runs, Observer().sees(3, {RUNS: ran(value)})) == [wrong]


def test_a_page_by_itself_may_be_wrong() -> None:
    one = Observer()
    problems = ["two types: x is gauge, and again counter", "sum: off", "no sample: x"]
    assert found(one.sees(1, {}, problems=problems)) == [
        Wrong.TYPES,
        Wrong.SUM,
        Wrong.TORN,
    ]


def test_a_group_is_not_shown_with_the_type_of_another() -> None:
    cell, pushed = "contests c1.3", (("contested_1 gauge", "1"),)
    shown = (("contested_1 counter", "1"),)
    contest = operation(Kind.CONTEST, cell, pushed, 1)
    assert not found(contest, Observer().sees(2, {cell: pushed}))
    assert found(contest, Observer().sees(2, {cell: shown})) == [Wrong.TYPES]


def test_only_a_contested_type_may_be_refused() -> None:
    pushed = (("contested_1 gauge", "1"),)
    refused = Outcome.REFUSED
    assert not found(
        operation(Kind.CONTEST, "contests c1.3", pushed, 1, outcome=refused)
    )
    assert found(put(1, 1, outcome=refused)) == [Wrong.REFUSED]


def test_a_replica_does_not_go_back() -> None:
    one = Observer()
    pages = [
        one.sees(3, {GROUP: state(2)}),
        one.sees(4, {GROUP: state(1)}, fresh=False),
    ]
    pushed = [put(1, 1), put(2, 2)]
    assert found(*pushed, *pages) == [Wrong.BACK]
    restarted = replace(pages[1], process="2")
    assert not found(*pushed, pages[0], restarted)


def test_what_one_replica_showed_the_others_show() -> None:
    one, other = Observer(), Observer("replica 1", "2")
    pushed = put(1, 1, outcome=UNKNOWN)
    assert found(pushed, one.sees(2, {GROUP: state(1)}), other.sees(3, {})) == [
        Wrong.BACK
    ]
    at_once = other.sees(2.05, {})
    assert not found(pushed, one.sees(2, {GROUP: state(1)}), at_once)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_page_is_of_one_moment(fresh: bool) -> None:
    one = Observer()
    pushed = [put(1, 1), put(2, 2, OTHER, lasts=5), put(3, 3)]
    before = one.sees(2.9, {GROUP: state(1)}, fresh=fresh)
    after = one.sees(8, {GROUP: state(3), OTHER: state(2)})
    meanwhile = Observer().sees(3.2, {OTHER: state(2)}, fresh=False)
    assert not found(*pushed, before, after)
    assert found(*pushed, meanwhile) == [Wrong.MIXED]


def test_the_revision_of_a_replica_does_not_go_back() -> None:
    one = Observer()
    pages = [one.sees(1, {}, revision=7), one.sees(2, {}, revision=6)]
    assert found(*pages) == [Wrong.BACK]
    assert not found(*pages, lost_tail(1.5, {}))
    assert found(*pages, lost_tail(5, {})) == [Wrong.BACK]


def test_replicas_that_disagree_in_the_end_are_told_apart() -> None:
    endings = [Ending("replica 0", "a 1\nb 2\n", []), Ending("replica 1", "a 1\n", [])]
    [violation] = check(history(*endings)).violations
    assert violation.wrong is Wrong.DISAGREE
    assert "replica 0 and replica 1 show" in violation.text
    assert "-b 2" in violation.text


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [("run at 1", "started")],
        [("run at 1", "finished"), ("run at 1", "finished")],
    ],
)
def test_a_run_is_listed_once(listed: list[tuple[str, str]]) -> None:
    one = Observer().sees(3, {RUNS: ran(1)})
    assert found(finish(1), one, Ending("replica 0", "", listed)) == [Wrong.RUNS]


def test_a_violation_names_the_operations_in_question() -> None:
    one = Observer()
    [violation] = check(
        history(put(1, 1), put(2, 2), one.sees(3, {GROUP: state(1)}))
    ).violations
    assert violation.operations == (put(1, 1), put(2, 2))
    assert str(violation).splitlines()[2:] == [
        "    client 1: replace groups c1.1 [torture_done_total counter=2, "
        "torture_state gauge=2] from 2.000 to 2.500: acknowledged (told, 1 tries)"
    ]
