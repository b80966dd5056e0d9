"""Who reads large requests takes turns, and who has sent requests ahead."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import pytest

from pushrelay.web.turns import TURN_BYTES, Turns

READ = TURN_BYTES // 4


class Loop:
    """An event loop that goes round when it is told to."""

    def __init__(self) -> None:
        self._ready: deque[Callable[[], None]] = deque()
        self.turns = Turns(self._ready.append)

    def go_round(self) -> int:
        """Call what is ready; return how many that were."""
        ready, count = self._ready, len(self._ready)
        for _ in range(count):
            ready.popleft()()
        return count


def test_one_turn_takes_so_much_and_each_has_its_share() -> None:
    loop = Loop()
    assert [loop.turns.take(READ) for _ in range(5)] == [True] * 4 + [False]
    assert loop.go_round() == 1
    assert loop.turns.take(READ)


def test_who_waits_goes_on_in_order_one_in_a_turn() -> None:
    loop, went_on = Loop(), list[int]()
    for number in range(3):
        loop.turns.wait(lambda number=number: went_on.append(number))
    for so_far in ([0], [0, 1], [0, 1, 2]):
        assert loop.go_round() == 1
        assert went_on == so_far
    # Nobody waits: the loop has nothing to do any more.
    assert loop.go_round() == 0


def test_who_goes_on_takes_of_the_turn_like_others() -> None:
    loop, more = Loop(), list[bool]()
    for _ in range(2):
        loop.turns.wait(lambda: more.append(loop.turns.take(TURN_BYTES)))
    loop.go_round()
    assert more == [True]
    assert not loop.turns.take(1)
    loop.go_round()
    assert more == [True, True]
    assert loop.go_round() == 1
    assert loop.turns.take(TURN_BYTES)


def test_threads_have_the_interpreter_while_somebody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests = list[float]()
    monkeypatch.setattr(time, "sleep", rests.append)
    loop = Loop()
    for _ in range(3):
        loop.turns.wait(lambda: None)
    while loop.go_round():
        pass
    assert len(rests) == 2
