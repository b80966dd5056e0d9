"""A part of what there is to expose: some groups, whole; or those of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pushrelay.group_list import Condition, matches_any
from pushrelay.grouping_key import GroupingKey
from pushrelay.matchers import Selector
from pushrelay.shards import Shard
from pushrelay.view.holdings import size_of
from pushrelay.view.loading import load_families
from pushrelay.view.parts import parts_of
from pushrelay.view.snapshot import Snapshot


def select(
    snapshot: Snapshot, selectors: Sequence[Selector], *, strictly: bool = False
) -> Snapshot:
    """Return the part of `snapshot` that belongs to groups which any of `selectors`
    matches, and to jobs which it matches by their name alone; what is shown of runs and
    of expectations is chosen by the labels it has.

    strictly: what is about jobs, or their instances, only where all groups that it
    could be about are matched.

    Families look as in `snapshot`, whichever help the chosen groups gave.
    """
    groups = Condition(selectors).choose(snapshot.sorted_groups())
    matches = _matches_all_with if strictly else matches_any
    jobs = [job for job in snapshot.sorted_jobs() if matches(selectors, job.key)]
    runs = [
        *[page for page in snapshot.run_pages() if matches_any(selectors, page.key)],
        *[page for page in snapshot.expected_pages() if matches(selectors, page.key)],
    ]
    families = load_families(groups, jobs, runs)
    shown = [
        replace(family, blocks=chosen.groups.blocks)
        for family in snapshot.families
        if (chosen := families.get(family.name)) and chosen.groups.series
    ]
    return Snapshot(
        snapshot.position,
        tuple(shown),
        groups=len(groups),
        series=sum([family.groups.series for family in families.values()]),
        size=sum(map(size_of, groups)) + sum([len(run.payload.text) for run in runs]),
    )


def of_shard(snapshot: Snapshot, shard: Shard) -> Snapshot:
    """Return the part of `snapshot` that `shard` has: groups, jobs, and what is shown
    of runs and of expectations, each by the labels it is about.

    Families look as in `snapshot`.
    """
    shown = []
    for family in snapshot.families:
        parts = parts_of(family.blocks, shard)
        if any(part.has_metrics for part in parts):
            shown.append(replace(family, blocks=parts))
    return replace(snapshot, families=tuple(shown))


def _matches_all_with(selectors: Sequence[Selector], key: GroupingKey) -> bool:
    labels = dict(key.labels)
    return any(selector.matches_all_with(labels) for selector in selectors)
