"""What the view knows of jobs whose groups are forgotten as soon as they are stale.

The time of a job's last push outlives its groups, so it never falls while the job is
known: what the store kept of it and what its groups say come together here.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from pushrelay.changes import JobRecord
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, Holder, Job

_canonical = attrgetter("key.canonical")


class Jobs:
    """The jobs by name, and which of them changed since `take_changed`.

    recorded: what the store has of them.
    """

    def __init__(self) -> None:
        self.recorded: dict[str, JobRecord] = {}
        self._known: dict[str, Job] = {}
        self._before: dict[str, Job | None] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def get(self, job: str) -> Job | None:
        """Return what is known of `job`, if its groups come and go."""
        return self._known.get(job)

    def record(self, records: Iterable[JobRecord]) -> set[str]:
        """Take over what the store has of jobs; the last record of a job counts.

        Return the jobs of which it has less than was known: they were retired. What is
        known of them is to be found out anew, by `recount`.
        """
        less = set()
        for record in {record.job: record for record in records}.values():
            job, at = record.job, record.pushed_at
            known = self._known.get(job)
            if known is not None and (at is None or at < known.pushed_at):
                less.add(job)
            self.recorded.pop(job, None)
            if at is not None:
                self.recorded[job] = record
                self._change(job, 0, at)
        return less

    def recount(self, jobs: set[str], groups: Iterable[Group]) -> None:
        """Know of `jobs` what was recorded and what the stored `groups` say, forgotten
        ones among them."""
        times = {
            job: [self.recorded[job].pushed_at or 0]
            for job in jobs & self.recorded.keys()
        }
        for group in groups:
            if (job := job_of(group)) in jobs and outlives_groups(group):
                times.setdefault(job, []).append(group.pushed_at)
        for job in jobs:
            old = self._known.pop(job)
            self._before.setdefault(job, old)
            if job in times:
                self._known[job] = Job(old.key, max(times[job]), old.groups)

    def are_without_groups(self, jobs: Iterable[str]) -> bool:
        """Whether none of `jobs` has a group that is not forgotten."""
        return not any(self._known[job].groups for job in jobs)

    def add(self, group: Group) -> None:
        """Count one more group that is forgotten as soon as it is stale."""
        self._change(job_of(group), 1, group.pushed_at)

    def remove(self, group: Group) -> None:
        """Count one such group less; the job is still known until it is dropped."""
        self._change(job_of(group), -1)

    def forgotten(self, group: Group) -> None:
        """Take over what a group says that was forgotten before it was counted."""
        self._change(job_of(group), 0, group.pushed_at)

    def take_changed(self) -> list[tuple[Job | None, Job | None]]:
        """Return each job that changed, as it was and as it is."""
        changed = [(old, self._known.get(job)) for job, old in self._before.items()]
        self._before = {}
        return changed

    def all(self) -> list[Job]:
        """Return all jobs, sorted by grouping key. May be called on any thread."""
        return sorted(self._known.values(), key=_canonical)

    def _change(self, job: str, groups: int, pushed_at: int = 0) -> None:
        old = self._known.get(job)
        self._before.setdefault(job, old)
        held = old.groups if old else 0
        last = max(old.pushed_at if old else 0, pushed_at)
        key = old.key if old else GroupingKey.of({"job": job})
        self._known[job] = Job(key, last, held + groups)


def job_of(holder: Holder) -> str:
    """Return the name of the job of a group, or of a job."""
    return holder.key.job


def outlives_groups(group: Group) -> bool:
    """Whether the job of `group` is known beyond its groups."""
    standing = group.standing
    return standing is not None and standing.policy.forgets_when_stale
