"""What can be wrong in a history, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from torture.history import Contents, Operation


class Wrong(StrEnum):
    """What a checker looks for, as the report names it."""

    LOST = "an acknowledged operation is lost"
    TAIL = "what a standby lacked is no tail: an earlier commit is lost, a later is not"
    TORN = "half of a push is shown, or what nobody pushed"
    SUM = "an addition or a run counts not once"
    STALE = "a scrape does not show what was acknowledged before it"
    BACK = "a scrape is older than one before it"
    MIXED = "a page is of no one moment: it lacks an earlier commit than it shows"
    TYPES = "a name has two types"
    REFUSED = "an operation is refused that nothing stands against"
    DISAGREE = "replicas do not agree in the end"
    RUNS = "a reported run is not listed once as finished"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be. operations: those in question."""

    wrong: Wrong
    text: str
    operations: tuple[Operation, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.wrong.value}: {self.text}"]
        return "\n".join([*lines, *(f"    {each}" for each in self.operations)])


def shown(contents: Contents) -> str:
    """Return `contents` for people."""
    told = ", ".join(f"{family}={value}" for family, value in contents)
    return f"[{told}]" if told else "nothing"


def what_is_strange(contents: Contents, states: Sequence[Contents]) -> Wrong:
    """Say what is wrong with `contents` that are none of the states of their cell."""
    values = [value for _, value in contents]
    if any(not value.isdigit() for value in values):
        return Wrong.TORN
    if values in ([value for _, value in state] for state in states):
        return Wrong.TYPES
    if len(set(values)) == 1 and any(_adds_up(family) for family, _ in contents):
        return Wrong.SUM
    return Wrong.TORN


def _adds_up(family: str) -> bool:
    return family.startswith(("torture_added", "pushrelay_job_runs"))
