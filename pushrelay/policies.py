"""Which policy a group has: what its last push said, else the job rule, else the
server's default."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from pushrelay.config import Freshness
from pushrelay.freshness import Policy
from pushrelay.grouping_key import GroupingKey

_REMEMBERED = 4096


class Policies:
    """What the server's settings and the job rules say of groups; immutable."""

    def __init__(self, freshness: Freshness | None = None) -> None:
        self._freshness = freshness or Freshness()
        patterns = map(translate, self._freshness.timestamp_series)
        self._timestamps = re.compile("|".join(patterns) or r"(?!)")
        self.is_timestamp = lru_cache(_REMEMBERED)(self._is_timestamp)
        """Whether a family of this name is a point in time."""

    def policy_of(self, key: GroupingKey, stale_after: int | None) -> Policy | None:
        """Return the policy of the group `key` whose last push said `stale_after`
        (nanoseconds); None if nothing ever becomes of it."""
        policy = Policy(
            self._freshness.stale_after if stale_after is None else stale_after,
            self._freshness.forget_after,
        )
        return None if policy == _NOTHING_HAPPENS else policy

    def _is_timestamp(self, name: str) -> bool:
        return self._timestamps.match(name) is not None


_NOTHING_HAPPENS = Policy()
