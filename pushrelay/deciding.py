"""Decides the writes that the store's writer is given, and keeps the view in step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pushrelay.batch import Batch
from pushrelay.changes import Changes, Position
from pushrelay.config import Limits
from pushrelay.policies import Policies
from pushrelay.staging import Staging
from pushrelay.store.books import Books
from pushrelay.store.decisions import Decision
from pushrelay.store.reader import ReadChanges
from pushrelay.view.view import View
from pushrelay.writes import Write

log = logging.getLogger(__name__)

HELD_UP_SECONDS = 1.0
"""How long who shows the view waits for what is decided."""


class ViewDecider:
    """Gives writes their meaning on the writer's thread, and keeps the view in step.

    The view is changed by one thread at a time: `_lock` orders all that do. It is not
    held while the database is asked, for no scrape should wait for a disk; but for what
    a decision looks up there, which scrapes do without if it takes long.

    database_bytes: says how large the database is, at once.
    """

    def __init__(
        self,
        view: View,
        clock: Callable[[], int],
        limits: Limits | None = None,
        database_bytes: Callable[[], int] = int,
    ) -> None:
        self._view = view
        self._clock = clock
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._is_advancing = False
        self._deciding_since = float("inf")
        self._database_bytes = database_bytes

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
        """Whether something is to be shown otherwise now."""
        if time.monotonic() - self._deciding_since > HELD_UP_SECONDS:
            return False
        # In this order: what is not due any more is being advanced, or is shown.
        return self._view.is_due(self._clock()) or self._is_advancing

    def advance(self) -> None:
        """Let go stale, and let be forgotten, what is due; show what runs come to.

        It is done later if a decision takes long.
        """
        while self._lock.acquire(timeout=HELD_UP_SECONDS):
            began = time.monotonic()
            try:
                if self._advance():
                    return
            finally:
                self._lock.release()
            # Others shall have as much of the interpreter as this.
            time.sleep(time.monotonic() - began)

    def _advance(self) -> bool:
        """Do a part of `advance`; return whether it was the last."""
        self._is_advancing = True
        try:
            self._view.advance(self._clock())
            return self._view.settle()
        finally:
            self._is_advancing = False

    def follow(self, policies: Policies) -> None:
        """From now on, let groups go stale and be forgotten by `policies`."""
        with self._lock:
            self._view.follow(policies)

    def decide(self, writes: list[Write], revision: int, books: Books) -> Decision:
        with self._lock:
            self._deciding_since = time.monotonic()
            try:
                return self._decide(writes, revision, books)
            finally:
                self._deciding_since = float("inf")

    def _decide(self, writes: list[Write], revision: int, books: Books) -> Decision:
        # Read here: who waited for the lock comes after a later moment.
        self._view.advance(self._clock())
        staging = Staging(self._view, revision, books)
        policies = self._view.standings.policies
        batch = Batch(staging, policies, self._limits, self._database_bytes())
        for write in writes:
            batch.add(write)
        return staging.decision
