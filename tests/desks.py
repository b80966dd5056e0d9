"""A writer by itself, and what it answers to those who wait."""

from __future__ import annotations

import time
from queue import SimpleQueue
from typing import Any

from builders import group_of, key_of
from sqlalchemy import func, select
from waiting import wait_until

from pushrelay.changes import Changes, Emptied, Position
from pushrelay.groups import Group
from pushrelay.store.books import Books
from pushrelay.store.decisions import Decision
from pushrelay.store.engine import Database
from pushrelay.store.reader import ReadChanges, read_snapshot
from pushrelay.store.writer import Writer

PATIENCE = 10.0


class PlainDecider:
    """Does what the writes say: groups are stored, keys deleted, exceptions answered,
    and what can be called is called."""

    def __init__(self) -> None:
        self.position: Position | None = None
        self.groups: dict[bytes, Group] = {}
        self.batches: list[list[Any]] = []
        self.taken_over: list[Changes] = []
        self.whole_readings = 0

    def catch_up(self, read: ReadChanges) -> Position:
        changes = read(self.position)
        if changes is not None:
            self._apply(changes)
        assert self.position is not None
        return self.position

    def decide(self, writes: list[Any], revision: int, books: Books) -> Decision:
        self.batches.append(list(writes))
        decision = Decision()
        for write in writes:
            if isinstance(write, Exception):
                decision.answers.append(write)
                continue
            if callable(write):
                write()
            elif isinstance(write, Group):
                decision.changes.append(at(write, revision))
            else:
                decision.changes.append(Emptied(write.id, revision))
            decision.answers.append(None)
        return decision

    def committed(self, changes: Changes) -> None:
        self.taken_over.append(changes)
        self._apply(changes)

    def _apply(self, changes: Changes) -> None:
        if changes.since is None:
            self.groups = {}
            self.whole_readings += 1
        for change in changes.groups:
            if isinstance(change, Group):
                self.groups[change.key.id] = change
            else:
                self.groups.pop(change.id, None)
        self.position = changes.position

    @property
    def jobs(self) -> dict[str, str]:
        """The series text of each job's family `x`."""
        return {
            group.key.labels[0][1]: group.families["x"].series.decode()
            for group in self.groups.values()
        }


def at(group: Group, revision: int) -> Group:
    return Group(group.key, revision, group.pushed_at, group.failed_at, group.payload)


def x(job: str, value: int = 1) -> Group:
    return group_of(f"x {value}", key_of(job))


class Number(int):
    """A ticket; whoever holds it waits for ever."""

    def done(self) -> bool:
        return False


class Leaving(Number):
    """A ticket that somebody waits with until `has_left`."""

    has_left = False

    def done(self) -> bool:
        return self.has_left


class Abandoned(Number):
    """A ticket that nobody waits with any more."""

    def done(self) -> bool:
        return True


class Desk:
    """A writer, and what it answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.decider = PlainDecider()
        self.deliveries: SimpleQueue[list[tuple[Any, Any]]] = SimpleQueue()
        self.observed: list[tuple[float, int]] = []
        self.now = time.time_ns()
        self.writer = Writer(
            database,
            self.decider,
            self.deliveries.put,
            self.refresh,
            lambda seconds, writes: self.observed.append((seconds, writes)),
            lambda: self.now,
        )
        self.started = False
        self.refresh()

    def write(self, *writes: Any) -> list[Any]:
        """Have `writes` done, in one batch if the writer is not yet started; return
        the answers in the order of the writes."""
        for ticket, write in enumerate(writes):
            self.writer.submit(Number(ticket), write)
        if not self.started:
            self.started = True
            self.writer.start()
        answers: dict[Any, Any] = {}
        while len(answers) < len(writes):
            answers |= dict(self.deliveries.get(timeout=PATIENCE))
        # Whoever waits is answered before.
        wait_until(lambda: self.writer._committed is None, "that it is taken over")
        return [answers[ticket] for ticket in range(len(writes))]

    def refresh(self) -> None:
        """Let the decider know what others wrote."""
        self.decider.catch_up(lambda since: read_snapshot(self.database, since))

    def stored(self) -> dict[str, str]:
        """The series text of each job's family `x`, as another relay reads it."""
        other = PlainDecider()
        other.catch_up(lambda since: read_snapshot(self.database, since))
        return other.jobs

    def count(self, table: Any) -> int:
        with self.database.snapshot() as connection:
            found: int = connection.execute(
                select(func.count()).select_from(table)
            ).scalar_one()
            return found
