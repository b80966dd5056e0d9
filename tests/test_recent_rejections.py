"""What was refused lately is kept, and it is never much."""

from __future__ import annotations

import sys
import threading

import pytest
from builders import key_of

from pushrelay.grouping_key import GroupingKey
from pushrelay.recent_rejections import KEPT, RecentRejections, Rejection

A = key_of("a")


def refused(number: int = 1, at: int = 1) -> Rejection:
    return Rejection("push", at, "limit", f"too much: {number}", key=A, job="a")


def test_the_latest_come_first_and_the_oldest_go() -> None:
    rejections = RecentRejections()
    for number in range(KEPT + 3):
        rejections.note(refused(number, at=number))
    kept = [refused(number, at=number) for number in range(3, KEPT + 3)]
    assert rejections.all() == kept[::-1]


def test_the_same_again_is_counted_and_becomes_the_latest() -> None:
    rejections = RecentRejections()
    for at, number in enumerate([1, 2, 1, 1]):
        rejections.note(refused(number, at))
    told = [(each.text, each.at, each.times) for each in rejections.all()]
    assert told == [("too much: 1", 3, 3), ("too much: 2", 1, 1)]


@pytest.mark.parametrize(
    "other",
    [
        Rejection("deletion", 1, "limit", "text", "safe", A, "a", "192.0.2.1"),
        Rejection("push", 1, "label", "text", "safe", A, "a", "192.0.2.1"),
        Rejection("push", 1, "limit", "other", "safe", A, "a", "192.0.2.1"),
        Rejection("push", 1, "limit", "text", "", A, "a", "192.0.2.1"),
        Rejection("push", 1, "limit", "text", "safe", key_of("b"), "a", "192.0.2.1"),
        Rejection("push", 1, "limit", "text", "safe", None, "a", "192.0.2.1"),
        Rejection("push", 1, "limit", "text", "safe", A, None, "192.0.2.1"),
        Rejection("push", 1, "limit", "text", "safe", A, "a", "192.0.2.2"),
    ],
)
def test_what_differs_in_more_than_its_time_is_kept_beside(other: Rejection) -> None:
    rejections = RecentRejections()
    one = Rejection("push", 1, "limit", "text", "safe", A, "a", "192.0.2.1")
    rejections.note(one)
    rejections.note(other)
    assert rejections.all() == [other, one]


def test_nothing_of_them_grows() -> None:
    rejections = RecentRejections()
    long = "é" * 100_000
    key = GroupingKey.of({"job": long})
    rejections.note(Rejection("push", 1, "label", long, long, key, long, long))
    [kept] = rejections.all()
    assert kept.text == kept.safe_text == "é" * 999 + "…"
    assert kept.job == "é" * 199 + "…"
    assert kept.client == "é" * 100
    assert kept.key is None


def test_they_are_read_while_others_are_noted() -> None:
    rejections, is_over = RecentRejections(), threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def note() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            rejections.note(refused(number, at=number))

    noting = threading.Thread(target=note)
    noting.start()
    try:
        for _ in range(500):
            times = [each.at for each in rejections.all()]
            assert times == sorted(times, reverse=True)
    finally:
        is_over.set()
        noting.join()
        sys.setswitchinterval(interval)
