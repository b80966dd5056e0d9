"""Histories by hand: what somebody did, and what others saw."""

from __future__ import annotations

from dataclasses import replace

from torture.checker import check
from torture.history import (
    Contents,
    History,
    Kind,
    LostTail,
    Operation,
    Outcome,
    Scrape,
)
from torture.violations import Wrong

GROUP, OTHER = "groups c1.1", "groups c2.1"
SUM, RUNS = "sums 0 c1", "runs c1"


def state(value: int, done: int | None = None) -> Contents:
    """Return what a group with two families shows."""
    return (
        ("torture_done_total counter", str(value if done is None else done)),
        ("torture_state gauge", str(value)),
    )


def added(value: int) -> Contents:
    return (("torture_added_total counter", str(value)),)


def ran(value: int) -> Contents:
    return (("pushrelay_job_runs_total counter", str(value)),)


def put(at: float, value: int, cell: str = GROUP, **how: object) -> Operation:
    return operation(Kind.PUT, cell, state(value), at, **how)


def add(at: float, amount: int, **how: object) -> Operation:
    return operation(Kind.ADD, SUM, added(amount), at, **how)


def finish(at: float, **how: object) -> Operation:
    return operation(Kind.FINISH, RUNS, ran(1), at, id=f"run at {at}", **how)


def delete(at: float, **how: object) -> Operation:
    return operation(Kind.DELETE, GROUP, (), at, **how)


def operation(
    kind: Kind,
    cell: str,
    pushed: Contents,
    at: float,
    *,
    lasts: float = 0.5,
    outcome: Outcome = Outcome.ACKNOWLEDGED,
    id: str = "",
    tries: int = 1,
    last: float = 0.0,
) -> Operation:
    return Operation(
        1, kind, cell, pushed, at, at + lasts, outcome, tries, last or at, "told", id
    )


class Observer:
    """Somebody who scrapes, and what they see."""

    def __init__(self, name: str = "replica 0", process: str | None = "1") -> None:
        self.name, self.process = name, process
        self._cells: dict[str, Contents] = {}

    def sees(
        self,
        at: float,
        cells: dict[str, Contents],
        *,
        fresh: bool = True,
        **more: object,
    ) -> Scrape:
        before, self._cells = self._cells, cells
        gone: dict[str, Contents] = dict.fromkeys(before.keys() - cells.keys(), ())
        changed = {c: now for c, now in cells.items() if before.get(c, ()) != now}
        scrape = Scrape(
            self.name, self.process, at, at + 0.1, fresh, None, changed | gone
        )
        return replace(scrape, **more)  # type: ignore[arg-type]  # as its fields are


def history(*happened: object) -> History:
    made = History()
    for each in happened:
        made.note(each)  # type: ignore[arg-type]  # whatever it is
    return made


def found(*happened: object) -> list[Wrong]:
    return [violation.wrong for violation in check(history(*happened)).violations]


def lost_tail(
    at: float, survived: dict[str, Contents], *, safe_at: float = 0.0
) -> LostTail:
    return LostTail(safe_at, at, at + 1, 3, survived)
