"""A heap of due times tells what is due, however often moments move."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from pushrelay.view.dues import Dues


def test_nothing_is_due_of_which_nothing_was_entered() -> None:
    dues: Dues[bytes] = Dues()
    assert dues.next == inf
    assert dues.take(10**20) == []


def test_what_is_due_at_this_very_moment_is_taken_once() -> None:
    dues: Dues[bytes] = Dues()
    dues.enter(b"a", 5)
    assert dues.take(4) == []
    assert dues.take(5) == [b"a"]
    assert dues.take(5) == []
    assert dues.next == inf


def test_an_earlier_moment_counts_and_a_later_one_does_not() -> None:
    dues: Dues[bytes] = Dues()
    dues.enter(b"a", 5)
    dues.enter(b"a", 3)
    dues.enter(b"a", 9)
    assert dues.next == 3
    assert dues.take(3) == [b"a"]
    assert dues.take(9) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "drop"]), st.sampled_from("abc"), st.integers(0, 20)
    )
)


@given(STEPS, st.integers(0, 20))
def test_all_is_taken_that_is_due_and_has_not_been_dropped(
    steps: list[tuple[str, str, int]], now: int
) -> None:
    dues: Dues[bytes] = Dues()
    earliest: dict[bytes, int] = {}
    for step, name, due in steps:
        token = name.encode()
        if step == "drop":
            dues.drop(token)
            earliest.pop(token, None)
        else:
            dues.enter(token, due)
            earliest[token] = min(due, earliest.get(token, due))
        assert dues.next <= min(earliest.values(), default=inf)
    taken = dues.take(now)
    assert sorted(taken) == sorted(t for t, due in earliest.items() if due <= now)
    left = [due for due in earliest.values() if due > now]
    assert dues.next <= min(left, default=inf)


def test_moments_that_move_all_the_time_do_not_pile_up() -> None:
    dues: Dues[bytes] = Dues()
    for due in range(100_000, 0, -1):
        dues.enter(b"a", due)
        if due % 2:
            dues.drop(b"a")
    assert len(dues._heap) < 2000
