"""How much is stored: groups, their series and their bytes, in all and by job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group


class Amount(NamedTuple):
    """So many groups, and what they take.

    series: as `Layout.size` counts them. bytes: of their text, of what else is kept of
    them, and of their grouping keys.
    """

    groups: int = 0
    series: int = 0
    bytes: int = 0


NOTHING = Amount()

_LINES_OF_RUNS = 50
"""About so many lines, each with all labels, tell of the runs with a grouping key."""


def amount_of(group: Group | None) -> Amount:
    """Return how much `group` is, whether or not scrapes show all of it."""
    if group is None:
        return NOTHING
    payload, running = group.payload, group.running_totals
    size = payload.bytes + len(group.key.canonical)
    if running is not None:
        size += running.bytes
    return Amount(1, payload.layout.size, size)


def have_as_much(one: Group, other: Group) -> bool:
    """Whether both certainly are the same amount, which takes less than to find out how
    much it is; one key is that of the other."""
    held, given = one.payload, other.payload
    return (
        held.layout is given.layout
        and len(held.text) == len(given.text)
        and held.messages is given.messages
        and one.running_totals is other.running_totals
    )


def amount_of_runs(key: GroupingKey) -> Amount:
    """Return about how much is kept and shown of the runs with `key`."""
    return Amount(1, 0, _LINES_OF_RUNS * len(key.canonical))


class Stock:
    """An amount and what each job has of it, on top of those of `base`, which stays as
    it is meanwhile."""

    def __init__(self, groups: Iterable[Group] = (), base: Stock | None = None) -> None:
        # Amounts that are changed with each push, in place.
        self._own = [0, 0, 0]
        self._jobs: dict[str, list[int]] = {}
        self._base = base
        for group in groups:
            self.add(group.key.job, amount_of(group))

    @property
    def total(self) -> Amount:
        """How much it is of all jobs."""
        base = NOTHING if self._base is None else self._base.total
        return _sum(base, self._own)

    def of_job(self, job: str) -> Amount:
        """Return how much it is of `job`."""
        base = NOTHING if self._base is None else self._base.of_job(job)
        return _sum(base, self._jobs.get(job, NOTHING))

    def jobs(self) -> set[str]:
        """Return the jobs that have some of it. May be called on any thread."""
        base = set() if self._base is None else self._base.jobs()
        return base.union(self._jobs.copy())

    def change(self, before: Group | None, after: Group | None) -> None:
        """Count `after` in place of `before`, the same group."""
        if before is after or (before and after and have_as_much(before, after)):
            return
        if before is not None:
            self.remove(before.key.job, amount_of(before))
        if after is not None:
            self.add(after.key.job, amount_of(after))

    def remove(self, job: str, less: Amount) -> None:
        """Count so much less of `job`."""
        groups, series, size = less
        self.add(job, Amount(-groups, -series, -size))

    def add(self, job: str, more: Amount) -> None:
        """Count `more` of `job`; what is negative there is less."""
        of_job = self._jobs.get(job)
        if of_job is None:
            of_job = self._jobs[job] = [0, 0, 0]
        for held in (self._own, of_job):
            held[0] += more[0]
            held[1] += more[1]
            held[2] += more[2]
        if not any(of_job):
            del self._jobs[job]  # jobs come and go


def _sum(one: Sequence[int], other: Sequence[int]) -> Amount:
    return Amount(one[0] + other[0], one[1] + other[1], one[2] + other[2])
