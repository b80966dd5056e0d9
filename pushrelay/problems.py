"""What can be wrong with a push, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a push; None where a field says nothing.

    reason: a short word for the kind of problem. detail: a sentence for the pusher.
    family: name of the pushed family. series: the pushed series as it would be exposed,
        name and labels; None if the problem is the family's.
    line: of the body, from 1, where the series or the family stands. first_line: that
        of the series' first appearance, if the body repeats it.
    group: that was pushed to. other_group: that holds what the push collides with, or
        OWN_METRICS.
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

    def members(self) -> dict[str, str | int]:
        """Return the fields that say something, by name."""
        fields = asdict(self).items()
        return {name: value for name, value in fields if value is not None}


OWN_METRICS = "the relay's own metrics"
"""What stands for a group where the relay itself holds a family."""
