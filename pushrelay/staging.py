"""What a batch of writes has changed so far, on top of the view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial

from pushrelay.changes import Emptied, JobRecord
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.errors import InconsistentPush, InvalidGroupingKey
from pushrelay.exposition.stored import stored_metrics
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.run_staging import RunStaging
from pushrelay.store.books import Books
from pushrelay.store.decisions import Decision
from pushrelay.store.receipts import Receipt
from pushrelay.telemetry import OWN_TYPES
from pushrelay.view.jobs import job_of
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View


class Staging:
    """The groups, jobs and receipts of `view` with what a batch changes in them.

    catalog: the groups that are not forgotten. jobs: as they were before the batch.
    books: what only the store knows. decision: what is to be stored.
    """

    def __init__(self, view: View, revision: int, books: Books) -> None:
        self.revision = revision
        self.catalog = Overlay(view, OWN_TYPES)
        self.decision = Decision()
        self.jobs = view.jobs
        self._view = view
        self._policies = view.standings.policies
        self._forgotten = view.standings.forgotten
        self._books = books
        # Ids of the groups that this batch replaces or removes.
        self._gone: set[bytes] = set()
        self._last_pushes: dict[str, int] = {}
        self._receipts: dict[bytes, bytes] = {}

    @cached_property
    def runs(self) -> RunStaging:
        """What is known of runs, and what the batch changes in that."""
        return RunStaging(
            self._view.board,
            self._policies,
            self._books.runs,
            self.decision,
            self.revision,
            self._view.standings.now,
        )

    def group(self, key: GroupingKey) -> Group | None:
        """Return the group of `key`, also if it is forgotten."""
        if key.id in self._gone:
            return self.catalog.group(key)
        return self.catalog.group(key) or self._forgotten.group(key)

    def all_groups(self) -> list[Group]:
        """Return all groups, forgotten ones included."""
        return [*self.catalog.all_groups(), *self._still_forgotten()]

    def replace(self, group: Group) -> None:
        """Let `group` be what is stored under its key."""
        held = self.group(group.key)
        if held is not None and group.pushed_at < held.pushed_at:
            self.keep_of_job(held)
        if self._forgotten.groups:
            self._gone.add(group.key.id)
            self._displace_forgotten(group)
        self.catalog.put(group.key, group)
        self.decision.changes.append(group)

    def remove(self, group: Group) -> None:
        """Let `group` be no more."""
        self._gone.add(group.key.id)
        self.catalog.put(group.key, None)
        self.decision.changes.append(Emptied(group.key.id, self.revision))

    def keep_of_job(self, group: Group) -> None:
        """Store what must outlive `group`."""
        policy = self._policies.policy_of(group.key, group.stale_after)
        if policy is None or not policy.forgets_when_stale:
            return
        job = job_of(group)
        last = self._last_pushes[job] = max(self._last_push_to(job), group.pushed_at)
        self.decision.jobs.append(JobRecord(job, self.revision, last))

    def end_job(self, job: str) -> None:
        """Keep nothing of `job`."""
        self.runs.end_job(job)
        if self.jobs.get(job) is not None or job in self._last_pushes:
            self._last_pushes[job] = 0
            self.decision.jobs.append(JobRecord(job, self.revision, None))

    def pushed_under(self, receipt: Receipt) -> bytes | None:
        """Return what was pushed under the id of `receipt`, None for nothing."""
        return self._receipts.get(receipt.id) or self._books.receipt(receipt.id)

    def add_receipt(self, receipt: Receipt) -> None:
        """Store `receipt`."""
        self._receipts[receipt.id] = receipt.body
        self.decision.receipts.append(receipt)

    def savepoint(self, keys: Iterable[GroupingKey]) -> Callable[[], None]:
        """Return what undoes all that is done from now on with the groups of `keys`."""
        decision = self.decision
        groups = [(key, self.catalog.group(key)) for key in keys]
        changes, receipts = len(decision.changes), len(decision.receipts)
        jobs, last_pushes = len(decision.jobs), self._last_pushes.copy()
        gone = self._gone.copy()

        def undo() -> None:
            # Forgotten groups that gave way are not in the catalog, before or after.
            for key, group in groups:
                self.catalog.put(key, group)
            for receipt in decision.receipts[receipts:]:
                del self._receipts[receipt.id]
            del decision.changes[changes:], decision.receipts[receipts:]
            del decision.jobs[jobs:]
            self._gone, self._last_pushes = gone, last_pushes

        return undo

    def _displace_forgotten(self, group: Group) -> None:
        """Remove all forgotten groups if one could not come back beside `group`."""
        held, payload = self.catalog.group(group.key), group.payload
        if held and held.payload.likeness is payload.likeness is not None:
            return  # that have the same series
        try:
            require_unambiguous(group.key, self._forgotten)
            metrics = partial(stored_metrics, payload)
            check_against(self._forgotten, group.key, payload, payload, metrics)
        except (InvalidGroupingKey, InconsistentPush):
            for forgotten in self._still_forgotten():
                self.keep_of_job(forgotten)
                self.remove(forgotten)

    def _still_forgotten(self) -> list[Group]:
        forgotten = self._forgotten.groups
        return [group for id_, group in forgotten.items() if id_ not in self._gone]

    def _last_push_to(self, job: str) -> int:
        """Return when what was kept of `job`, or is to be kept, was pushed last."""
        known = self.jobs.get(job)
        return self._last_pushes.get(job, known.pushed_at if known else 0)
