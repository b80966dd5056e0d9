"""What was pushed, family by family, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pushrelay.groups import Group, StoredFamily
from pushrelay.web.pages.layout import cut, moment

FAMILIES_PER_GROUP = 200
SERIES_BYTES = 8 * 1024
"""How much of a family's text is shown."""

NAME_CHARACTERS = 200
"""How much of a name or of a label's value is shown."""

HELP_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """A family as a page shows it; `series` may be cut. is_withheld: whether it has
    gone stale, so that scrapes do not show it."""

    name: str
    type: str
    help: str
    pushed_at: datetime | None
    size: int
    series: str
    is_cut: bool
    is_withheld: bool


def family_entries(group: Group) -> list[FamilyEntry]:
    """Return the families of `group` by name, not all of them if they are many."""
    families = sorted(group.families.values(), key=lambda family: family.name)
    return [
        _entry(family, is_withheld=family.name in group.withheld)
        for family in families[:FAMILIES_PER_GROUP]
    ]


def _entry(family: StoredFamily, *, is_withheld: bool) -> FamilyEntry:
    series = family.series
    is_cut = len(series) > SERIES_BYTES
    if is_cut:
        # Between two lines, if the first one is not too long already.
        series = series[: series.rfind(b"\n", 0, SERIES_BYTES) + 1 or SERIES_BYTES]
    return FamilyEntry(
        name=cut(family.name, NAME_CHARACTERS),
        type=family.type.name.lower().replace("_", " "),
        help=cut(family.help, HELP_CHARACTERS),
        pushed_at=moment(family.pushed_at),
        size=family.size,
        series=series.decode(errors="ignore"),
        is_cut=is_cut,
        is_withheld=is_withheld,
    )
