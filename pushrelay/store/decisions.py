"""What the writer is told of the writes that it commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from pushrelay.changes import (
    Changes,
    EvidenceChange,
    ExpectationRecord,
    GroupChange,
    JobRecord,
    Position,
)
from pushrelay.store.books import Books
from pushrelay.store.reader import ReadChanges
from pushrelay.store.receipts import Receipt


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
