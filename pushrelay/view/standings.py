"""What becomes of groups as time goes by: who is stale, and who is forgotten."""

from __future__ import annotations

from pushrelay.freshness import Policy, standing_of
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.view.dues import Dues
from pushrelay.view.forgotten import Forgotten


class Standings:
    """The standings of groups under `policies`.

    now: the moment that they are of, Unix nanoseconds. forgotten: the groups that are
    so and still in the store. next_due: before it, nothing changes.
    """

    def __init__(self, policies: Policies, now: int = 0) -> None:
        self.policies = policies
        self.now = now
        self.forgotten = Forgotten()
        self._dues: Dues[bytes] = Dues()

    @property
    def next_due(self) -> float:
        return self._dues.next

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
            self._dues.enter(id_, standing.due)
        return placed

    def drop(self, id_: bytes) -> None:
        """Note that the group `id_` is no more in the store."""
        self.forgotten.remove(id_)
        self._dues.drop(id_)

    def take_due(self, now: int) -> list[bytes]:
        """Return the ids of groups of which something may be due by `now`; they must
        be placed again."""
        self.now = now
        return self._dues.take(now)

    def _policy_of(self, group: Group, before: Group | None) -> Policy | None:
        if before is not None and before.stale_after == group.stale_after:
            return None if before.standing is None else before.standing.policy
        return self.policies.policy_of(group.key, group.stale_after)
