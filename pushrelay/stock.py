"""How much is stored: groups, their series and their bytes, in all and by job."""

from __future__ import annotations

from collections.abc import Iterable
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


def amount_of_runs(key: GroupingKey) -> Amount:
    """Return about how much is kept and shown of the runs with `key`."""
    return Amount(1, 0, _LINES_OF_RUNS * len(key.canonical))


class Stock:
    """An amount and what each job has of it, on top of those of `base`, which stays as
    it is meanwhile."""

    def __init__(self, groups: Iterable[Group] = (), base: Stock | None = None) -> None:
        self._own = NOTHING
        self._jobs: dict[str, Amount] = {}
        self._base = base
        for group in groups:
            self.add(group.key.job, amount_of(group))

    @property
    def total(self) -> Amount:
        """How much it is of all jobs."""
        base = self._base
        return self._own if base is None else _sum(base.total, self._own)

    def of_job(self, job: str) -> Amount:
        """Return how much it is of `job`."""
        own, base = self._jobs.get(job, NOTHING), self._base
        return own if base is None else _sum(base.of_job(job), own)

    def change(self, before: Group | None, after: Group | None) -> None:
        """Count `after` in place of `before`, the same group."""
        known = after or before
        if known is not None and before is not after:
            more = _difference(amount_of(before), amount_of(after))
            if more != NOTHING:
                self.add(known.key.job, more)

    def remove(self, job: str, less: Amount) -> None:
        """Count so much less of `job`."""
        self.add(job, _difference(less, NOTHING))

    def add(self, job: str, more: Amount) -> None:
        """Count `more` of `job`; what is negative there is less."""
        self._own = _sum(self._own, more)
        of_job = _sum(self._jobs.get(job, NOTHING), more)
        if of_job == NOTHING:
            # Jobs come and go.
            self._jobs.pop(job, None)
        else:
            self._jobs[job] = of_job


def _sum(one: Amount, other: Amount) -> Amount:
    return Amount(one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _difference(before: Amount, after: Amount) -> Amount:
    return Amount(after[0] - before[0], after[1] - before[1], after[2] - before[2])
