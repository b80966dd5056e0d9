"""What the checker finds in histories with a planted fault, and in good ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torture.checker import check
from torture.history import (
    Contents,
    Ending,
    History,
    Kind,
    LostTail,
    Operation,
    Outcome,
    Scrape,
)
from torture.violations import Wrong

GROUP, OTHER = "groups c1.1", "groups c2.1"
SUM, RUNS = "sums 0 c1", "runs c1"


def state(value: int, done: int | None = None) -> Contents:
    """Return what a group with two families shows."""
    return (
        ("torture_done_total counter", str(value if done is None else done)),
        ("torture_state gauge", str(value)),
    )


def added(value: int) -> Contents:
    return (("torture_added_total counter", str(value)),)


def ran(value: int) -> Contents:
    return (("pushrelay_job_runs_total counter", str(value)),)


def put(at: float, value: int, cell: str = GROUP, **how: object) -> Operation:
    return operation(Kind.PUT, cell, state(value), at, **how)


def add(at: float, amount: int, **how: object) -> Operation:
    return operation(Kind.ADD, SUM, added(amount), at, **how)


def finish(at: float, **how: object) -> Operation:
    return operation(Kind.FINISH, RUNS, ran(1), at, id=f"run at {at}", **how)


def delete(at: float, **how: object) -> Operation:
    return operation(Kind.DELETE, GROUP, (), at, **how)


def operation(
    kind: Kind,
    cell: str,
    pushed: Contents,
    at: float,
    *,
    lasts: float = 0.5,
    outcome: Outcome = Outcome.ACKNOWLEDGED,
    id: str = "",
    tries: int = 1,
    last: float = 0.0,
) -> Operation:
    return Operation(
        1, kind, cell, pushed, at, at + lasts, outcome, tries, last or at, "told", id
    )


class Observer:
    """Somebody who scrapes, and what they see."""

    def __init__(self, name: str = "replica 0", process: str | None = "1") -> None:
        self.name, self.process = name, process
        self._cells: dict[str, Contents] = {}

    def sees(
        self,
        at: float,
        cells: dict[str, Contents],
        *,
        fresh: bool = True,
        **more: object,
    ) -> Scrape:
        before, self._cells = self._cells, cells
        gone: dict[str, Contents] = dict.fromkeys(before.keys() - cells.keys(), ())
        changed = {c: now for c, now in cells.items() if before.get(c, ()) != now}
        scrape = Scrape(
            self.name, self.process, at, at + 0.1, fresh, None, changed | gone
        )
        return replace(scrape, **more)  # type: ignore[arg-type]  # as its fields are


def history(*happened: object) -> History:
    made = History()
    for each in happened:
        made.note(each)  # type: ignore[arg-type]  # whatever it is
    return made


def found(*happened: object) -> list[Wrong]:
    return [violation.wrong for violation in check(history(*happened))]


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


# --- lost tails ---


def lost_tail(
    at: float, survived: dict[str, Contents], *, safe_at: float = 0.0
) -> LostTail:
    return LostTail(safe_at, at, at + 1, 3, survived)


def test_a_lost_tail_is_no_fault() -> None:
    one = Observer()
    assert not found(
        put(1, 1),
        add(1, 5),
        put(2, 2),
        add(2, 7),
        one.sees(3, {GROUP: state(2), SUM: added(12)}),
        lost_tail(4, {GROUP: state(1), SUM: added(5)}),
        one.sees(4.5, {GROUP: state(2), SUM: added(12)}, fresh=False),
        one.sees(6, {GROUP: state(1), SUM: added(5)}),
        add(7, 1),
        one.sees(8, {GROUP: state(1), SUM: added(6)}),
    )


def test_a_lost_tail_is_shown_no_more() -> None:
    one = Observer()
    tail = lost_tail(4, {GROUP: state(1)})
    pushed = [put(1, 1), put(2, 2), one.sees(3, {GROUP: state(2)})]
    for shown in (one.sees(4.2, {GROUP: state(2)}), one.sees(9, {GROUP: state(2)})):
        assert found(*pushed, tail, shown) == [Wrong.TORN]


def test_what_had_reached_a_standby_survives() -> None:
    tail = lost_tail(4, {GROUP: state(1)}, safe_at=3)
    assert found(put(1, 1), put(2, 2), tail) == [Wrong.LOST]


def test_what_a_standby_lacks_is_a_tail() -> None:
    pushed = [put(1, 1), put(2, 2, OTHER)]
    assert not found(*pushed, lost_tail(4, {GROUP: state(1)}))
    assert found(*pushed, lost_tail(4, {OTHER: state(2)})) == [Wrong.TAIL]


def test_what_a_standby_has_was_there_once() -> None:
    assert found(put(1, 1), lost_tail(4, {GROUP: state(9)})) == [Wrong.TORN]


@pytest.mark.parametrize(
    ("how", "allowed"),
    [
        ({"lasts": 3}, (5, 12)),
        ({"lasts": 3, "last": 4.5, "tries": 2}, (12,)),
        ({"lasts": 0.5}, (5,)),
    ],
    ids=["answered after", "tried again after", "answered before"],
)
def test_what_is_asked_for_meanwhile_counts_once_or_is_lost(
    how: dict[str, float], allowed: tuple[int, ...]
) -> None:
    for value in (5, 12, 19):
        one = Observer()
        wrong = found(
            add(1, 5),
            add(3, 7, **how),
            lost_tail(4, {SUM: added(5)}),
            one.sees(7, {SUM: added(value)}),
        )
        assert bool(wrong) is (value not in allowed), value


def test_what_survived_and_is_tried_again_counts_once() -> None:
    one = Observer()
    again = [add(1, 5), add(3, 7, lasts=3, last=5, tries=2)]
    tail = lost_tail(4, {SUM: added(12)})
    assert not found(*again, tail, one.sees(7, {SUM: added(12)}))
    one = Observer()
    assert found(*again, tail, one.sees(7, {SUM: added(19)})) == [Wrong.SUM]


# --- the end ---


def test_replicas_that_disagree_in_the_end_are_told_apart() -> None:
    endings = [Ending("replica 0", "a 1\nb 2\n", []), Ending("replica 1", "a 1\n", [])]
    [violation] = check(history(*endings))
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
    [violation] = check(history(put(1, 1), put(2, 2), one.sees(3, {GROUP: state(1)})))
    assert violation.operations == (put(1, 1), put(2, 2))
    assert str(violation).splitlines()[2:] == [
        "    client 1: replace groups c1.1 [torture_done_total counter=2, "
        "torture_state gauge=2] from 2.000 to 2.500: acknowledged (told, 1 tries)"
    ]
