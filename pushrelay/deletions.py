"""Deletions of many groups, in portions that leave pushes their turn in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.writes import Delete

DELETED_AT_ONCE = 15_000
"""Families that go in one commit; a group counts for some more. 1,000 groups of ten
families take about 30 ms."""

_GROUP_ITSELF = 5


def deletions_of(
    groups: Sequence[Group],
    wanted: Callable[[Group], bool],
    ended_jobs: frozenset[str],
) -> Iterator[Delete]:
    """Yield what deletes those of `groups` that are wanted, in portions; with it
    `ended_jobs` end, also where there are no groups."""
    portion: list[GroupingKey] = []
    size = 0
    for group in groups:
        portion.append(group.key)
        size += _GROUP_ITSELF + len(group.payload.layout.families)
        if size >= DELETED_AT_ONCE:
            yield Delete(tuple(portion), wanted, ended_jobs)
            portion, size = [], 0
    if portion or (ended_jobs and not groups):
        yield Delete(tuple(portion), wanted, ended_jobs)
