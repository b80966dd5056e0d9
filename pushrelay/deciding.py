"""What writes mean: how a batch of them is decided, each in view of those before it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pushrelay.aggregation import combine
from pushrelay.changes import Changes, Emptied, JobRecord, Position
from pushrelay.config import Limits
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.errors import (
    IdempotencyConflict,
    InconsistentPush,
    InvalidGroupingKey,
    InvalidRequest,
    LimitExceeded,
    PushrelayError,
)
from pushrelay.exposition.stored import from_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY, Group, Payload
from pushrelay.model import Metric
from pushrelay.policies import Policies
from pushrelay.store.reader import ReadChanges
from pushrelay.store.writer import Decision, FindReceipt
from pushrelay.telemetry import OWN_TYPES
from pushrelay.view.jobs import job_of
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View
from pushrelay.writes import (
    NOT_OLDER,
    Delete,
    DeleteSeries,
    Import,
    Look,
    Push,
    PushAll,
    Write,
)

log = logging.getLogger(__name__)


class ViewDecider:
    """Gives writes their meaning on the writer's thread, and keeps the view in step.

    The view is changed by one thread at a time: `_lock` orders all that do. It is not
    held while the database is asked, for no scrape should wait for a disk.
    """

    def __init__(
        self, view: View, clock: Callable[[], int], limits: Limits | None = None
    ) -> None:
        self._view = view
        self._clock = clock
        self._limits = limits or Limits()
        self._lock = threading.Lock()

    def catch_up(self, read: ReadChanges) -> Position:
        while True:
            since = self._view.position
            changes = read(since)
            with self._lock:
                if self._connects(changes, since):
                    break
                # Another thread was faster, and what it took over may be newer.
        assert self._view.position is not None  # noqa: S101  # the first reading brings one
        return self._view.position

    def _connects(self, changes: Changes | None, since: Position | None) -> bool:
        """Take over `changes`, which were read at `since`, if they still fit."""
        if changes is None:
            return True
        if changes.since is None:
            if self._view.position is not since:
                return False
            self._view.advance(self._clock())
        self._apply(changes)
        return True

    def committed(self, changes: Changes) -> None:
        # What is on disk is on disk: a view that cannot follow is no failed write.
        with self._lock, suppress(Exception):
            if self._view.position == changes.since:
                self._apply(changes)

    def _apply(self, changes: Changes) -> None:
        try:
            self._view.apply(changes)
        except Exception:
            log.exception("the view could not take over changes; it reloads")
            self._view.position = None
            raise

    def is_due(self) -> bool:
        """Whether something goes stale or is forgotten now."""
        return self._view.is_due(self._clock())

    def advance(self) -> None:
        """Let go stale, and let be forgotten, what is due."""
        is_more = True
        while is_more:
            with self._lock:
                is_more = self._view.advance(self._clock())

    def follow(self, policies: Policies) -> None:
        """From now on, let groups go stale and be forgotten by `policies`."""
        with self._lock:
            self._view.follow(policies)

    def decide(
        self, writes: list[Write], revision: int, now: int, find_receipt: FindReceipt
    ) -> Decision:
        with self._lock:
            while self._view.advance(now):
                pass
            batch = _Batch(self._view, revision, find_receipt, self._limits)
            for write in writes:
                batch.add(write)
        return batch.decision


class _Batch:
    """The writes of one commit."""

    def __init__(
        self, view: View, revision: int, find_receipt: FindReceipt, limits: Limits
    ) -> None:
        self._view = view
        self._limits = limits
        self._overlay = Overlay(view, OWN_TYPES)
        self._forgotten = view.standings.forgotten
        # Ids of those that this batch replaces or removes.
        self._gone: set[bytes] = set()
        # What this batch keeps of jobs.
        self._last_pushes: dict[str, int] = {}
        self._revision = revision
        self._find_receipt = find_receipt
        self._receipts: dict[bytes, bytes] = {}
        self.decision = Decision()

    def add(self, write: Write) -> None:
        """Decide `write`: note its answer and what it changes."""
        try:
            answer: Any = self._decide(write)
        except PushrelayError as error:
            answer = error
        except Exception as error:
            # Whatever is wrong with one push must not fail the rest of its batch.
            log.exception("a write could not be decided")
            answer = error
        self.decision.answers.append(answer)

    def _decide(self, write: Write) -> Any:
        match write:
            case Push():
                return self._push(write)
            case PushAll():
                return self._push_all(write)
            case Delete():
                return self._delete(write)
            case DeleteSeries():
                return self._delete_series(write)
            case Import():
                return [self._import(group, write.dry_run) for group in write.groups]
            case Look():
                return [*self._overlay.all_groups(), *self._still_forgotten()]

    # --- pushes ---

    def _push(self, push: Push) -> bool:
        """Decide `push`; return whether it had been done before."""
        if self._was_done(push):
            return True
        require_unambiguous(push.key, self._overlay)
        try:
            payload = self._accept(push)
        except InconsistentPush:
            if not push.dry_run:
                self._book(push)
            raise
        if not push.dry_run:
            self._store(push, payload)
        return False

    def _was_done(self, push: Push) -> bool:
        receipt = push.receipt
        if receipt is None:
            return False
        known = self._receipts.get(receipt.id) or self._find_receipt(receipt.id)
        if known is None:
            return False
        if known != receipt.body:
            raise IdempotencyConflict(
                f"another body was pushed to {push.key} with this idempotency key; "
                "give each push a key of its own, and its retries the same key"
            )
        return True

    def _accept(self, push: Push) -> Payload:
        """Return what the group holds after `push`."""
        if push.refusal is not None:
            raise push.refusal
        held = self._overlay.group(push.key)
        before = held.payload if held else EMPTY
        policies = self._view.standings.policies
        after = combine(push.mode, before, push.payload, policies.is_timestamp)
        if after is not push.payload:
            self._require_bounded(push, after)
        # The series that the group has already passed when they came.
        if after.likeness is None or after.likeness is not before.likeness:
            check_against(self._overlay, push.key, push.payload, after, push.metrics)
        return after

    def _require_bounded(self, push: Push, after: Payload) -> None:
        """Raise LimitExceeded if the group would hold more than one push may bring:
        series that are only ever added to would pile up."""
        rule = self._view.standings.policies.rule_of(push.key)
        limits = rule.limits.within(self._limits) if rule else self._limits
        if after.layout.size > limits.series:
            raise LimitExceeded(
                "series",
                f"the group {push.key} would have {after.layout.size} series; the "
                f"limit is {limits.series}: replace it with PUT, or delete series",
            )
        most = self._limits.rendered_bytes
        if after.bytes > most:
            raise LimitExceeded(
                "rendered_bytes",
                f"the group {push.key} would take {after.bytes} bytes; the limit is "
                f"{most}: replace it with PUT, or delete series",
            )

    def _store(self, push: Push, payload: Payload) -> None:
        self._put(push, push.at, None, payload, push.stale_after)
        if push.receipt is not None:
            self._receipts[push.receipt.id] = push.receipt.body
            self.decision.receipts.append(push.receipt)

    def _book(self, push: Push) -> None:
        """Note that `push` failed; what its group holds stays."""
        held = self._overlay.group(push.key)
        pushed_at, kept = (held.pushed_at, held.payload) if held else (0, EMPTY)
        self._put(push, pushed_at, push.at, kept, held.stale_after if held else None)

    def _put(
        self,
        push: Push,
        pushed_at: int,
        failed_at: int | None,
        payload: Payload,
        stale_after: int | None,
    ) -> None:
        held = self._overlay.group(push.key)
        self._replace(
            Group(
                # One key object for the life of a group, which may remember things.
                held.key if held else push.key,
                self._revision,
                pushed_at,
                failed_at or (held.failed_at if held else 0),
                payload,
                held.created_at if held else push.at,
                stale_after,
            )
        )

    def _replace(self, group: Group) -> None:
        held = self._find(group.key)
        if held is not None and group.pushed_at < held.pushed_at:
            self._keep_of_job(held)
        if self._forgotten.groups:
            self._gone.add(group.key.id)
            self._displace_forgotten(group)
        self._overlay.put(group.key, group)
        self.decision.changes.append(group)

    def _displace_forgotten(self, group: Group) -> None:
        """Remove all forgotten groups if one could not come back beside `group`."""
        held, payload = self._overlay.group(group.key), group.payload
        if held and held.payload.likeness is payload.likeness is not None:
            return  # that have the same series
        try:
            require_unambiguous(group.key, self._forgotten)
            metrics = partial(_metrics_of, payload)
            check_against(self._forgotten, group.key, payload, payload, metrics)
        except (InvalidGroupingKey, InconsistentPush):
            for forgotten in self._still_forgotten():
                self._keep_of_job(forgotten)
                self._end(forgotten)

    def _push_all(self, write: PushAll) -> bool:
        """Accept all pushes of `write`, or refuse them all and book those at fault."""
        pushes = [push for push in write.pushes if not self._was_done(push)]
        if not pushes:
            return True
        with self._restored(pushes) as attempt:
            refused = self._try_all(pushes)
            attempt.is_kept = not (refused or write.dry_run)
        if refused:
            for push, _ in [] if write.dry_run else refused:
                self._book(push)
            raise InconsistentPush.together([refusal for _, refusal in refused])
        return False

    def _try_all(self, pushes: list[Push]) -> list[tuple[Push, InconsistentPush]]:
        """Store what is accepted of `pushes`; return what is refused, and why."""
        refused = []
        for push in pushes:
            require_unambiguous(push.key, self._overlay)
            try:
                self._store(push, self._accept(push))
            except InconsistentPush as refusal:
                refused.append((push, refusal))
        return refused

    @contextmanager
    def _restored(self, pushes: list[Push]) -> Iterator[_Attempt]:
        """Undo what is done with the groups of `pushes`, unless it is kept."""
        decision, attempt = self.decision, _Attempt()
        before = [(push, self._overlay.group(push.key)) for push in pushes]
        changes, receipts = len(decision.changes), len(decision.receipts)
        jobs, gone = len(decision.jobs), self._gone.copy()
        try:
            yield attempt
        finally:
            if not attempt.is_kept:
                for push, group in before:
                    self._overlay.put(push.key, group)
                for receipt in decision.receipts[receipts:]:
                    del self._receipts[receipt.id]
                del decision.changes[changes:], decision.receipts[receipts:]
                del decision.jobs[jobs:]
                self._gone = gone

    # --- deletions ---

    def _delete(self, write: Delete) -> list[GroupingKey]:
        """Empty the groups that are wanted; return their keys."""
        found = [self._find(key) for key in write.keys]
        ended = [group for group in found if group is not None and write.wanted(group)]
        for group in ended:
            if not write.ended_jobs or job_of(group) not in write.ended_jobs:
                self._keep_of_job(group)
            self._end(group)
        for job in write.ended_jobs:
            if self._view.jobs.get(job) is not None or job in self._last_pushes:
                self._last_pushes[job] = 0
                self.decision.jobs.append(JobRecord(job, self._revision, None))
        return [group.key for group in ended]

    def _end(self, group: Group) -> None:
        self._gone.add(group.key.id)
        self._overlay.put(group.key, None)
        self.decision.changes.append(Emptied(group.key.id, self._revision))

    def _delete_series(self, write: DeleteSeries) -> bool:
        held = self._overlay.group(write.key)
        if held is None or held.payload is not write.held:
            return False
        self._replace(replace(held, revision=self._revision, payload=write.left))
        return True

    def _find(self, key: GroupingKey) -> Group | None:
        """Return the group of `key`, also if it is forgotten."""
        if key.id in self._gone:
            return self._overlay.group(key)
        return self._overlay.group(key) or self._forgotten.group(key)

    def _still_forgotten(self) -> list[Group]:
        forgotten = self._forgotten.groups
        return [group for id_, group in forgotten.items() if id_ not in self._gone]

    def _keep_of_job(self, group: Group) -> None:
        """Store what must outlive `group`."""
        policies = self._view.standings.policies
        policy = policies.policy_of(group.key, group.stale_after)
        if policy is None or not policy.forgets_when_stale:
            return
        job = job_of(group)
        last = self._last_pushes[job] = max(self._last_push_to(job), group.pushed_at)
        self.decision.jobs.append(JobRecord(job, self._revision, last))

    def _last_push_to(self, job: str) -> int:
        """Return when what was kept of `job`, or is to be kept, was pushed last."""
        known = self._view.jobs.get(job)
        return self._last_pushes.get(job, known.pushed_at if known else 0)

    # --- imports ---

    def _import(self, group: Group, dry_run: bool) -> str | None:
        """Take over `group` unless what is here is as new; return why not."""
        try:
            require_unambiguous(group.key, self._overlay)
            held = self._overlay.group(group.key)
            times = (group.pushed_at, group.failed_at)
            if held is not None and (held.pushed_at, held.failed_at) >= times:
                return NOT_OLDER
            payload = group.payload
            metrics = partial(_metrics_of, payload)
            check_against(self._overlay, group.key, payload, payload, metrics)
        except (InvalidRequest, InconsistentPush) as error:
            return str(error)
        if not dry_run:
            self._replace(replace(group, revision=self._revision))
        return None


@dataclass(slots=True)
class _Attempt:
    """Something that is undone unless it `is_kept`."""

    is_kept: bool = False


def _metrics_of(payload: Payload, at: int) -> list[Metric]:
    return from_stored(payload.family(at)).metrics
