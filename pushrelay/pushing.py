"""Decides what pushes mean: what their groups hold then, or why they are refused."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from pushrelay.accumulation import push_onto
from pushrelay.aggregation import MERGING
from pushrelay.config import Limits
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.contents import Contents, contents_of
from pushrelay.errors import (
    IdempotencyConflict,
    InconsistentPush,
    InvalidGroupingKey,
    LimitExceeded,
    TooLargeToMerge,
)
from pushrelay.findings import together
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.room import Room
from pushrelay.staging import Staging
from pushrelay.writes import Push, PushAll

MERGED_AT_ONCE = 5_000
"""Series of a group and a push that are merged while all other pushes wait: at worst,
25 ms for so many."""


class Pushing:
    """The pushes of one batch, whose outcome is put into `staging`; `room` says whether
    there is room for it."""

    def __init__(
        self, staging: Staging, policies: Policies, limits: Limits, room: Room
    ) -> None:
        self._staging = staging
        self._catalog = staging.catalog
        self._policies = policies
        self._limits = limits
        self._room = room

    def push(self, push: Push) -> bool:
        """Decide `push`; return whether it had been done before."""
        if self._was_done(push):
            return True
        require_unambiguous(push.key, self._catalog)
        try:
            contents = self._accept(push)
        except InconsistentPush:
            if not push.dry_run:
                self._book(push)
            raise
        group = self._with_room(push, contents)
        if not push.dry_run:
            self._store(push, group)
        return False

    def push_all(self, write: PushAll) -> bool:
        """Accept all pushes of `write`, or refuse them all and book those at fault."""
        pushes = [push for push in write.pushes if not self._was_done(push)]
        if not pushes:
            return bool(write.pushes)
        with ExitStack() as undo:
            undo.callback(self._staging.savepoint([push.key for push in pushes]))
            refused = self._try_all(pushes)
            if not (refused or write.dry_run):
                undo.pop_all()
        if refused:
            for push, _ in [] if write.dry_run else refused:
                self._book(push)
            raise together(refusal for _, refusal in refused)
        return False

    def _try_all(self, pushes: list[Push]) -> list[tuple[Push, InconsistentPush]]:
        """Store what is accepted of `pushes`; return what is refused, and why."""
        refused = []
        for push in pushes:
            require_unambiguous(push.key, self._catalog)
            try:
                self._store(push, self._with_room(push, self._accept(push)))
            except InconsistentPush as refusal:
                refused.append((push, refusal))
        return refused

    def _was_done(self, push: Push) -> bool:
        receipt = push.receipt
        known = None if receipt is None else self._staging.pushed_under(receipt)
        if receipt is None or known is None:
            return False
        if known != receipt.body:
            raise IdempotencyConflict(
                f"another body was pushed to {push.key} with this idempotency key; "
                "give each push a key of its own, and its retries the same key"
            )
        return True

    def _accept(self, push: Push) -> Contents:
        """Return what the group has after `push`."""
        if push.refusal is not None:
            raise push.refusal
        held = self._catalog.group(push.key)
        before = contents_of(held)
        after = self._combined(push, before)
        payload = after.payload
        if payload is not push.payload:
            self._require_bounded(push.key, after)
        # The series that the group has already passed when they came.
        likeness = payload.likeness
        if likeness is None or likeness is not before.payload.likeness:
            check_against(self._catalog, push.key, push.payload, payload, push.metrics)
        return after

    def _combined(self, push: Push, before: Contents) -> Contents:
        merged = push.merged
        if merged is not None and merged.before == before:
            if isinstance(merged.after, InconsistentPush):
                raise merged.after
            return merged.after
        running = before.running_totals
        series = before.payload.layout.size + push.payload.layout.size
        if running is not None:
            series += running.layout.size
        if push.mode in MERGING and series > MERGED_AT_ONCE:
            raise TooLargeToMerge(
                f"the group {push.key} and what is pushed have {series} series; so "
                "many can only be merged if the group is pushed to alone"
            )
        is_timestamp = self._policies.is_timestamp
        return push_onto(before, push.mode, push.payload, is_timestamp, push.key)

    def _require_bounded(self, key: GroupingKey, after: Contents) -> None:
        """Raise LimitExceeded if the group would hold more than one push may bring:
        series that are only ever added to would pile up."""
        limit = self._policies.limits_of(key, self._limits).series
        size = after.payload.layout.size
        if size > limit:
            raise LimitExceeded(
                "series",
                f"the group {key} would have {size} series; the limit is "
                f"{limit}: replace it with PUT, or delete series",
            )
        most = self._limits.rendered_bytes
        held = sum([payload.bytes for payload in after if payload is not None])
        if held > most:
            raise LimitExceeded(
                "rendered_bytes",
                f"the group {key} would take {held} bytes; the limit is {most}: "
                "replace it with PUT, or delete series",
            )

    def _with_room(self, push: Push, contents: Contents) -> Group:
        """Return the group that `push` leaves. Raises LimitExceeded if there is no room
        for it."""
        if push.receipt is not None:
            self._room.require_for_row()
        group = self._group(push, push.at, None, contents, push.stale_after)
        self._room.require_for_group(group)
        return group

    def _store(self, push: Push, group: Group) -> None:
        self._staging.replace(group)
        if push.receipt is not None:
            self._staging.add_receipt(push.receipt)

    def _book(self, push: Push) -> None:
        """Note that `push` failed; what its group holds stays."""
        held = self._catalog.group(push.key)
        pushed_at = held.pushed_at if held else 0
        stale_after = held.stale_after if held else None
        # What a run left may come late.
        failed_at = max(push.at, held.failed_at if held else 0)
        contents = contents_of(held)
        group = self._group(push, pushed_at, failed_at, contents, stale_after)
        # Who pushed is told why it failed, also where there is no room to note it.
        with suppress(LimitExceeded):
            self._room.require_for_group(group)
            self._staging.replace(group)

    def book_if_possible(self, push: Push) -> None:
        """Note that `push` failed, unless its group cannot be beside others."""
        with suppress(InvalidGroupingKey):
            require_unambiguous(push.key, self._catalog)
            self._book(push)

    def _group(
        self,
        push: Push,
        pushed_at: int,
        failed_at: int | None,
        contents: Contents,
        stale_after: int | None,
    ) -> Group:
        held = self._catalog.group(push.key)
        return Group(
            # One key object for the life of a group, which may remember things.
            held.key if held else push.key,
            self._staging.revision,
            pushed_at,
            failed_at or (held.failed_at if held else 0),
            contents.payload,
            held.created_at if held else push.at,
            stale_after,
            running_totals=contents.running_totals,
        )
