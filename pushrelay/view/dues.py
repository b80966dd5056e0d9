"""When what will change: a heap of due times.

Each token has one entry. Mostly a moment moves away before it comes, and then the
entry stays where it is: it is put right when it comes up. So moving costs nothing
here, and as long as nothing is due, neither does looking.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Generic, TypeVar

_SPARE = 1000
"""So many dead entries of the heap are not worth clearing away."""

Token = TypeVar("Token", bytes, tuple[str, str])


class Dues(Generic[Token]):
    """The moments at which something is due, Unix nanoseconds.

    next: before it, nothing is.
    """

    def __init__(self) -> None:
        self.next: float = inf
        self._heap: list[tuple[int, Token]] = []
        # The earliest entry of each token that has one.
        self._entries: dict[Token, int] = {}

    def enter(self, token: Token, due: int) -> None:
        """Note that `token` must be looked at by `due`, if it is not earlier."""
        entry = self._entries.get(token)
        if entry is None or due < entry:
            self._entries[token] = due
            heappush(self._heap, (due, token))
            if len(self._heap) > 2 * len(self._entries) + _SPARE:
                self._clear_away()
            self._note_next()

    def drop(self, token: Token) -> None:
        """Note that nothing is to be done about `token`."""
        self._entries.pop(token, None)

    def take(self, now: int) -> list[Token]:
        """Return the tokens of which something may be due by `now`, and drop them."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            due, token = heappop(self._heap)
            if self._entries.get(token) == due:
                del self._entries[token]
                taken.append(token)
        self._note_next()
        return taken

    def _clear_away(self) -> None:
        """Drop what nobody has an entry for any more. It may be due in years."""
        self._heap = [(due, token) for token, due in self._entries.items()]
        heapify(self._heap)

    def _note_next(self) -> None:
        self.next = self._heap[0][0] if self._heap else inf
