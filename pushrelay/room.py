"""What there is room for beside what is stored.

Only what grows is refused: whatever is full, pushes that bring no more than their group
has are taken, and so are the ends of runs that are known.
"""

from __future__ import annotations

from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.quoting import quote
from pushrelay.stock import Stock, amount_of, amount_of_runs, have_as_much
from pushrelay.view.jobs import Jobs
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View

_VALUES = 16
"""Values may take more bytes than before: where no series is new, the limit of bytes is
higher by such a part of it."""

_WHAT_HELPS = (
    "delete groups or retire jobs that are gone, let groups be forgotten "
    "(forget_after), or raise the limit"
)


class Room:
    """Says what there is room for.

    catalog: the groups. jobs: those that are known beyond their groups. database_bytes:
    how large the database is.
    """

    def __init__(
        self,
        catalog: Overlay,
        jobs: Jobs,
        policies: Policies,
        limits: Limits,
        database_bytes: int,
    ) -> None:
        self._catalog = catalog
        self._jobs = jobs
        self._policies = policies
        self._limits = limits
        self._database_bytes = database_bytes

    def require_for_group(self, after: Group) -> None:
        """Raise LimitExceeded if `after` would grow beyond what there is room for."""
        before = self._catalog.group(after.key)
        if before is not None and have_as_much(before, after):
            return
        had, has = amount_of(before), amount_of(after)
        groups, series, size = [new - old for new, old in zip(has, had, strict=True)]
        if groups <= 0 and series <= 0 and size <= 0:
            return
        if before is None:
            self.require_for_row()
            self._require_for_job(after)
        job, limits = after.key.job, self._limits_of(after.key)
        total, of_job = self._catalog.stock.total, self._catalog.stock.of_job(job)
        spare = 0 if series > 0 else limits.stored_bytes // _VALUES
        all_, whose = "the relay has", _has(job)
        _check(all_, "groups", total.groups, groups, "stored_groups", limits)
        _check(all_, "series", total.series, series, "stored_series", limits)
        _check(all_, "bytes", total.bytes, size, "stored_bytes", limits, spare)
        _check(whose, "groups", of_job.groups, groups, "job_groups", limits)
        _check(whose, "series", of_job.series, series, "job_series", limits)

    def require_for_runs(self, key: GroupingKey, runs: Stock) -> None:
        """Raise LimitExceeded if there is no room for another key with runs, beside
        the `runs` there are."""
        job, limits, what = key.job, self._limits_of(key), "grouping keys with runs"
        total, of_job, more = runs.total, runs.of_job(job), amount_of_runs(key)
        all_ = "the relay has"
        _check(all_, what, total.groups, 1, "stored_groups", limits)
        _check(
            all_, f"bytes of {what}", total.bytes, more.bytes, "stored_bytes", limits
        )
        _check(_has(job), what, of_job.groups, 1, "job_groups", limits)

    def require_for_expectation(self, jobs: int) -> None:
        """Raise LimitExceeded if there is no room for another job that is expected to
        run, beside so many."""
        self.require_for_row()
        what = "jobs that are expected to run"
        _check("the relay has", what, jobs, 1, "stored_groups", self._limits)

    def require_for_row(self) -> None:
        """Raise LimitExceeded if the database is so large that nothing is added."""
        size, limit = self._database_bytes, self._limits.database_bytes
        if size >= limit:
            raise LimitExceeded(
                "database_bytes",
                f"the database takes {size} bytes, and from {limit} on "
                "(--limit.database-bytes) nothing new is added: let fewer runs be kept "
                f"(--runs.keep, --runs.max-age), {_WHAT_HELPS}",
            )

    def _require_for_job(self, group: Group) -> None:
        """Raise LimitExceeded if too many jobs would be known beyond their groups."""
        job, policy = group.key.job, self._policies.policy_of(group.key, None)
        if policy is None or not policy.forgets_when_stale or self._jobs.get(job):
            return
        what, known = "jobs whose groups come and go", self._jobs.count
        _check("the relay has", what, known, 1, "stored_groups", self._limits)

    def _limits_of(self, key: GroupingKey) -> Limits:
        return self._policies.limits_of(key, self._limits)


def used_of(view: View, database_bytes: int) -> dict[str, int]:
    """Return how much `view` has, and how large the database is, by the names of what
    limits that. Where a limit is one of several things, the most there is of any."""
    groups, runs = view.stock.total, view.board.evidences.stock.total
    jobs = max(view.jobs.count, view.board.expected_jobs)
    return {
        "stored_groups": max(groups.groups, runs.groups, jobs),
        "stored_series": groups.series,
        "stored_bytes": max(groups.bytes, runs.bytes),
        "database_bytes": database_bytes,
    }


def _has(job: str) -> str:
    return f"the job {quote(job)} has"


def _check(
    whose: str,
    what: str,
    have: int,
    more: int,
    name: str,
    limits: Limits,
    spare: int = 0,
) -> None:
    """Raise LimitExceeded if `more` is too much beside what there is already; `spare`:
    by how much it may be over the limit."""
    limit: int = getattr(limits, name)
    if more > 0 and have + more > limit + spare:
        flag = f"--limit.{name.replace('_', '-')}"
        if name.startswith("job_"):
            flag += f", or {name} of its job rule"
        raise LimitExceeded(
            name,
            f"{whose} {have} {what}, and the limit is {limit} ({flag}), so that there "
            f"is no room for {more} more: {_WHAT_HELPS}",
        )
