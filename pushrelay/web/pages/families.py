"""What was pushed, family by family, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pushrelay.freshness import IsTimestamp
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, StoredFamily
from pushrelay.web.pages.layout import cut, moment
from pushrelay.web.pages.series import Values, values_of

FAMILIES_PER_GROUP = 200
SERIES_BYTES = 8 * 1024
"""How much of a family's text is shown."""

SERIES_PER_FAMILY = 20
"""So many of a family's series are shown as a table, or drawn."""

NAME_CHARACTERS = 200
"""How much of a name or of a label's value is shown."""

HELP_CHARACTERS = 2_000
LABELS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """A family as a page shows it.

    values: empty where it is too large; then series is its text, or the beginning of
    it. is_withheld: whether it has gone stale, so that scrapes do not show it.
    """

    name: str
    type: str
    help: str
    pushed_at: datetime | None
    size: int
    series: str
    is_cut: bool
    is_withheld: bool
    values: Values


def other_labels(key: GroupingKey) -> list[tuple[str, str]]:
    """Return the labels of `key` but the job, as much as is shown of them."""
    return [
        (cut(name, NAME_CHARACTERS), cut(value, NAME_CHARACTERS))
        for name, value in key.labels[1 : 1 + LABELS_SHOWN]
    ]


def family_entries(
    group: Group, is_timestamp: IsTimestamp, most: int = FAMILIES_PER_GROUP
) -> list[FamilyEntry]:
    """Return `most` of the families of `group` by name, with their values; those that
    are too large as text."""
    families = sorted(group.families.values(), key=lambda family: family.name)
    return [_entry(group, family, is_timestamp) for family in families[:most]]


def _entry(
    group: Group, family: StoredFamily, is_timestamp: IsTimestamp
) -> FamilyEntry:
    values = values_of(
        group, family, SERIES_PER_FAMILY, is_timestamp=is_timestamp(family.name)
    )
    series, is_cut = (b"", False) if values else _cut(family.series)
    return FamilyEntry(
        name=cut(family.name, NAME_CHARACTERS),
        type=family.type.name.lower().replace("_", " "),
        help=cut(family.help, HELP_CHARACTERS),
        pushed_at=moment(family.pushed_at),
        size=family.size,
        series=series.decode(errors="ignore"),
        is_cut=is_cut,
        is_withheld=family.name in group.withheld,
        values=values or Values(),
    )


def _cut(series: bytes) -> tuple[bytes, bool]:
    """Return the beginning of `series`, and whether that is not all."""
    if len(series) <= SERIES_BYTES:
        return series, False
    # Between two lines, if the first one is not too long already.
    return series[: series.rfind(b"\n", 0, SERIES_BYTES) + 1 or SERIES_BYTES], True
