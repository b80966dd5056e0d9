"""The page of the groups: which there are, when they were pushed, and their end."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from urllib.parse import urlencode

from flask import Response, request

from pushrelay.groups import Group
from pushrelay.web.authorisation import covered
from pushrelay.web.pages.examples import first_push
from pushrelay.web.pages.families import NAME_CHARACTERS, FamilyEntry, family_entries
from pushrelay.web.pages.layout import (
    cut,
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)

GROUPS_PER_PAGE = 100
PAGE_BYTES = 4 * 1024 * 1024
"""A page ends with the group that takes it beyond this, before markup."""


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group as the page shows it.

    labels: without the job, values cut. families: sorted by name, not all of them if
    they are many; family_count and series_count count all. path: what follows
    `metrics/` in its push URL. Times are None for never; stale_at: when it goes or went
    stale.
    """

    job: str
    labels: list[tuple[str, str]]
    path: str
    pushed_at: datetime | None
    failed_at: datetime | None
    last_push_successful: bool
    stale_at: datetime | None
    is_stale: bool
    families: list[FamilyEntry]
    family_count: int
    series_count: int

    @property
    def name(self) -> str:
        """The grouping key, values cut."""
        return _text((("job", self.job), *self.labels))


@dataclass(frozen=True, slots=True)
class GroupList:
    """One page of the groups; next_after: where the next one goes on, "" at the end.

    total: all groups there are. matching: those that the search left.
    """

    entries: list[GroupEntry]
    total: int
    matching: int
    next_after: str


@pages.route("/groups", methods=["GET"], provide_automatic_options=False)
def groups() -> Response:
    """Show a part of the groups."""
    search, after = request.args.get("search", ""), request.args.get("after", "")
    refresh()
    shown = list_groups(covered(who_asks(), the_relay().groups()), search, after)
    return show(
        "groups.html",
        groups=shown,
        search=search,
        is_first=not after,
        first_query=urlencode({"search": search}),
        next_query=urlencode({"search": search, "after": shown.next_after}),
        example=first_push(),
    )


def list_groups(groups: list[Group], search: str, after: str) -> GroupList:
    """Return the page of `groups` (sorted) that follows the position `after`.

    search: what the text of a grouping key must contain, whatever the case.
    after: `next_after` of another page; what is none stands for the beginning.
    """
    wanted = search.casefold()
    found = [g for g in groups if wanted in _text(g.key.labels).casefold()]
    start = bisect_right(found, _canonical(after), key=lambda g: g.key.canonical)
    entries: list[GroupEntry] = []
    size = 0
    for group in islice(found, start, start + GROUPS_PER_PAGE):
        entries.append(_group_entry(group))
        size += _size(entries[-1])
        if size > PAGE_BYTES:
            break
    end = start + len(entries)
    return GroupList(
        entries,
        total=len(groups),
        matching=len(found),
        next_after=_position(found[end - 1]) if end < len(found) else "",
    )


def _text(labels: Iterable[tuple[str, str]]) -> str:
    """Return a grouping key as a person reads it on the page."""
    return " ".join(f'{name}="{value}"' for name, value in labels)


def _position(group: Group) -> str:
    return base64.urlsafe_b64encode(group.key.canonical).decode().rstrip("=")


def _canonical(position: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(position + "=" * (-len(position) % 4))
    except (binascii.Error, ValueError):
        return b""


def _group_entry(group: Group) -> GroupEntry:
    (_, job), *others = group.key.labels
    standing = group.standing
    stale_at = standing.stale_at if standing else None
    return GroupEntry(
        job=cut(job, NAME_CHARACTERS),
        labels=[
            (cut(name, NAME_CHARACTERS), cut(value, NAME_CHARACTERS))
            for name, value in others
        ],
        path=group.key.path,
        pushed_at=moment(group.pushed_at),
        failed_at=moment(group.failed_at),
        last_push_successful=group.last_push_successful,
        stale_at=moment(stale_at),
        is_stale=bool(standing and standing.is_stale),
        families=family_entries(group),
        family_count=len(group.payload.layout.families),
        series_count=group.payload.layout.size,
    )


def _shown(text: str) -> str:
    return cut(text, NAME_CHARACTERS)


def _size(entry: GroupEntry) -> int:
    return len(entry.path) + sum(
        len(family.help) + len(family.series) for family in entry.families
    )
