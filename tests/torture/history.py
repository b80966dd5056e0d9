"""What was done to relays, and what they showed meanwhile: what a checker reads.

All that one client alone writes, one operation after the other, is a cell: a group, its
share of a sum, or the count of its runs. So the states that a cell may ever have follow
from the operations on it. Times are seconds of this process's monotonic clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

Contents = tuple[tuple[str, str], ...]
"""What is in a cell: each family with its type, and the value of all its samples. Empty
if it is not there. Values of a family that differ are all named."""


class Kind(StrEnum):
    """What an operation is to do to its cell."""

    PUT = "replace"
    POST = "update"
    DELETE = "delete"
    CONTEST = "replace with a contested type"
    ADD = "add"
    START = "start a run"
    FINISH = "finish a run"


class Outcome(StrEnum):
    """UNKNOWN: it may have been done, or may yet be, once."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked for, from its first try to the last answer.

    pushed: what it writes, adds or replaces. last_begun: when the last of its tries
    began, each of which may have been done, but they count once. told: how it ended,
    for people; with a run's finish, `id` is that of the run.
    """

    client: int
    kind: Kind
    cell: str
    pushed: Contents
    begun: float
    ended: float
    outcome: Outcome
    tries: int = 1
    last_begun: float = 0.0
    told: str = ""
    id: str = ""

    @property
    def is_acknowledged(self) -> bool:
        return self.outcome is Outcome.ACKNOWLEDGED

    def applied(self, before: Contents) -> Contents:
        """Return what is in the cell after it, if that was `before`."""
        if self.kind in (Kind.PUT, Kind.CONTEST):
            return self.pushed
        if self.kind is Kind.DELETE:
            return ()
        if self.kind is Kind.START:
            return before
        held = dict(before)
        for family, value in self.pushed:
            is_new = self.kind is Kind.POST or family not in held
            held[family] = value if is_new else str(int(held[family]) + int(value))
        return tuple(sorted(held.items()))

    def __str__(self) -> str:
        what = ", ".join(f"{family}={value}" for family, value in self.pushed)
        return (
            f"client {self.client}: {self.kind.value} {self.cell} [{what}] from "
            f"{self.begun:.3f} to {self.ended:.3f}: {self.outcome.value} "
            f"({self.told}, {self.tries} tries)"
        )


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one page showed.

    observer: who asked whom, one page after the other. process: that answered; None if
    it may be any. is_fresh: whether it says that it is from a store that answers.
    changed: the cells that are not as in the observer's scrape before. problems: what
    is wrong with the page by itself.
    """

    observer: str
    process: str | None
    begun: float
    ended: float
    is_fresh: bool
    revision: int | None
    changed: dict[str, Contents]
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        fresh = "fresh" if self.is_fresh else "perhaps old"
        return (
            f"scrape by {self.observer} (process {self.process}, revision "
            f"{self.revision}, {fresh}) from {self.begun:.3f} to {self.ended:.3f}"
        )


@dataclass(frozen=True, slots=True)
class LostTail:
    """A standby was promoted that lacks the last commits.

    safe_at: what was acknowledged until then had reached it. dead_at: nothing was
    committed to the former primary after. settled_at: all relays have written to the
    promoted one. survived: what was in all cells when it was promoted, at `revision`.
    """

    safe_at: float
    dead_at: float
    settled_at: float
    revision: int
    survived: dict[str, Contents]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to relays or to their database, until it was well."""

    name: str
    begun: float
    ended: float


@dataclass(slots=True)
class Ending:
    """What a replica showed when all was over: its page without its own metrics, and
    the id and state of each run that it lists."""

    replica: str
    page: str
    runs: list[tuple[str, str]]


class History:
    """What many threads note, in the order in which they do."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.scrapes: list[Scrape] = []
        self.faults: list[Fault] = []
        self.lost_tails: list[LostTail] = []
        self.endings: list[Ending] = []
        self._lock = threading.Lock()

    def note(self, happened: Operation | Scrape | Fault | LostTail | Ending) -> None:
        """Add what happened."""
        notes: dict[type, Callable[..., None]] = {
            Operation: self.operations.append,
            Scrape: self.scrapes.append,
            Fault: self.faults.append,
            LostTail: self.lost_tails.append,
            Ending: self.endings.append,
        }
        with self._lock:
            notes[type(happened)](happened)

    @contextmanager
    def kept_at(self, path: Path) -> Iterator[None]:
        """If what is done meanwhile fails, write all of it to a file, and say so."""
        try:
            yield
        except BaseException as failure:
            self.save(path)
            failure.add_note(f"The history is in {path}.")
            raise

    def save(self, path: Path) -> None:
        """Write all of it to a file, a JSON object a line."""
        with path.open("w") as file:
            for name in ("faults", "lost_tails", "operations", "scrapes", "endings"):
                for happened in getattr(self, name):
                    file.write(json.dumps({"of": name, **asdict(happened)}) + "\n")
