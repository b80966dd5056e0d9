"""Which groups are meant, and how they are listed page by page."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import nlargest, nsmallest
from itertools import chain
from operator import attrgetter

from pushrelay.errors import InvalidRequest
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.matchers import Selector
from pushrelay.url_base64 import from_base64, to_base64

_canonical = attrgetter("key.canonical")

# Sorts behind all keys of the same job: no label name begins with it.
_AFTER_ALL_LABELS = b"\xff"


class State(Enum):
    """What a group is that is not forgotten."""

    FRESH = "fresh"
    STALE = "stale"

    @staticmethod
    def of(group: Group) -> State:
        """Return the state of `group`; one without a policy is fresh."""
        return State.STALE if group.is_stale else State.FRESH


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of groups; all of it must hold, and nothing is asked by default.

    selectors: one of them must match the grouping labels, if there are any.
    silent_since: the last sign of life must not be later, Unix nanoseconds.
    """

    selectors: Sequence[Selector] = ()
    state: State | None = None
    silent_since: int | None = None

    def matches(self, group: Group) -> bool:
        """Whether it holds for `group`; for a forgotten one it never does."""
        if group.is_forgotten:
            return False
        if self.state is not None and State.of(group) is not self.state:
            return False
        since = self.silent_since
        if since is not None and group.last_sign_of_life > since:
            return False
        return not self.selectors or matches_any(self.selectors, group.key)

    def choose(self, groups: Sequence[Group]) -> list[Group]:
        """Return those of `groups` for which it holds; both sorted by key."""
        return [g for g in _candidates(groups, self.selectors) if self.matches(g)]


def groups_of_job(groups: Sequence[Group], job: str) -> Sequence[Group]:
    """Return those of `groups`, which are sorted by key, that belong to `job`."""
    first = GroupingKey.of({"job": job}).canonical
    start = bisect_left(groups, first, key=_canonical)
    end = bisect_left(groups, first + _AFTER_ALL_LABELS, start, key=_canonical)
    return groups[start:end]


def matches_any(selectors: Sequence[Selector], key: GroupingKey) -> bool:
    """Whether one of `selectors` chooses the labels of `key`."""
    labels = dict(key.labels)
    return any(selector.matches(labels) for selector in selectors)


def _candidates(
    groups: Sequence[Group], selectors: Sequence[Selector]
) -> Sequence[Group]:
    """Return a part of `groups`, still sorted, that has all that `selectors` match."""
    jobs = {selector.value_of("job") for selector in selectors}
    known = [job for job in jobs if job is not None]
    if not jobs or len(known) < len(jobs):
        return groups
    parts = [groups_of_job(groups, job) for job in known]
    if len(parts) == 1:
        return parts[0]
    return sorted(chain.from_iterable(parts), key=_canonical)


# --- pages ---

Place = tuple[int, bytes]
"""Where in an order a group stands: time of its last push, if it matters, and key."""

_CURSOR = re.compile(rb"(key|-?pushed) ([0-9]{1,19}) (job\xff.*\xfe)", re.DOTALL)


class Order(Enum):
    """How groups are sorted: by key, or by the time of the last push and then by key;
    a minus turns the order round."""

    KEY = "key"
    PUSHED = "pushed"
    LAST_PUSHED = "-pushed"

    def place(self, group: Group) -> Place:
        """Return where `group` stands."""
        return (0 if self is Order.KEY else group.pushed_at, group.key.canonical)

    def first(self, groups: Sequence[Group], limit: int) -> list[Group]:
        """Return so many of the first of `groups`, sorted."""
        take = nlargest if self is Order.LAST_PUSHED else nsmallest
        return take(limit, groups, key=self.place)

    def following(self, groups: Sequence[Group], after: Place) -> list[Group]:
        """Return those of `groups` that stand behind `after`."""
        if self is Order.LAST_PUSHED:
            return [group for group in groups if self.place(group) < after]
        return [group for group in groups if self.place(group) > after]

    def cursor(self, group: Group) -> str:
        """Return what stands for the place behind `group`."""
        at, canonical = self.place(group)
        written = f"{self.value} {at} ".encode() + canonical
        return to_base64(written)

    def read_cursor(self, cursor: str) -> Place:
        """Return the place that `cursor` stands for. Raises InvalidRequest."""
        try:
            written = from_base64(cursor)
        except ValueError:
            written = b""
        match = _CURSOR.fullmatch(written)
        if match is None or match[1].decode() != self.value:
            raise InvalidRequest(
                "the cursor is none that a page of this order gave as its next; "
                "begin again without a cursor"
            )
        return int(match[2]), match[3]


@dataclass(frozen=True, slots=True)
class Page:
    """Some groups in order. matching: how many there are on all pages. next: cursor of
    the page that follows, None at the end."""

    groups: list[Group]
    matching: int
    next: str | None


def page_of(
    groups: Sequence[Group],
    condition: Condition,
    order: Order,
    limit: int,
    after: Place | None,
) -> Page:
    """Return the first `limit` of `groups` (sorted by key) that stand behind `after`.

    A page follows from places and not from numbers: however groups come and go
    between two pages, those that stay are seen once.
    """
    found = condition.choose(groups)
    left = found if after is None else order.following(found, after)
    shown = order.first(left, limit)
    is_last = len(shown) == len(left)
    return Page(shown, len(found), None if is_last else order.cursor(shown[-1]))
