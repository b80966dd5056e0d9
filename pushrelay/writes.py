"""What writes mean: pushes, deletions, the wipe, and how a batch of them is decided."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass

from pushrelay.aggregation import Mode, combine
from pushrelay.changes import Changes, Emptied, Position
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.errors import InconsistentPush, InvalidRequest
from pushrelay.exposition.stored import from_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY, Group, Payload
from pushrelay.model import Metric, MetricFamily
from pushrelay.store.reader import ReadChanges
from pushrelay.store.writer import Decision
from pushrelay.telemetry import OWN_TYPES
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Push:
    """One write to one group.

    payload: the families it brings. at: Unix nanoseconds. families: the same as they
    were read, None where that was not needed. refusal: set if the push is not
    acceptable whatever else is stored, so that it is only booked as a failure.
    """

    key: GroupingKey
    mode: Mode
    at: int
    payload: Payload
    families: list[MetricFamily] | None = None
    refusal: InconsistentPush | None = None

    def metrics(self, at: int) -> list[Metric]:
        """Return the metrics of the family at a position of the payload."""
        if self.families is not None:
            return self.families[at].metrics
        return from_stored(self.payload.family(at)).metrics


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of one group, if it exists."""

    key: GroupingKey


@dataclass(frozen=True, slots=True)
class Wipe:
    """The end of all groups."""


Write = Push | Delete | Wipe


def is_timestamp_series(name: str) -> bool:
    """Whether pushed values of the family `name` are points in time."""
    return name.endswith(("_timestamp_seconds", "_unixtime")) or "_last_success" in name


class ViewDecider:
    """Gives writes their meaning on the writer's thread, and keeps the view in step.

    The view is changed by one thread at a time: `_lock` orders the writer and the
    refresher. It is not held during a commit, for no scrape should wait for a disk.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()

    def catch_up(self, read: ReadChanges) -> Position:
        with self._lock:
            changes = read(self._view.position)
            if changes is not None:
                self._apply(changes)
            position = self._view.position
        assert position is not None  # noqa: S101  # the first reading always brings one
        return position

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

    def decide(self, writes: list[Write], revision: int) -> Decision:
        with self._lock:
            overlay = Overlay(self._view, OWN_TYPES)
            batch = _Batch(overlay, revision)
            for write in writes:
                batch.add(write)
        return batch.decision


class _Batch:
    """The writes of one commit, each decided in view of those before it."""

    def __init__(self, overlay: Overlay, revision: int) -> None:
        self._overlay = overlay
        self._revision = revision
        self.decision = Decision()

    def add(self, write: Write) -> None:
        """Decide `write`: note its answer and what it changes."""
        answer: Exception | None = None
        try:
            if isinstance(write, Push):
                answer = self._push(write)
            elif isinstance(write, Delete):
                self._empty(write.key)
            else:
                for key in self._overlay.all_keys():
                    self._empty(key)
        except InvalidRequest as error:
            answer = error
        except Exception as error:
            # Whatever is wrong with one push must not fail the rest of its batch.
            log.exception("a write could not be decided")
            answer = error
        self.decision.answers.append(answer)

    def _push(self, push: Push) -> InconsistentPush | None:
        require_unambiguous(push.key, self._overlay)
        held = self._overlay.group(push.key)
        # One key object for the life of a group, which may remember things.
        key = held.key if held else push.key
        try:
            payload = self._accept(push, held)
        except InconsistentPush as refusal:
            pushed_at, kept = (held.pushed_at, held.payload) if held else (0, EMPTY)
            self._put(key, pushed_at, push.at, kept)
            return refusal
        self._put(key, push.at, held.failed_at if held else 0, payload)
        return None

    def _accept(self, push: Push, held: Group | None) -> Payload:
        if push.refusal is not None:
            raise push.refusal
        before = held.payload if held else EMPTY
        after = combine(push.mode, before, push.payload, is_timestamp_series)
        # The series that the group has already passed when they came.
        if after.likeness is None or after.likeness is not before.likeness:
            check_against(self._overlay, push.key, push.payload, after, push.metrics)
        return after

    def _put(
        self, key: GroupingKey, pushed_at: int, failed_at: int, payload: Payload
    ) -> None:
        group = Group(key, self._revision, pushed_at, failed_at, payload)
        self._overlay.put(key, group)
        self.decision.changes.append(group)

    def _empty(self, key: GroupingKey) -> None:
        if self._overlay.group(key) is not None:
            self._overlay.put(key, None)
            self.decision.changes.append(Emptied(key.id, self._revision))
