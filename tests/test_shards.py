"""Which shard a group is in never changes."""

from __future__ import annotations

import pytest
from builders import key_of

from pushrelay.grouping_key import GroupingKey
from pushrelay.shards import MOST_SHARDS, shard_number

KNOWN = [
    (key_of("backup"), [0, 0, 1, 2, 126]),
    (key_of("backup", instance="db1"), [0, 0, 2, 0, 460]),
    (key_of("backup", zone="b", instance="db1"), [0, 1, 2, 1, 429]),
    (key_of("é🦆"), [0, 0, 1, 0, 56]),
    (key_of("\x00"), [0, 1, 0, 1, 25]),
]


@pytest.mark.parametrize(("key", "numbers"), KNOWN)
def test_a_group_is_in_the_shard_that_it_was_always_in(
    key: GroupingKey, numbers: list[int]
) -> None:
    found = [shard_number(key, of) for of in (1, 2, 3, 4, MOST_SHARDS)]
    assert found == numbers


def test_the_order_of_labels_does_not_matter() -> None:
    keys = [key_of("a", x="1", y="2"), key_of("a", y="2", x="1")]
    assert len({shard_number(key, MOST_SHARDS) for key in keys}) == 1


def test_shards_are_of_like_sizes() -> None:
    keys = [key_of("a", instance=f"host-{number}") for number in range(4000)]
    numbers = [shard_number(key, 4) for key in keys]
    assert all(900 < numbers.count(number) < 1100 for number in range(4))
