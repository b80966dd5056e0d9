"""The jobs board: what ran, what failed, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Response, g, request

from pushrelay.board_pages import RowFilter, RowPage, page_of_rows
from pushrelay.board_rows import BoardRow, RowState
from pushrelay.errors import InvalidRequest, StoreUnavailable
from pushrelay.matchers import Selector
from pushrelay.quoting import quote
from pushrelay.run_marks import RunMark
from pushrelay.shown import shown
from pushrelay.web.errors import status_of
from pushrelay.web.pages import examples
from pushrelay.web.pages.addresses import row_size
from pushrelay.web.pages.board_entries import MARKS, board_entry
from pushrelay.web.pages.fitting import fitting
from pushrelay.web.pages.layout import (
    moment,
    pages,
    refresh,
    show,
    the_relay,
    told,
    who_asks,
)
from pushrelay.web.pages.searching import bounded_search, read_search

ROWS_PER_PAGE = 50

LABELS = ("job", "instance")
"""What rows can be chosen by."""


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many rows are in `state`, None for all; address: of the board with these
    alone."""

    state: RowState | None
    count: int
    address: str
    is_chosen: bool


@pages.route("/", methods=["GET"], provide_automatic_options=False)
def board() -> Response:
    """Show a part of the rows that are wanted, first what needs attention."""
    search = bounded_search(request.args.get("search", ""))
    cursor = request.args.get("cursor")
    refresh()
    rows = the_relay().overview.rows(who_asks().grant)
    try:
        wanted = _wanted(search, request.args.get("state", ""))
        page = page_of_rows(rows, wanted, ROWS_PER_PAGE, cursor)
        most = len(fitting(page.rows, row_size))
        if most < len(page.rows):
            page = page_of_rows(rows, wanted, most, cursor)
    except InvalidRequest as error:
        return _show_refusal(error, search)
    marks = _marks(page.rows)
    return show(
        "board.html",
        now=moment(the_relay().now()),
        search=search,
        state=wanted.state,
        counts=_counts(page, wanted, search),
        attention=sum([n for s, n in page.counts.items() if s.needs_attention]),
        page=page,
        entries=[board_entry(row, marks) for row in page.rows],
        is_first=cursor is None,
        first=_address(search, wanted.state),
        next=_address(search, wanted.state, page.next) if page.next else "",
        examples=examples,
    )


def _show_refusal(error: InvalidRequest, search: str) -> Response:
    return show("board.html", status_of(error), search=search, error=told(error))


def _wanted(search: str, state: str) -> RowFilter:
    """Return which rows are asked for. Raises InvalidRequest."""
    found = read_search(search)
    for selector in found.selectors:
        _require_labels_of_rows(selector)
    return RowFilter(found.text, found.selectors, _state(state) if state else None)


def _require_labels_of_rows(selector: Selector) -> None:
    for matcher in selector.matchers:
        if matcher.name not in LABELS:
            raise InvalidRequest(
                f"the label {quote(matcher.name)} is none of a row: rows are chosen by "
                'job and instance, as in {job=~"backup-.*"}; groups, on their own '
                "page, by all labels"
            )


def _state(name: str) -> RowState:
    try:
        return RowState(name)
    except ValueError:
        known = ", ".join([state.value for state in RowState])
        raise InvalidRequest(
            f"there is no state {shown(name)}: the states are {known}"
        ) from None


def _counts(page: RowPage, wanted: RowFilter, search: str) -> list[StateCount]:
    counts = [
        StateCount(None, sum(page.counts.values()), _address(search), not wanted.state)
    ]
    for state in RowState:
        count = page.counts.get(state, 0)
        address = _address(search, state)
        counts.append(StateCount(state, count, address, state is wanted.state))
    return counts


def _address(
    search: str, state: RowState | None = None, cursor: str | None = None
) -> str:
    """Return a link to a part of the board."""
    query = {
        "search": search,
        "state": state.value if state else "",
        "cursor": cursor,
    }
    given = {name: value for name, value in query.items() if value}
    return f"./?{urlencode(given)}" if given else "./"


def _marks(rows: Sequence[BoardRow]) -> Mapping[bytes, Sequence[RunMark]]:
    """Return the last runs of `rows` by key; none if the database does not answer."""
    keys = [key for row in rows for key in row.keys]
    if not keys or not g.is_current:
        return {}
    try:
        return the_relay().runs.marks_of_keys(keys, MARKS)
    except StoreUnavailable:
        return {}
