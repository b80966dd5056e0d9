"""Deletions of many groups, in portions that leave pushes their turn in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pushrelay.groups import Group
from pushrelay.writes import Delete

DELETED_AT_ONCE = 15_000
"""Families that go in one commit; a group counts for some more. 1,000 groups of ten
families take about 30 ms."""

_GROUP_ITSELF = 5


def deletions(
    groups: Sequence[Group],
    wanted: Callable[[Group], bool],
    ended_jobs: frozenset[str],
) -> Iterator[Delete]:
    """Yield the deletions of what is still one of `groups`, unchanged and wanted, in
    its turn; other arguments as for `Delete`."""
    # Jobs may end without groups.
    for portion in _portions(groups) if groups or ended_jobs else ():
        yield _deletion(portion, wanted, ended_jobs)


def _portions(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Yield `groups` in lists that are as much as is deleted at once, at least one."""
    portion: list[Group] = []
    size = 0
    for group in groups:
        portion.append(group)
        size += _GROUP_ITSELF + len(group.payload.layout.families)
        if size >= DELETED_AT_ONCE:
            yield portion
            portion, size = [], 0
    yield portion


def _deletion(
    groups: Sequence[Group],
    wanted: Callable[[Group], bool],
    ended_jobs: frozenset[str],
) -> Delete:
    """Return the deletion of what is still one of `groups`, unchanged and wanted."""
    revisions = {group.key.id: group.revision for group in groups}
    return Delete(
        tuple([group.key for group in groups]),
        lambda group: group.revision == revisions[group.key.id] and wanted(group),
        ended_jobs,
    )
