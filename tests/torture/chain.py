"""The states that a cell may have, one after the other, and which of them when."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, combinations

from torture.history import Contents, Operation, Outcome


class Chain:
    """What `steps`, in this order, make of a cell that had `base` in it.

    states[n] is there after n of the steps. A step that is not acknowledged may be done
    or not; what follows on it does not hang on that.
    """

    def __init__(self, base: Contents, steps: Sequence[Operation]) -> None:
        self.steps = list(steps)
        self.states = [base]
        for step in self.steps:
            self.states.append(step.applied(self.states[-1]))
        acknowledged = [n for n, s in enumerate(self.steps, 1) if s.is_acknowledged]
        self._numbers = [0, *acknowledged]
        self._ends = [self.steps[n - 1].ended for n in acknowledged]
        # What is sent again later may have been sent in vain before.
        self._begins = list(accumulate((step.begun for step in self.steps), max))
        self._places: dict[Contents, list[int]] = {}
        for number, state in enumerate(self.states):
            self._places.setdefault(state, []).append(number)

    def places(self, contents: Contents) -> list[int]:
        """Return after how many steps `contents` are there."""
        return self._places.get(contents, [])

    def done_before(self, moment: float) -> int:
        """Return how many of the steps had been done then, for all who knew."""
        return self._numbers[bisect_left(self._ends, moment)]

    def next_done(self, place: int) -> Operation | None:
        """Return the first step after so many of which somebody knows that it was
        done."""
        number = bisect_right(self._numbers, place)
        return (
            self.steps[self._numbers[number] - 1]
            if number < len(self._numbers)
            else None
        )

    def begun_before(self, moment: float) -> int:
        """Return how many of the steps may have been done then."""
        return bisect_left(self._begins, moment)


def steps_of(operations: Sequence[Operation]) -> list[Operation]:
    """Return the steps of a cell on which `operations` were tried, in this order.

    After one with an unknown outcome, a cell is at most deleted; the former may come
    late and undo that, and an earlier try of the deletion later still.
    """
    steps = [step for step in operations if step.outcome is not Outcome.REFUSED]
    late = [step for step in steps if step.outcome is Outcome.UNKNOWN]
    if late and steps[-1] is not late[-1]:
        again = replace(steps[-1], outcome=Outcome.UNKNOWN)
        steps += [*late, again]
    return steps


def continued(
    base: Contents, doubtful: Sequence[Operation], certain: Sequence[Operation]
) -> Iterator[Chain]:
    """Yield the chains from `base`, on which some of the doubtful steps were done."""
    for count in range(len(doubtful) + 1):
        for done in combinations(doubtful, count):
            yield Chain(base, [*done, *certain])
