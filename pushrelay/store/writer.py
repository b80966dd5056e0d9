"""The one thread that writes: batched commits in the order of the store clock.

It takes all writes that wait, has them decided, and commits the outcome in one
transaction. What a write means is not known here: the `Decider` says.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from pushrelay.changes import Changes, Position
from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded, StoreUnavailable
from pushrelay.store.books import Books
from pushrelay.store.change_rows import write_changes
from pushrelay.store.decisions import Decider
from pushrelay.store.engine import (
    Database,
    DatabaseErrors,
    NotAllowed,
    TooLarge,
    unavailable,
)
from pushrelay.store.pruning import Pruner
from pushrelay.store.reader import (
    FEW,
    FarBehind,
    is_committed,
    newest_position,
    read_few_changes,
)
from pushrelay.store.receipts import write_receipts
from pushrelay.store.session import Session
from pushrelay.store.store_clock import advance, write_traceless
from pushrelay.store.write_queue import Batch, Ticket, WriteQueue

log = logging.getLogger(__name__)

READ_UNDER_LOCK = (FEW, 4 * FEW, 16 * FEW)
"""As many changed rows of others are read at most while nobody else can write, each
time that it is tried. Where there are more, they are read without the lock before the
next time, so that those to come are of this moment."""

Deliver = Callable[[list[tuple[Any, Any]]], None]
"""Takes (ticket, answer) pairs of a finished batch, on the writer's thread."""

AddMore = Callable[[Batch], None]


