"""What a standby lacks is no fault, if it is a tail and all go by it."""

from __future__ import annotations

import pytest
from torture.checker import check
from torture.planted import (
    GROUP,
    OTHER,
    SUM,
    Observer,
    add,
    added,
    found,
    history,
    lost_tail,
    put,
    state,
)
from torture.violations import Wrong


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
    verdict = check(history(*pushed, lost_tail(4, {GROUP: state(1)})))
    assert verdict.lost == pushed[1:]
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
