"""What becomes of groups as time goes by: who is stale, who is forgotten, what is due.

Each group that will change has one entry in a heap of due times. A push mostly moves
its group's time away, and leaves the entry where it is: it is put right when it comes
up. So a push costs nothing here, and as long as nothing is due, neither does a scrape.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf

from pushrelay.freshness import Policy, standing_of
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.view.forgotten import Forgotten

_SPARE = 1000
"""So many dead entries of the heap are not worth clearing away."""


class Standings:
    """The standings of groups under `policies`.

    now: the moment that they are of, Unix nanoseconds. forgotten: the groups that are
    so and still in the store. next_due: before it, nothing changes.
    """

    def __init__(self, policies: Policies, now: int = 0) -> None:
        self.policies = policies
        self.now = now
        self.next_due: float = inf
        self.forgotten = Forgotten()
        self._heap: list[tuple[int, bytes]] = []
        # The earliest entry of each group that has one.
        self._entries: dict[bytes, int] = {}

    def place(self, group: Group, before: Group | None = None) -> Group | None:
        """Return `group`, which comes from the store, with its standing; None if it is
        forgotten.

        before: the same group as it was placed earlier.
        """
        id_ = group.key.id
        self.forgotten.remove(id_)
        policy = self._policy_of(group, before)
        if policy is None:
            return group
        is_timestamp = self.policies.is_timestamp
        standing = standing_of(policy, group.times, is_timestamp, self.now)
        placed = group.with_standing(standing)
        if standing.is_forgotten:
            self.forgotten.add(placed)
            return None
        if standing.due is not None:
            self._enter(id_, standing.due)
        return placed

    def drop(self, id_: bytes) -> None:
        """Note that the group `id_` is no more in the store."""
        self.forgotten.remove(id_)
        self._entries.pop(id_, None)

    def take_due(self, now: int) -> list[bytes]:
        """Return the ids of groups of which something may be due by `now`; they must
        be placed again."""
        self.now = now
        taken = []
        while self._heap and self._heap[0][0] <= now:
            due, id_ = heappop(self._heap)
            if self._entries.get(id_) == due:
                del self._entries[id_]
                taken.append(id_)
        self._note_next()
        return taken

    def _policy_of(self, group: Group, before: Group | None) -> Policy | None:
        if before is not None and before.stale_after == group.stale_after:
            return None if before.standing is None else before.standing.policy
        return self.policies.policy_of(group.key, group.stale_after)

    def _enter(self, id_: bytes, due: int) -> None:
        entry = self._entries.get(id_)
        if entry is None or due < entry:
            self._entries[id_] = due
            heappush(self._heap, (due, id_))
            if len(self._heap) > 2 * len(self._entries) + _SPARE:
                self._clear_away()
            self._note_next()

    def _clear_away(self) -> None:
        """Drop what nobody has an entry for any more. It may be due in years."""
        self._heap = [(due, id_) for id_, due in self._entries.items()]
        heapify(self._heap)

    def _note_next(self) -> None:
        self.next_due = self._heap[0][0] if self._heap else inf
