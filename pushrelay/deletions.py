"""Deletions of many groups, in portions that leave pushes their turn in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pushrelay.groups import Group
from pushrelay.view.jobs import job_of
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
    """Yield what deletes those of `groups` that are wanted, in portions; with its
    groups each of `ended_jobs` ends, also where there are none."""
    for portion in _portions(groups):
        keys = tuple([group.key for group in portion])
        yield Delete(keys, wanted, ended_jobs.intersection(map(job_of, portion)))
    others = ended_jobs.difference(map(job_of, groups))
    if others:
        yield Delete((), wanted, others)


def _portions(groups: Sequence[Group]) -> Iterator[list[Group]]:
    portion: list[Group] = []
    size = 0
    for group in groups:
        portion.append(group)
        size += _GROUP_ITSELF + len(group.payload.layout.families)
        if size >= DELETED_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
