"""The page of the groups: which there are, when they were pushed, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import urlencode

from flask import Response, request

from pushrelay.errors import InvalidRequest
from pushrelay.group_list import Condition, Order, page_of
from pushrelay.groups import Group
from pushrelay.web.authorisation import covered
from pushrelay.web.pages.examples import first_push
from pushrelay.web.pages.fitting import fitting
from pushrelay.web.pages.keys import written_key
from pushrelay.web.pages.layout import (
    cut,
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)
from pushrelay.web.pages.searching import (
    Search,
    bounded_search,
    read_search,
    text_of,
)
from pushrelay.web.parameters import Parameters

GROUPS_PER_PAGE = 100

SHOWN_CHARACTERS = 100
"""How much of a name or of a label's value is shown."""

SHOWN_LABELS = 12


class State(Enum):
    """Which groups are shown; a group may be stale, and its last push refused."""

    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"

    def holds_for(self, group: Group) -> bool:
        """Whether `group` is so; one that never goes stale is fresh."""
        if self is State.FAILED:
            return not group.last_push_successful
        return group.is_stale is (self is State.STALE)


_STATE_NAMES = {
    None: "All",
    State.FRESH: "Fresh",
    State.STALE: "Stale",
    State.FAILED: "Last push failed",
}

_ORDER_NAMES = {
    Order.KEY: "labels",
    Order.LAST_PUSHED: "last push, newest first",
    Order.PUSHED: "last push, oldest first",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which groups are asked for, and in which order; search: as it was written."""

    search: str = ""
    state: State | None = None
    order: Order = Order.KEY

    @staticmethod
    def of(parameters: Parameters) -> Wanted:
        """Return what a query string, or a form, asks for. Raises InvalidRequest."""
        return Wanted(
            bounded_search(parameters.one("search") or "").strip(),
            parameters.choice("state", State) if parameters.one("state") else None,
            parameters.choice("sort", Order) or Order.KEY,
        )

    @property
    def fields(self) -> dict[str, str]:
        """What a query string asks with for the same, as little as it needs."""
        fields = {
            "search": self.search,
            "state": self.state.value if self.state else "",
            "sort": "" if self.order is Order.KEY else self.order.value,
        }
        return {name: value for name, value in fields.items() if value}

    def address(self, **others: str) -> str:
        """Return the address of the page of these groups, from any page."""
        query = urlencode(self.fields | others)
        return f"./groups?{query}" if query else "./groups"


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as the list shows it.

    key: as addresses carry it. labels: the job first; not all if they are many, values
    cut. hidden_labels: how many are not shown. Times are None for never.
    """

    key: str
    labels: list[tuple[str, str]]
    hidden_labels: int
    pushed_at: datetime | None
    failed_at: datetime | None
    is_failed: bool
    stale_since: datetime | None
    families: int
    series: int

    @property
    def name(self) -> str:
        """The labels in words."""
        return text_of(self.labels)


@dataclass(frozen=True, slots=True)
class Choice:
    """A link to other groups, or to another order of them."""

    name: str
    address: str
    is_chosen: bool
    count: int | None = None


@pages.route("/groups", methods=["GET"], provide_automatic_options=False)
def groups() -> Response:
    """Show a part of the groups."""
    parameters = Parameters(request.query_string.decode("latin-1"))
    wanted, cursor = Wanted.of(parameters), parameters.one("cursor")
    refresh()
    there = covered(who_asks(), the_relay().groups())
    problem = ""
    try:
        found = find(there, read_search(wanted.search))
    except InvalidRequest as error:
        found, problem = [], str(error)
    state, order = wanted.state, wanted.order
    chosen = [group for group in found if state is None or state.holds_for(group)]
    after = None if cursor is None else order.read_cursor(cursor)
    page = page_of(chosen, Condition(), order, GROUPS_PER_PAGE, after)
    shown = fitting(page.groups, key_size)
    is_last = page.next is None and len(shown) == len(page.groups)
    next_ = "" if is_last else wanted.address(cursor=order.cursor(shown[-1]))
    return show(
        "groups.html",
        now=moment(the_relay().now()),
        rows=[row_of(group) for group in shown],
        total=len(there),
        matching=len(chosen),
        wanted=wanted,
        states=_states(found, wanted),
        orders=_orders(wanted),
        first="" if cursor is None else wanted.address(),
        next=next_,
        problem=problem,
        example=first_push(),
    )


def find(groups: Sequence[Group], search: Search) -> Sequence[Group]:
    """Return those of `groups` (sorted by key) that `search` looks for."""
    if search.selectors:
        return Condition(search.selectors).choose(groups)
    wanted = search.text
    if not wanted:
        return groups
    return [g for g in groups if wanted in text_of(g.key.labels).casefold()]


def key_size(group: Group) -> int:
    """Return the size of its key, which addresses carry."""
    return len(group.key.canonical)


def _states(found: Sequence[Group], wanted: Wanted) -> list[Choice]:
    stale = sum(map(State.STALE.holds_for, found))
    counts = {
        None: len(found),
        State.FRESH: len(found) - stale,
        State.STALE: stale,
        State.FAILED: sum(map(State.FAILED.holds_for, found)),
    }
    return [
        Choice(
            name,
            Wanted(wanted.search, state, wanted.order).address(),
            state is wanted.state,
            counts[state],
        )
        for state, name in _STATE_NAMES.items()
    ]


def _orders(wanted: Wanted) -> list[Choice]:
    return [
        Choice(
            name,
            Wanted(wanted.search, wanted.state, order).address(),
            order is wanted.order,
        )
        for order, name in _ORDER_NAMES.items()
    ]


def row_of(group: Group) -> GroupRow:
    """Return what a list shows of `group`."""
    labels, layout = group.key.labels, group.payload.layout
    standing = group.standing
    return GroupRow(
        written_key(group.key),
        _short(labels),
        max(len(labels) - SHOWN_LABELS, 0),
        moment(group.pushed_at),
        moment(group.failed_at),
        not group.last_push_successful,
        moment(standing.stale_at) if standing and standing.is_stale else None,
        len(layout.families),
        layout.size,
    )


def _short(labels: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the first of `labels`, cut to what a list shows of them."""
    return [
        (cut(name, SHOWN_CHARACTERS), cut(value, SHOWN_CHARACTERS))
        for name, value in labels[:SHOWN_LABELS]
    ]
