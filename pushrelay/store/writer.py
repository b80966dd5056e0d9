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
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from sqlalchemy import insert

from pushrelay.changes import (
    Changes,
    EvidenceChange,
    ExpectationRecord,
    GroupChange,
    JobRecord,
    Position,
)
from pushrelay.errors import LimitExceeded, StoreUnavailable
from pushrelay.store.books import Books
from pushrelay.store.change_rows import write_changes
from pushrelay.store.engine import (
    Database,
    DatabaseErrors,
    NotAllowed,
    TooLarge,
    unavailable,
)
from pushrelay.store.pruning import prune
from pushrelay.store.reader import (
    ReadChanges,
    is_committed,
    newest_position,
    read_changes,
)
from pushrelay.store.receipts import Receipt, write_receipts
from pushrelay.store.schema import commits
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

log = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_QUEUE = 1000
"""As many writes wait at most, as with the Pushgateway."""


@dataclass(slots=True)
class Decision:
    """What a batch comes to: an answer for each write, and what changes in the store.

    An answer that is an exception is raised to whoever asked for the write.
    receipts: of the pushes among them that have an idempotency key.
    """

    answers: list[Any] = field(default_factory=list)
    changes: list[GroupChange] = field(default_factory=list)
    jobs: list[JobRecord] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    runs: list[EvidenceChange] = field(default_factory=list)
    expectations: list[ExpectationRecord] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        """Whether views have to learn of it."""
        return bool(self.changes or self.jobs or self.runs or self.expectations)


class Decider(Protocol):
    """Gives writes their meaning. All methods are called on the writer's thread."""

    def catch_up(self, read: ReadChanges) -> Position:
        """Take over what others wrote, as `read` tells it; return where that led."""

    def decide(self, writes: list[Any], revision: int, books: Books) -> Decision:
        """Say what `writes`, in this order, do to the store at `revision`."""

    def committed(self, changes: Changes) -> None:
        """Take over what was written."""


class Ticket(Protocol):
    """Stands for whoever waits for the answer to a write."""

    def done(self) -> bool:
        """Whether nobody waits any more."""


Deliver = Callable[[list[tuple[Any, Any]]], None]
"""Takes (ticket, answer) pairs of a finished batch, on the writer's thread."""


class Writer:
    """Commits writes in batches. `start` it once, `stop` finishes what waits."""

    def __init__(
        self,
        database: Database,
        decider: Decider,
        deliver: Deliver,
        observe: Callable[[float, int], None],
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._decider = decider
        self._deliver = deliver
        self._queue: SimpleQueue[tuple[Ticket, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._session: Session | None = None
        self._committed: Changes | None = None
        # Told of each commit: its seconds and its number of writes.
        self._observe = observe
        self._clock = clock
        self.committed_at = -float("inf")
        """Time of the last commit, seconds of the monotonic clock."""

    def start(self) -> None:
        """Begin to take writes."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that takes writes."""
        return self._thread.is_alive()

    def submit(self, ticket: Ticket, write: Any) -> None:
        """Queue `write`; its answer is delivered with `ticket`.

        A write whose ticket is done before its turn is dropped. Raises StoreUnavailable
        if too many wait already.
        """
        if self._queue.qsize() >= MAX_QUEUE:
            raise StoreUnavailable(
                f"{MAX_QUEUE} writes wait for the database already; try again later"
            )
        self._queue.put((ticket, write))

    def probe(self) -> None:
        """Take the write lock and let go without advancing the clock.

        Raises StoreUnavailable. May be called on any thread.
        """
        try:
            with (
                closing(self._database.open_writer()) as session,
                session.transaction(),
            ):
                newest_position(session)
        except (*DatabaseErrors, OSError) as error:
            raise unavailable(error) from error

    # --- the writer's thread ---

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            wanted = [entry for entry in batch if not entry[0].done()]
            if not wanted:
                continue
            try:
                self._deliver(self._answers(wanted))
            except Exception:
                # Whatever it is, the next batch must have its turn.
                log.exception("the answers to a batch of writes were lost")
            # While those who wait wake up: a scrape of theirs that comes before reads
            # from the database what is new.
            self._take_over()
        self._disconnect()

    def _next_batch(self) -> tuple[list[tuple[Any, Any]], bool]:
        batch: list[tuple[Any, Any]] = []
        entry = self._queue.get()
        with suppress(Empty):
            while entry is not None:
                batch.append(entry)
                if len(batch) == MAX_BATCH:
                    return batch, False
                entry = self._queue.get_nowait()
            return batch, True
        return batch, False

    def _answers(self, batch: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Return a (ticket, answer) pair for each write, whatever happens."""
        tickets = [ticket for ticket, _ in batch]
        try:
            answers = self._commit([write for _, write in batch])
        except (*DatabaseErrors, OSError) as error:
            refused = isinstance(error, (*TooLarge, *NotAllowed))
            if refused and len(batch) > 1:
                return self._answers_one_by_one(batch)
            shown = _not_storable(error) if refused else unavailable(error)
            log.error("writes failed: %s", getattr(error, "orig", None) or error)
            answers = [shown] * len(batch)
        except Exception as error:  # whoever waits must get an answer
            if len(batch) > 1:
                return self._answers_one_by_one(batch)
            log.exception("a write failed")
            answers = [error]
        return list(zip(tickets, answers, strict=True))

    def _answers_one_by_one(
        self, batch: list[tuple[Any, Any]]
    ) -> list[tuple[Any, Any]]:
        # One write that cannot be stored must not fail the others.
        return [pair for entry in batch for pair in self._answers([entry])]

    def _take_over(self) -> None:
        """Let the decider have the last commit, if it has not."""
        changes, self._committed = self._committed, None
        if changes is not None:
            self._decider.committed(changes)

    def _commit(self, writes: list[Any]) -> list[Any]:
        self._take_over()
        started = time.monotonic()
        attempt = _Attempt(secrets.token_bytes(16))
        try:
            self._write(writes, attempt)
        except DatabaseErrors:
            self._disconnect()
            if attempt.changes is None or not self._was_committed(attempt.nonce):
                raise
            log.warning("a commit was confirmed only when it was looked up again")
        self._committed = attempt.changes
        self.committed_at = time.monotonic()
        self._observe(self.committed_at - started, len(writes))
        return attempt.answers

    def _write(self, writes: list[Any], attempt: _Attempt) -> None:
        session = self._connect()
        with session.transaction():
            since = self._decider.catch_up(partial(read_changes, session))
            revision = since.revision + 1
            now = self._clock()
            decision = self._decider.decide(writes, revision, Books(session, now))
            attempt.answers = decision.answers
            if not decision.is_change:
                return
            commit = {"revision": revision, "nonce": attempt.nonce, "at": now}
            session.run(_INSERT_COMMIT, commit)
            changes = Changes(
                since,
                Position(revision, attempt.nonce),
                decision.changes,
                decision.jobs,
                decision.runs,
                decision.expectations,
            )
            write_changes(session, changes)
            write_receipts(session, decision.receipts, now)
            prune(session, revision, now)
            attempt.changes = changes

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


_INSERT_COMMIT = sql(insert(commits))


def _not_storable(error: Exception) -> Exception:
    """Return the answer to a write that no trying again will store."""
    if isinstance(error, TooLarge):
        return LimitExceeded(
            "database", f"the database does not take so large a group: {error}"
        )
    return error
