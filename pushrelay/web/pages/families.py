"""What was pushed, family by family, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest

from markupsafe import escape

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

ROW_CHARACTERS = 100
LABELS_IN_ROW = 12
"""The same where it is but one of many rows."""

READ_BYTES = 1024 * 1024
MARKUP_BYTES = 384 * 1024
"""So much is read of all families of a page, and so much is written of their values."""

_ROW_BYTES, _BUCKET_BYTES = 250, 100
"""Of markup around a value, and of a bucket."""


@dataclass(slots=True)
class Room:
    """What is left on a page for values; the last family that has some may take more.

    A family of a few kilobytes may be a hundred histograms, each of which is drawn.
    """

    read: int = READ_BYTES
    markup: int = MARKUP_BYTES

    @property
    def is_left(self) -> bool:
        """Whether there is any."""
        return self.read > 0 and self.markup > 0


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """A family as a page shows it.

    values: empty where it is too large; then series is its text, or the beginning of
    it; of both, and of the help, there is nothing where a page has no room left, but
    how many series it has. is_withheld: whether it has gone stale, so that scrapes do
    not show it.
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


def row_labels(key: GroupingKey) -> list[tuple[str, str]]:
    """Return the labels of `key` but the job, as much as a row of many shows."""
    return [
        (cut(name, ROW_CHARACTERS), cut(value, ROW_CHARACTERS))
        for name, value in key.labels[1 : 1 + LABELS_IN_ROW]
    ]


def family_entries(
    group: Group, is_timestamp: IsTimestamp, most: int, room: Room
) -> list[FamilyEntry]:
    """Return `most` of the families of `group` by name, with their values as long as
    there is `room`; those that are too large as text."""
    payload = group.payload
    # There may be 200,000 of them.
    first = nsmallest(most, payload.layout.index.items())
    return [_entry(group, payload.family(at), is_timestamp, room) for _, at in first]


def _entry(
    group: Group, family: StoredFamily, is_timestamp: IsTimestamp, room: Room
) -> FamilyEntry:
    values: Values | None = Values(left_out=family.size)
    help_, series, is_cut = "", b"", False
    if room.is_left:
        values = values_of(
            group, family, SERIES_PER_FAMILY, is_timestamp=is_timestamp(family.name)
        )
        help_ = cut(family.help, HELP_CHARACTERS)
        if values is None:
            series, is_cut = _cut(family.series)
        else:
            room.read -= len(family.series) + len(family.message or b"")
    entry = FamilyEntry(
        name=cut(family.name, NAME_CHARACTERS),
        type=family.type.name.lower().replace("_", " "),
        help=help_,
        pushed_at=moment(family.pushed_at),
        size=family.size,
        series=series.decode(errors="ignore"),
        is_cut=is_cut,
        is_withheld=family.name in group.withheld,
        values=values or Values(),
    )
    room.markup -= _markup_of(entry)
    return entry


def _markup_of(entry: FamilyEntry) -> int:
    """Return about how much markup tells of the values of a family."""
    texts = [entry.help, entry.series]
    size = 0
    for row in entry.values.rows:
        texts += [row.labels, row.value]
        size += _ROW_BYTES
    for drawn in entry.values.histograms:
        texts += [drawn.labels]
        size += _ROW_BYTES + len(drawn.chart) + _BUCKET_BYTES * len(drawn.buckets)
    return size + sum([len(escape(text)) for text in texts])


def _cut(series: bytes) -> tuple[bytes, bool]:
    """Return the beginning of `series`, and whether that is not all."""
    if len(series) <= SERIES_BYTES:
        return series, False
    # Between two lines, if the first one is not too long already.
    return series[: series.rfind(b"\n", 0, SERIES_BYTES) + 1 or SERIES_BYTES], True
