"""Who reads large requests takes turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

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


def test_who_waits_goes_on_in_order_some_at_a_time() -> None:
    loop, went_on = Loop(), list[int]()
    assert not loop.turns.take(TURN_BYTES + 1)
    for number in range(10):
        loop.turns.wait(lambda number=number: went_on.append(number))
    assert loop.go_round() == 1
    assert went_on == [0, 1, 2, 3]
    loop.go_round()
    loop.go_round()
    assert went_on == list(range(10))
    # Nobody waits: the loop has nothing to do any more.
    assert loop.go_round() == 0


def test_who_goes_on_while_others_wait_takes_of_the_same_turn() -> None:
    loop, more = Loop(), list[bool]()
    loop.turns.take(TURN_BYTES + 1)
    for _ in range(6):
        loop.turns.wait(lambda: more.append(loop.turns.take(TURN_BYTES // 2 + 1)))
    loop.go_round()
    assert more == [True, False, False, False]
    loop.go_round()
    assert more == [True, False, False, False, True, False]
    assert loop.go_round() == 1
    assert loop.turns.take(TURN_BYTES)