class Writer:
    """Commits writes in batches. `start` it once, `stop` finishes what waits."""

    def __init__(
        self,
        database: Database,
        decider: Decider,
        deliver: Deliver,
        refresh: Callable[[], None],
        observe: Callable[[float, int], None],
        clock: Callable[[], int],
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._decider = decider
        self._deliver = deliver
        # Has the decider catch up by a reading without the lock.
        self._refresh = refresh
        self._queue = WriteQueue(limits or Limits())
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._session: Session | None = None
        self._committed: Changes | None = None
        self._taking_over = threading.Lock()
        self._others_wrote = False
        self._pruner = Pruner()
        # Told of each commit: its seconds and its number of writes.
        self._observe = observe
        self._clock = clock
        self._failed_at = -float("inf")
        self.committed_at = -float("inf")
        """Time of the last commit, a probe's too, seconds of the monotonic clock."""

    def start(self) -> None:
        """Begin to take writes."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        self._queue.stop()
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that takes writes."""
        return self._thread.is_alive()

    def submit(self, ticket: Ticket, write: Any, size: int = 0) -> None:
        """Queue `write` of so many bytes; its answer is delivered with `ticket`.

        If its ticket is done before its turn, it is dropped. Raises Overloaded.
        """
        self._queue.put(ticket, write, size)

    def probe(self, size: int = 16) -> None:
        """Commit so many bytes that nobody sees, without advancing the clock.

        Raises StoreUnavailable. May be called on any thread.
        """
        try:
            with (
                closing(self._database.open_writer()) as session,
                session.transaction(),
            ):
                newest_position(session)
                write_traceless(session, size)
        except (*DatabaseErrors, OSError) as error:
            raise unavailable(self._database, error) from error
        self.committed_at = time.monotonic()

    @property
    def has_news(self) -> bool:
        """Whether the decider does not have the last commit."""
        return self._committed is not None

    def take_over(self) -> None:
        """Let the decider have the last commit, if it has not; on any thread."""
        with self._taking_over:
            if self._committed is not None:
                self._decider.committed(self._committed)
                self._committed = None

    # --- the writer's thread ---

    def _run(self) -> None:
        while not self._queue.is_stopped:
            batch = self._queue.next_batch()
            if not batch:
                continue
            try:
                self._deliver(self._answers(batch, self._queue.add_waiting))
            except Exception:
                # Whatever it is, the next batch must have its turn.
                log.exception("the answers to a batch of writes were lost")
            # While those who wait wake up: a scrape of theirs that comes before reads
            # from the database what is new, or calls this itself.
            self.take_over()
        self._disconnect()

    def _answers(self, batch: Batch, add_more: AddMore) -> list[tuple[Any, Any]]:
        """Return a (ticket, answer) pair for each write, whatever happens.

        add_more: adds others to the batch once it is its turn.
        """
        try:
            answers = self._commit(batch, add_more)
        except StoreUnavailable as error:
            self._note_failure(error)
            answers = [error] * len(batch)
        except (*DatabaseErrors, OSError) as error:
            refused = isinstance(error, (*TooLarge, *NotAllowed))
            if refused and len(batch) > 1:
                return self._answers_one_by_one(batch)
            if refused:
                shown = _not_storable(error)
                log.error("a write failed: %s", shown)
            else:
                shown = unavailable(self._database, error)
                self._note_failure(shown)
            answers = [shown] * len(batch)
        except Exception as error:  # whoever waits must get an answer
            if len(batch) > 1:
                return self._answers_one_by_one(batch)
            log.exception("a write failed")
            answers = [error]
        return [
            (ticket, answer) for (ticket, _), answer in zip(batch, answers, strict=True)
        ]

    def _note_failure(self, error: Exception) -> None:
        """Log it once until there is a commit again: those who wait are told, and the
        log is told of them."""
        if self.committed_at >= self._failed_at:
            log.error("writes fail from now on: %s", error)
        self._failed_at = time.monotonic()

    def _answers_one_by_one(self, batch: Batch) -> list[tuple[Any, Any]]:
        # One write that cannot be stored must not fail the others.
        return [
            pair
            for ticket, write in batch
            # Each may take long, and meanwhile others have given up.
            if not ticket.done()
            for pair in self._answers([(ticket, write)], _add_none)
        ]

    def _commit(self, batch: Batch, add_more: AddMore) -> list[Any]:
        self.take_over()
        started = time.monotonic()
        attempt = _Attempt(secrets.token_bytes(16))
        try:
            self._write(batch, add_more, attempt)
        except DatabaseErrors:
            self._disconnect()
            if attempt.changes is None or not self._was_committed(attempt.nonce):
                raise
            log.warning("a commit was confirmed only when it was looked up again")
        self._committed = attempt.changes
        ended = time.monotonic()
        if attempt.changes is not None:
            self.committed_at = ended
        self._observe(ended - started, len(batch))
        return attempt.answers

    def _write(self, batch: Batch, add_more: AddMore, attempt: _Attempt) -> None:
        for most in READ_UNDER_LOCK:
            try:
                self._write_next(batch, add_more, attempt, most)
            except FarBehind:
                # It may be another history.
                self._pruner = Pruner()
                # The others need not wait for it.
                self._refresh()
            else:
                return
        raise StoreUnavailable(
            "the other relays of the database write more than this one can read"
        )

    def _write_next(
        self, batch: Batch, add_more: AddMore, attempt: _Attempt, most: int
    ) -> None:
        """Write at the next revision; `most`: see READ_UNDER_LOCK. Raises FarBehind."""
        session = self._connect()
        with session.transaction():
            since = self._catch_up(session, most)
            # While the others had their turns, more came.
            add_more(batch)
            writes = [write for _, write in batch]
            revision = since.revision + 1
            now = self._clock()
            decision = self._decider.decide(writes, revision, Books(session, now))
            attempt.answers = decision.answers
            if not decision.is_change:
                return
            position = Position(revision, attempt.nonce)
            advance(session, position, now)
            changes = Changes(
                since,
                position,
                decision.changes,
                decision.jobs,
                decision.runs,
                decision.expectations,
            )
            write_changes(session, changes)
            write_receipts(session, decision.receipts, now)
            self._pruner.prune(session, revision, now)
            attempt.changes = changes

    def _catch_up(self, session: Session, most: int) -> Position:
        def read(since: Position | None) -> Changes | None:
            # Where others write, they mostly have done so since the last time.
            is_likely, self._others_wrote = self._others_wrote, True
            changes = read_few_changes(session, since, most, is_likely=is_likely)
            self._others_wrote = changes is not None
            return changes

        return self._decider.catch_up(read)

    def _was_committed(self, nonce: bytes) -> bool:
        # Only with the lock is the answer final: until then the transaction whose
        # confirmation was lost may still be on its way.
        with (
            closing(self._database.open_writer()) as session,
            session.transaction(),
        ):
            return is_committed(session, nonce)

    def _connect(self) -> Session:
        kept = self._session
        if kept is not None and not kept.is_current:
            self._disconnect()
        if self._session is None:
            self._session = self._database.open_writer()
            self._pruner = Pruner()
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(*DatabaseErrors):
                session.discard()


@dataclass(slots=True)
class _Attempt:
    """One try to commit a batch; `changes` are set once they are ready to commit."""

    nonce: bytes
    answers: list[Any] = field(default_factory=list)
    changes: Changes | None = None


def _add_none(_batch: Batch) -> None:
    """Leave a batch as it is."""


def _not_storable(error: Exception) -> Exception:
    """Return the answer to a write that no trying again will store."""
    if isinstance(error, TooLarge):
        return LimitExceeded(
            "database", f"the database does not take so large a group: {error}"
        )
    return error
