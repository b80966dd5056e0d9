"""Shards: parts of the page of a store that are the whole of it together.

Where a group belongs follows from its grouping key and from the number of shards alone:
not from the relay, its database, or what else is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from pushrelay.grouping_key import GroupingKey

MOST_SHARDS = 1000

_HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """One of so many shards. number: from 0 on. of: how many there are."""

    number: int
    of: int

    @property
    def is_first(self) -> bool:
        """Whether it is the one that has what belongs to no group."""
        return self.number == 0


def shard_number(key: GroupingKey, of: int) -> int:
    """Return the number of the shard, among `of`, that has what is shown with `key`."""
    # Series must not move to another shard with a new version: this never changes.
    return int.from_bytes(key.id[:_HASH_BYTES], "big") % of
