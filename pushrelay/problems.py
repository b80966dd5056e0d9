"""What can be wrong with a push, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Errors, on which keys depend, have problems.
    from pushrelay.grouping_key import GroupingKey


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a push; None where a field says nothing.

    reason: a short word for the kind of problem. detail: a sentence for the pusher.
    family: name of the pushed family. series: the pushed series as it would be exposed,
        name and labels; None if the problem is the family's.
    line: of the body, from 1, where the series or the family stands. first_line: that
        of the series' first appearance, if the body repeats it.
    group: that was pushed to. other_group: that holds what the push collides with, or
        OWN_METRICS; other_key: the key of the former.
    type: the family's. other_type: the type of what it collides with.
    """

    reason: str
    detail: str
    family: str | None = None
    series: str | None = None
    line: int | None = None
    first_line: int | None = None
    group: str | None = None
    other_group: str | None = None
    type: str | None = None
    other_type: str | None = None
    other_key: GroupingKey | None = None

    def members(self) -> dict[str, str | int]:
        """Return the fields that say something to others, by name."""
        said = {name: getattr(self, name) for name in MEMBERS}
        return {name: value for name, value in said.items() if value is not None}

    def told_to(self, may_see: Callable[[GroupingKey], bool]) -> Problem:
        """Return what may be told to somebody, who may not see each group."""
        if self.other_key is None or may_see(self.other_key):
            return self
        detail = self.detail.replace(f"group {self.other_group}", "another group")
        return replace(self, detail=detail, other_group=None, other_key=None)


MEMBERS = [each.name for each in fields(Problem) if each.name != "other_key"]
"""The fields that others are told."""

OWN_METRICS = "the relay's own metrics"
"""What stands for a group where the relay itself holds a family."""
