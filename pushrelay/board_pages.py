"""Which rows of the jobs board are meant, and how they are shown page by page."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pushrelay.board_rows import BoardRow, RowPlace, RowState, place_of, rank_of
from pushrelay.errors import InvalidRequest
from pushrelay.matchers import Selector
from pushrelay.url_base64 import from_base64, to_base64

_CURSOR = re.compile(rb"row ([0-9]) ([^\xff]+)\xff([^\xfe]*)\xfe", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What is asked of rows; all of it must hold, and nothing is asked by default.

    text: what the job or the instance must contain, whatever the case. selectors: one
    of them must match the labels job and instance, if there are any.
    """

    text: str = ""
    selectors: tuple[Selector, ...] = ()
    state: RowState | None = None

    def found_in(self, rows: Sequence[BoardRow]) -> Sequence[BoardRow]:
        """Return those of `rows` that text and selectors leave, whatever the state."""
        if self.text:
            text = self.text.casefold()
            rows = [
                row
                for row in rows
                if text in row.job.casefold() or text in row.instance.casefold()
            ]
        if self.selectors:
            rows = [row for row in rows if self._selects(row)]
        return rows

    def _selects(self, row: BoardRow) -> bool:
        labels = {"job": row.job, "instance": row.instance}
        return any(selector.matches(labels) for selector in self.selectors)


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows in order.

    counts: how many rows each state has, of those that text and selectors leave.
    matching: how many there are on all pages. total: how many there are without a
    filter. next: cursor of the page that follows, None at the end.
    """

    rows: list[BoardRow]
    counts: dict[RowState, int]
    matching: int
    total: int
    next: str | None


def page_of_rows(
    rows: Sequence[BoardRow], wanted: RowFilter, limit: int, after: str | None
) -> RowPage:
    """Return the first `limit` of the `wanted` ones of `rows`, which are in the order
    of attention, that stand behind the cursor `after`. Raises InvalidRequest.

    A page follows from places and not from numbers: however rows come and go between
    two pages, those that stay where they are are seen once.
    """
    behind = None if after is None else read_cursor(after)
    found = wanted.found_in(rows)
    bounds = {state: _bounds_of(found, state) for state in RowState}
    start, end = (0, len(found)) if wanted.state is None else bounds[wanted.state]
    first = start
    if behind is not None:
        first = bisect_right(found, behind, start, end, key=place_of)
    last = min(first + limit, end)
    return RowPage(
        list(found[first:last]),
        {state: after_it - at for state, (at, after_it) in bounds.items()},
        end - start,
        len(rows),
        cursor_of(found[last - 1]) if first < last < end else None,
    )


def _bounds_of(rows: Sequence[BoardRow], state: RowState) -> tuple[int, int]:
    """Return where the rows with `state` begin and end."""
    rank = rank_of(state)
    start = bisect_left(rows, rank, key=_rank)
    return start, bisect_right(rows, rank, start, key=_rank)


def _rank(row: BoardRow) -> int:
    return rank_of(row.state)


# --- cursors ---


def cursor_of(row: BoardRow) -> str:
    """Return what stands for the place behind `row`."""
    rank, job, instance = place_of(row)
    written = b"row %d %s\xff%s\xfe" % (rank, job.encode(), instance.encode())
    return to_base64(written)


def read_cursor(cursor: str) -> RowPlace:
    """Return the place that `cursor` stands for. Raises InvalidRequest."""
    try:
        match = _CURSOR.fullmatch(from_base64(cursor))
        if match is not None:
            return int(match[1]), match[2].decode(), match[3].decode()
    except ValueError:
        pass
    raise InvalidRequest(
        "the cursor is none that a page of the jobs board gave as its next; begin "
        "again without a cursor"
    )
